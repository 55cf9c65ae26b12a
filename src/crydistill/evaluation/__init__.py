"""Evaluate how well models tell cries from other sounds: comparisons, slices, robustness."""
