"""Synthesise laughter of adults, children and babies."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from crydistill.synthesis.nursery.infants import Infant, laugh
from crydistill.synthesis.nursery.synthesis import (
    CONTROL_RATE,
    Floats,
    control_points,
    normalized,
    piecewise_linear,
    smoothed,
)
from crydistill.synthesis.nursery.throat import Throat, vocal, with_pauses

_HA_HZ = np.array([850.0, 1_400.0, 2_450.0, 3_300.0])
_HEE_HZ = np.array([400.0, 2_100.0, 2_800.0, 3_600.0])
"""Formants of "ha" and "hee" with a man's vocal tract."""


@dataclass(frozen=True)
class _Laugher:
    """Typical pitch in hertz, formant scale, bursts per second, voiced fraction of a burst."""

    pitch: float
    tract: float
    rate: float
    duty: float
    vowel: Floats
    throat: Throat

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        pitch = float(np.exp(rng.uniform(np.log(190), np.log(480))))
        # Who laughs high has a short vocal tract.
        tract = float(np.clip((pitch / 160) ** 0.4 * rng.uniform(0.92, 1.08), 0.95, 1.6))
        hee = float(rng.choice([0.0, rng.uniform(0, 0.6)]))
        return cls(
            pitch=pitch,
            tract=tract,
            rate=float(rng.uniform(4.5, 7)),
            duty=float(rng.uniform(0.38, 0.55)),
            vowel=(1 - hee) * _HA_HZ + hee * _HEE_HZ,
            throat=Throat(
                tilt=float(rng.uniform(0.9, 1.5)),
                breath=float(rng.uniform(0.3, 0.8)),
                jitter=float(rng.uniform(0.005, 0.01)),
                shimmer=float(rng.uniform(0.04, 0.1)),
                bandwidths=(100.0, 130.0, 190.0, 260.0),
            ),
        )


def laughter(rng: np.random.Generator, seconds: float) -> Floats:
    """Bouts of laughter, one in three those of a baby."""
    if rng.random() < 1 / 3:
        return laugh(rng, seconds, Infant.drawn(rng))
    laugher = _Laugher.drawn(rng)
    return with_pauses(rng, seconds, (0.1, 0.9), lambda: _bout(rng, laugher))


def _bout(rng: np.random.Generator, laugher: _Laugher) -> Floats:
    """Bursts that slow down, fall in pitch and fade, and mostly a breath in at the end."""
    bursts = int(rng.integers(3, 12))
    count = control_points(bursts / laugher.rate)
    turns = piecewise_linear([0, 0.5, 1], [0, rng.uniform(0.5, 0.56), 1], count) * bursts
    number = np.minimum(turns.astype(np.int64), bursts - 1)
    within = np.minimum((turns - number) / laugher.duty, 1.0)
    voicing = smoothed(np.sin(np.pi * within) ** 0.7, 1)
    loud = piecewise_linear([0, 0.1, 1], [0.6, 1, rng.uniform(0.15, 0.5)], count)
    loud *= rng.uniform(0.6, 1, bursts)[number]
    octaves = piecewise_linear([0, 0.2, 1], [0, rng.uniform(0, 0.4), -rng.uniform(0.2, 0.7)], count)
    octaves += rng.normal(0, 0.06, bursts)[number] - rng.uniform(0.05, 0.25) * (within - 0.3)
    sound = normalized(
        vocal(
            rng,
            laugher.throat,
            pitch=laugher.pitch * 2.0**octaves,
            voicing=loud * voicing,
            breath=loud * (voicing + 0.5 * (1 - voicing)),
            formants=np.tile(laugher.tract * laugher.vowel, (count, 1)),
        )
    )
    if rng.random() < 0.6:
        return np.concatenate([sound, rng.uniform(0.05, 0.3) * _breath_in(rng, laugher)])
    return sound


def _breath_in(rng: np.random.Generator, laugher: _Laugher) -> Floats:
    count = int(rng.uniform(0.15, 0.5) * CONTROL_RATE)
    swell = piecewise_linear([0, 0.4, 0.8, 1], [0, 0.7, 1, 0], count)
    formants = np.tile(laugher.tract * laugher.vowel, (count, 1))
    voicing = 0.2 * swell * (rng.random() < 0.3)
    pitch = 1.4 * laugher.pitch * np.ones(count)
    return normalized(
        vocal(rng, laugher.throat, pitch=pitch, voicing=voicing, breath=swell, formants=formants)
    )
