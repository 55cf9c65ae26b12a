"""Corpora: lists of clips, and the tools that download and rebuild them."""
