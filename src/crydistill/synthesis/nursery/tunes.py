"""Random tunes for humming and music boxes, free of copyright."""

import numpy as np

PENTATONIC = (0, 2, 4, 7, 9, 12, 14, 16)
"""Semitones above the tonic."""


def tune(rng: np.random.Generator, notes: int) -> list[int]:
    """A random-walk pentatonic melody that ends on the tonic, as semitones above it."""
    place, steps = 3, []
    for _ in range(notes - 1):
        place = int(np.clip(place + rng.choice([-2, -1, -1, 0, 1, 1, 2]), 0, len(PENTATONIC) - 1))
        steps.append(PENTATONIC[place])
    return [*steps, 0]
