"""Synthesise an adult or a child singing a slow tune without accompaniment."""

from dataclasses import replace

import numpy as np

from crydistill.synthesis.nursery.adults import VOWELS_HZ, Adult
from crydistill.synthesis.nursery.synthesis import (
    CONTROL_RATE,
    Floats,
    control_points,
    fix_length,
    normalized,
    piecewise_linear,
    sample_count,
    smooth_noise,
    smoothed,
)
from crydistill.synthesis.nursery.throat import vocal
from crydistill.synthesis.nursery.tunes import tune

_LOWEST_TONIC_HZ, _HIGHEST_TONIC_HZ = 160.0, 330.0
"""Lowest note of a tune; the tunes span 16 semitones."""


def singing(rng: np.random.Generator, seconds: float) -> Floats:
    """A tune sung on vowels with vibrato; a breath after every few notes; pitch 160 to 800 Hz."""
    singer = _singer(rng)
    tonic = float(np.exp(rng.uniform(np.log(_LOWEST_TONIC_HZ), np.log(_HIGHEST_TONIC_HZ))))
    notes = max(3, int(seconds / rng.uniform(0.35, 0.9)))
    count = control_points(seconds)
    time = np.arange(count) / CONTROL_RATE
    lengths = rng.choice([0.5, 1.0, 1.0, 1.5, 2.0], notes)
    ends = np.cumsum(lengths) / lengths.sum() * seconds
    place = np.minimum(np.searchsorted(ends, time, side="right"), notes - 1)
    starts = np.concatenate([[0.0], ends[:-1]])
    within = np.clip((time - starts[place]) / (ends - starts)[place], 0.0, 1.0)

    vibrato = rng.uniform(0.15, 0.65) * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * time)
    semitones = smoothed(np.array(tune(rng, notes), np.float64)[place], int(rng.integers(3, 10)))
    semitones += vibrato * np.clip(2 * within - 0.5, 0.0, 1.0) + 0.12 * smooth_noise(rng, count, 3)
    loud, breath = _loudness(rng, place, within)
    vowels = np.array(VOWELS_HZ)[rng.integers(len(VOWELS_HZ), size=notes)][place]
    formants = np.stack([smoothed(track, 8) for track in vowels.T], axis=1)
    sound = vocal(
        rng,
        singer.throat,
        pitch=tonic * 2.0 ** (semitones / 12),
        voicing=loud,
        breath=breath,
        formants=singer.tract * formants,
    )
    return normalized(fix_length(sound, sample_count(seconds)))


def _singer(rng: np.random.Generator) -> Adult:
    singer = Adult.drawn(rng)
    throat = replace(
        singer.throat,
        tilt=float(rng.uniform(0.8, 1.7)),
        breath=float(rng.uniform(0.03, 0.11)),
        jitter=float(rng.uniform(0.002, 0.008)),
        bandwidths=tuple((rng.uniform(0.6, 1.2) * np.array(singer.throat.bandwidths)).tolist()),
    )
    return replace(singer, tract=float(rng.uniform(1.15, 1.42)), throat=throat)


def _loudness(rng: np.random.Generator, place: Floats, within: Floats) -> tuple[Floats, Floats]:
    """Amplitudes of voice and of breath noise; each note starts with a consonant's dip."""
    count = len(place)
    dip = float(rng.uniform(0.1, 0.8))
    loud = piecewise_linear([0, 0.02, 0.95, 1], [0, 1, 0.9, 0], count)
    loud *= 1 - dip * np.clip(1 - 5 * within, 0.0, 1.0)
    loud *= np.maximum(0.3, 1 + 0.15 * smooth_noise(rng, count, 1.5))
    phrase = int(rng.integers(4, 8))
    breathing = (place % phrase == phrase - 1) & (within > 0.7)
    held = smoothed(np.where(breathing, 0.0, 1.0), 6)
    inhaled = smoothed(np.where(breathing, rng.uniform(0, 4), 0.0), 12)
    return loud * held, loud * (held + inhaled)
