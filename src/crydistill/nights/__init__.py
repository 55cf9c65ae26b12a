"""Nights: compose, score and evaluate continuous audio; simulated homes."""
