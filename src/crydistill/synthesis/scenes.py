"""Scenes that nobody recorded: crowds, horns and mixed sounds in front of a noise.

A microphone at home seldom hears one thing alone. What a small student takes for a cry, where its
teacher does not, are several voices at once (a playground), steady chords (a horn, an alarm) and
sounds that cover each other. Scenes are made of such parts; like all sounds from formulas they
claim no label, the teacher says what they are.
"""

from collections.abc import Callable

import numpy as np

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.synthesis.nursery.synthesis import (
    CONTROL_RATE,
    Floats,
    at_peak,
    coloured_noise,
    control_points,
    curve_through,
    fitted,
    harmonics,
    interpolated,
    sample_count,
    wander,
)
from crydistill.synthesis.voices import voice_sound

Part = Callable[[np.random.Generator, float], Floats]
"""Makes a sound of so many seconds."""

_HORN_HZ = (170.0, 1400.0)

_MOST_HARMONICS = 40


def scene_sound(rng: np.random.Generator, seconds: float, others: Part) -> Floats:
    """One scene; float64 at 16 kHz with a peak of 1.

    Parameters
    ----------
    seconds : at least 1
    others : makes what is neither a voice nor a horn
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
        track += level * fitted(at_peak(part(rng, seconds)), count)
    track = at_peak(track)
    return at_peak(track + 10 ** (-rng.uniform(0, 45) / 20) * _background(rng, seconds))


def horn_sound(rng: np.random.Generator, seconds: float) -> Floats:
    """One to three steady tones, rich in harmonics, switched on and off at once."""
    base = np.exp(rng.uniform(*np.log(_HORN_HZ)))
    ratios = [1.0, *rng.uniform(1.05, 2.0, int(rng.choice([0, 1, 1, 2])))]
    points = control_points(seconds)
    passing = curve_through([0, rng.uniform(0.2, 0.8), 1], [0, 0, -rng.uniform(0, 0.15)], points)
    loud = _switched(rng, points) * np.maximum(0.1, 1 + 0.05 * wander(rng, points, 3.0))
    return sum((_tone(rng, ratio * base * 2**passing, loud) for ratio in ratios), np.zeros(1))


def _tone(rng: np.random.Generator, pitch: Floats, loud: Floats) -> Floats:
    number = np.arange(1, _MOST_HARMONICS + 1)
    tilt, unevenness = rng.uniform(0, 9), rng.normal(0, rng.uniform(0, 6), _MOST_HARMONICS)
    strength = number ** (-tilt / 6.02) * 10 ** (unevenness / 20)
    return harmonics(pitch, loud[:, None] * strength)


def _switched(rng: np.random.Generator, points: int) -> Floats:
    """On and off, 1 and 0, in spells whose length varies about a usual one; `[points]`."""
    usual_on = np.exp(rng.uniform(np.log(0.08), np.log(3.0)))
    usual_off = np.exp(rng.uniform(np.log(0.05), np.log(1.5)))
    swing = float(rng.choice([0.0, rng.uniform(0, 0.5)]))
    spells: list[Floats] = [np.zeros(int(rng.uniform(0, 1) * CONTROL_RATE))]
    while sum(map(len, spells)) < points:
        for value, usual in ((1.0, usual_on), (0.0, usual_off)):
            length = max(2, int(usual * np.exp(rng.normal(0, swing)) * CONTROL_RATE))
            spells.append(np.full(length, value))
    return np.concatenate(spells)[:points]


def _background(rng: np.random.Generator, seconds: float) -> Floats:
    """Noise that swells and sinks, now and then with a hum; peak 1."""
    count = sample_count(seconds)
    points = control_points(seconds)
    swell = 10 ** (rng.uniform(0, 0.4) * wander(rng, points, float(rng.uniform(0.2, 3))))
    noise = coloured_noise(rng, count, float(rng.uniform(0, 9)))
    noise = noise * fitted(interpolated(swell), count)
    if rng.random() < 0.2:
        hertz = float(np.exp(rng.uniform(np.log(50), np.log(400))))
        time = np.arange(count) / SAMPLE_RATE
        noise += rng.uniform(0.3, 3) * noise.std() * np.sin(2 * np.pi * hertz * time)
    return at_peak(noise)
