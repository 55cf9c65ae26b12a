"""Synthesise meowing, as float64 samples with a peak of 1."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from crydistill.synthesis.nursery.synthesis import (
    Floats,
    control_points,
    normalized,
    piecewise_linear,
)
from crydistill.synthesis.nursery.throat import Throat, vocal, with_pauses


@dataclass(frozen=True)
class Cat:
    """One cat: typical peak pitch of its meows in hertz, formant scale relative to a 7 cm tract."""

    pitch: float
    tract: float
    throat: Throat

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        throat = Throat(
            tilt=rng.uniform(0.4, 1.2),
            breath=rng.uniform(0.08, 0.15),
            jitter=0.005,
            shimmer=0.04,
            bandwidths=(150.0, 250.0, 400.0, 500.0),
        )
        return cls(pitch=rng.uniform(740, 920), tract=rng.uniform(1.02, 1.1), throat=throat)


_MEOW_HZ = (
    (540.0, 3_200.0, 4_700.0, 7_000.0),
    (900.0, 3_000.0, 4_800.0, 7_000.0),
    (2_000.0, 2_800.0, 4_900.0, 7_200.0),
    (1_080.0, 1_800.0, 4_600.0, 7_000.0),
    (600.0, 1_200.0, 4_300.0, 6_700.0),
)
"""Formants at the five stages m-i-a-o-u."""


def meow(rng: np.random.Generator, seconds: float, cat: Cat) -> Floats:
    """One meow: the mouth opens and closes; the pitch rises quickly and falls a little."""
    count = control_points(seconds)
    opened = rng.uniform(0.27, 0.36)
    course = np.array([0.0, rng.uniform(0.08, 0.2), opened, opened + 0.5 * (1 - opened), 1.0])
    formants = cat.tract * np.stack(
        [piecewise_linear(course, track, count) for track in zip(*_MEOW_HZ, strict=True)], axis=1
    )
    rise, fall = rng.uniform(0.12, 0.28), rng.uniform(0.15, 0.28)
    octaves = piecewise_linear(course, [-rise, -0.3 * rise, 0, -0.3 * fall, -fall], count)
    pitch = cat.pitch * rng.uniform(0.95, 1.05) * 2.0**octaves
    loud = piecewise_linear(course, [0, 0.35, 1, 0.6, 0], count)
    return normalized(
        vocal(rng, cat.throat, pitch=pitch, voicing=loud, breath=loud, formants=formants)
    )


def meowing(rng: np.random.Generator, seconds: float, cat: Cat) -> Floats:
    """Meows with pauses between them."""
    return with_pauses(rng, seconds, (0.5, 1.3), lambda: meow(rng, rng.uniform(0.55, 1.0), cat))
