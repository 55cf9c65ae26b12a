"""Synthesise unlabelled sounds that a small student mistakes for a cry, as one hears them at home.

Children talking and whining, cartoon voices, singing, laughter, cats, creaks and eating: what sets
off a detector at night, and what open recordings hardly hold. Like all formula sounds they have no
label, only the teacher's scores. Each of `MAKERS` draws an individual and synthesises a number of
seconds of it (at least 1), as float64 samples at 16 kHz with a peak of 1.
"""

from collections.abc import Callable

import numpy as np

from crydistill.synthesis.nursery.synthesis import (
    Floats,
    coloured_noise,
    fix_length,
    normalized,
    sample_count,
)
from crydistill.synthesis.soundalikes.cats import cat_calls
from crydistill.synthesis.soundalikes.creaking import creaks
from crydistill.synthesis.soundalikes.laughing import laughter
from crydistill.synthesis.soundalikes.meals import eating
from crydistill.synthesis.soundalikes.songs import singing
from crydistill.synthesis.soundalikes.talking import cartoon_voice, child_speech

Maker = Callable[[np.random.Generator, float], Floats]

MAKERS: dict[str, Maker] = {
    "child speech": child_speech,
    "cartoon voice": cartoon_voice,
    "singing": singing,
    "laughter": laughter,
    "cat": cat_calls,
    "creak": creaks,
    "eating": eating,
}

_TOGETHER = 0.2
"""How often two of them sound at once, as a child laughing in front of a cartoon."""


def soundalike(rng: np.random.Generator, seconds: float) -> Floats:
    """Synthesise one or two of `MAKERS` over faint noise; float64 at 16 kHz, peak 1.

    Parameters
    ----------
    seconds : at least 1
    """
    count = sample_count(seconds)
    track = np.zeros(count)
    for name in rng.choice(list(MAKERS), 2 if rng.random() < _TOGETHER else 1, replace=False):
        level = 10 ** (rng.uniform(-12, 0) / 20)
        track += level * fix_length(MAKERS[str(name)](rng, seconds), count)
    noise = normalized(coloured_noise(rng, count, float(rng.uniform(0, 9))))
    return normalized(normalized(track) + 10 ** (-rng.uniform(20, 60) / 20) * noise)
