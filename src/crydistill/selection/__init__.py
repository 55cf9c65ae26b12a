"""Which windows the student learns from."""
