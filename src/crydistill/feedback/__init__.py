"""Clips that a person reviewed, and what a student learns from them."""
