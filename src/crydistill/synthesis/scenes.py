"""Synthesise unlabelled scenes: crowds of voices, horns and mixtures over background noise.

A microphone at home rarely picks up one source alone. Typical false positives of a small student
that its teacher gets right are several voices at once (a playground), steady chords (a horn, an
alarm) and overlapping sounds. Scenes are mixed from these; like all formula sounds they have no
label, only the teacher's scores.
"""

from collections.abc import Callable

import numpy as np

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.synthesis.nursery.synthesis import (
    CONTROL_RATE,
    Floats,
    coloured_noise,
    control_points,
    fix_length,
    harmonics,
    interpolated,
    normalized,
    piecewise_linear,
    sample_count,
    smooth_noise,
)
from crydistill.synthesis.voices import voice_sound

Part = Callable[[np.random.Generator, float], Floats]
"""Synthesises a sound of the given length in seconds."""

_HORN_HZ = (170.0, 1400.0)

_MOST_HARMONICS = 40


def scene_sound(rng: np.random.Generator, seconds: float, others: Part) -> Floats:
    """Synthesise one scene; float64 at 16 kHz with a peak of 1.

    Parameters
    ----------
    seconds : at least 1
    others : synthesises sources other than voices and horns
    """
    count = sample_count(seconds)
    kind = rng.random()
    parts: list[Part]
    if kind < 0.4:
        parts = [voice_sound] * int(rng.integers(2, 9))
    elif kind < 0.7:
        parts = [horn_sound, others] if rng.random() < 0.4 else [horn_sound]
    else:
        parts = [voice_sound, others]
    track = np.zeros(count)
    for part in parts:
        level = 10 ** (rng.uniform(-15, 0) / 20)
        track += level * fix_length(normalized(part(rng, seconds)), count)
    track = normalized(track)
    return normalized(track + 10 ** (-rng.uniform(0, 45) / 20) * _background(rng, seconds))


def horn_sound(rng: np.random.Generator, seconds: float) -> Floats:
    """One to three steady tones, rich in harmonics, switched on and off together."""
    base = np.exp(rng.uniform(*np.log(_HORN_HZ)))
    ratios = [1.0, *rng.uniform(1.05, 2.0, int(rng.choice([0, 1, 1, 2])))]
    points = control_points(seconds)
    passing = piecewise_linear([0, rng.uniform(0.2, 0.8), 1], [0, 0, -rng.uniform(0, 0.15)], points)
    loud = _gate(rng, points) * np.maximum(0.1, 1 + 0.05 * smooth_noise(rng, points, 3.0))
    return sum(
        (_harmonic_tone(rng, ratio * base * 2**passing, loud) for ratio in ratios), np.zeros(1)
    )


def _harmonic_tone(rng: np.random.Generator, pitch: Floats, loud: Floats) -> Floats:
    number = np.arange(1, _MOST_HARMONICS + 1)
    tilt, unevenness = rng.uniform(0, 9), rng.normal(0, rng.uniform(0, 6), _MOST_HARMONICS)
    strength = number ** (-tilt / 6.02) * 10 ** (unevenness / 20)
    return harmonics(pitch, loud[:, None] * strength)


def _gate(rng: np.random.Generator, points: int) -> Floats:
    """On/off gate, 1 and 0, with random on and off durations around a mean; `[points]`."""
    usual_on = np.exp(rng.uniform(np.log(0.08), np.log(3.0)))
    usual_off = np.exp(rng.uniform(np.log(0.05), np.log(1.5)))
    swing = float(rng.choice([0.0, rng.uniform(0, 0.5)]))
    pieces: list[Floats] = [np.zeros(int(rng.uniform(0, 1) * CONTROL_RATE))]
    while sum(map(len, pieces)) < points:
        for value, usual in ((1.0, usual_on), (0.0, usual_off)):
            length = max(2, int(usual * np.exp(rng.normal(0, swing)) * CONTROL_RATE))
            pieces.append(np.full(length, value))
    return np.concatenate(pieces)[:points]


def _background(rng: np.random.Generator, seconds: float) -> Floats:
    """Background noise of varying level, sometimes with a hum; peak 1."""
    count = sample_count(seconds)
    points = control_points(seconds)
    swell = 10 ** (rng.uniform(0, 0.4) * smooth_noise(rng, points, float(rng.uniform(0.2, 3))))
    noise = coloured_noise(rng, count, float(rng.uniform(0, 9)))
    noise = noise * fix_length(interpolated(swell), count)
    if rng.random() < 0.2:
        hertz = float(np.exp(rng.uniform(np.log(50), np.log(400))))
        time = np.arange(count) / SAMPLE_RATE
        noise += rng.uniform(0.3, 3) * noise.std() * np.sin(2 * np.pi * hertz * time)
    return normalized(noise)
