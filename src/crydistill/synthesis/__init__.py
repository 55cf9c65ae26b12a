"""Synthetic audio: the nursery, voices, scenes, formula sounds and homes."""
