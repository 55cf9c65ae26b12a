"""Synthesise adults' speech-like sounds and humming, as float64 samples with a peak of 1."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from crydistill.synthesis.nursery.synthesis import (
    CONTROL_RATE,
    Floats,
    control_points,
    fix_length,
    noise_hertz,
    normalized,
    piecewise_linear,
    sample_count,
    shaped_noise,
    smooth_noise,
    smoothed,
)
from crydistill.synthesis.nursery.throat import Throat, vocal, with_pauses
from crydistill.synthesis.nursery.tunes import tune


@dataclass(frozen=True)
class Adult:
    """One adult: typical pitch in hertz, formant scale (man = 1), syllables per second."""

    pitch: float
    tract: float
    rate: float
    throat: Throat

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        woman = rng.random() < 0.5
        throat = Throat(
            tilt=rng.uniform(1.0, 1.5),
            breath=rng.uniform(0.01, 0.04),
            jitter=rng.uniform(0.004, 0.01),
            shimmer=rng.uniform(0.03, 0.07),
            bandwidths=(80.0, 100.0, 150.0, 220.0),
        )
        return cls(
            pitch=rng.uniform(170, 230) if woman else rng.uniform(90, 140),
            tract=rng.uniform(1.1, 1.2) if woman else rng.uniform(0.95, 1.05),
            rate=rng.uniform(3.8, 5.2),
            throat=throat,
        )


VOWELS_HZ = (
    (730.0, 1_090.0, 2_440.0, 3_400.0),
    (530.0, 1_840.0, 2_480.0, 3_400.0),
    (270.0, 2_290.0, 3_010.0, 3_500.0),
    (570.0, 840.0, 2_410.0, 3_300.0),
    (300.0, 870.0, 2_240.0, 3_300.0),
    (500.0, 1_500.0, 2_500.0, 3_500.0),
)
"""Male vowels: the first three formants from Peterson and Barney (1952); the last is a schwa."""

_FRICATIVE_HZ = ((6_250.0, 750.0), (3_650.0, 850.0), (5_250.0, 1_250.0))
"""Centre frequency and bandwidth of the noise in s, sh and f."""

Places = npt.NDArray[np.int64]


def speech(rng: np.random.Generator, seconds: float, adult: Adult) -> Floats:
    """Speech-like sound: phrases of syllables with vowels, stops and fricatives, and pauses."""
    return with_pauses(rng, seconds, (0.2, 0.7), lambda: _spoken_phrase(rng, adult))


def _spoken_phrase(rng: np.random.Generator, adult: Adult) -> Floats:
    syllables = int(rng.integers(4, 11))
    onsets = np.cumsum(rng.uniform(0.7, 1.4, syllables + 1) / adult.rate)
    onsets -= onsets[0]
    count = control_points(float(onsets[-1]))
    time = np.arange(count) / CONTROL_RATE
    index = np.clip(np.searchsorted(onsets, time, side="right") - 1, 0, syllables - 1)
    within = (time - onsets[index]) / np.diff(onsets)[index]

    vowels = np.array(VOWELS_HZ)[rng.integers(len(VOWELS_HZ), size=syllables)]
    centres = (onsets[:-1] + onsets[1:]) / 2
    formants = adult.tract * np.stack([np.interp(time, centres, v) for v in vowels.T], axis=1)
    stress = rng.uniform(0.4, 1.0, syllables)
    loud = stress[index] * np.clip(3.0 * np.sin(np.pi * within) - 0.9, 0.0, 1.0)
    fall = piecewise_linear([0, 0.15, 0.9, 1], [0, 0.25, -0.2, rng.uniform(-0.5, 0.2)], count)
    octaves = fall + 0.15 * (stress[index] - 0.7) + 0.05 * smooth_noise(rng, count, 3.0)
    pitch = adult.pitch * 2.0**octaves
    voiced = vocal(rng, adult.throat, pitch=pitch, voicing=loud, breath=loud, formants=formants)
    return normalized(normalized(voiced) + 0.12 * fricatives(rng, syllables, index, within))


def fricatives(rng: np.random.Generator, syllables: int, index: Places, within: Floats) -> Floats:
    """Fricatives at the start of about every other syllable.

    index, within : [m], the syllable at each control point and the position within it, 0 to 1
    """
    envelope = (rng.random(syllables) < 0.5)[index] * np.clip(1.0 - within / 0.35, 0.0, 1.0)
    centre, width = np.array(_FRICATIVE_HZ)[rng.integers(len(_FRICATIVE_HZ), size=syllables)][
        index
    ].T
    band = np.exp(-0.5 * ((noise_hertz() - centre[:, None]) / width[:, None]) ** 2)
    return shaped_noise(rng, np.sqrt(envelope)[:, None] * band)


_HUM_FORMANTS_HZ = (270.0, 1_350.0, 2_400.0, 3_300.0)


def lullaby(rng: np.random.Generator, seconds: float, adult: Adult) -> Floats:
    """Humming of a slow tune with closed lips."""
    notes = max(2, int(seconds / rng.uniform(0.55, 0.85)))
    count = control_points(seconds)
    place = np.minimum((np.arange(count) * notes) // count, notes - 1)
    within = (np.arange(count) * notes / count) % 1.0
    semitones = np.array(tune(rng, notes))[place].astype(np.float64)
    vibrato = 0.25 * np.sin(2 * np.pi * 5.2 * np.arange(count) / CONTROL_RATE)
    vibrato *= np.clip(2 * within - 0.5, 0.0, 1.0)
    semitones = smoothed(semitones, 7) + vibrato + 0.15 * smooth_noise(rng, count, 3.0)
    pitch = 1.1 * adult.pitch * 2.0 ** (semitones / 12)
    loud = piecewise_linear([0, 0.02, 0.95, 1], [0, 1, 0.9, 0], count)
    loud *= 0.75 + 0.25 * np.clip(4 * np.sin(np.pi * within), 0.0, 1.0)
    breathing = (place % 6 == 5) & (within > 0.7)
    loud *= smoothed(np.where(breathing, 0.0, 1.0), 7)
    formants = np.full((count, 1), adult.tract) * np.array(_HUM_FORMANTS_HZ)
    throat = replace(
        adult.throat, tilt=2.0, breath=0.08, jitter=0.008, bandwidths=(60.0, 120.0, 180.0, 200.0)
    )
    sound = vocal(rng, throat, pitch=pitch, voicing=loud, breath=loud, formants=formants)
    return normalized(fix_length(sound, sample_count(seconds)))
