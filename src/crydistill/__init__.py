"""Distil YAMNet into a tiny INT8 student that hears a baby's cry on a microcontroller."""

__version__ = "0.2.0"
