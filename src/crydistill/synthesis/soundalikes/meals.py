"""Synthesise eating: crunching, chewing with the mouth open, and slurping.

Crunching is a series of cracks of very different strength (Vickers and Bourne 1976, "A
psychoacoustical theory of crispness"); chewing repeats it once to three times a second.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.synthesis.nursery.synthesis import (
    Floats,
    add_at,
    coloured_noise,
    control_points,
    noise_hertz,
    normalized,
    piecewise_linear,
    sample_count,
    shaped_noise,
    smooth_noise,
)
from crydistill.synthesis.nursery.throat import with_pauses


def eating(rng: np.random.Generator, seconds: float) -> Floats:
    """One person who chews or slurps."""
    if rng.random() < 0.75:
        return _chewing(rng, seconds)
    return with_pauses(rng, seconds, (0.2, 1.2), lambda: _slurp(rng))


def _chewing(rng: np.random.Generator, seconds: float) -> Floats:
    """Bursts of cracks in the rhythm of the jaw, over faint friction."""
    count = sample_count(seconds)
    track, effort = np.zeros(count), np.zeros(count)
    food = _Food.drawn(rng)
    period, usual = rng.uniform(0.35, 1.1), rng.uniform(0.2, 0.5)
    softer = rng.uniform(0, 0.8)
    time = float(rng.uniform(0, 0.5))
    while time < seconds:
        bites = int(rng.integers(4, 12))
        for number in range(bites):
            start, length = int(time * SAMPLE_RATE), sample_count(usual * rng.uniform(0.7, 1.4))
            level = rng.uniform(0.4, 1) * 10 ** (-softer * number / bites)
            add_at(track, start, level * _bite(rng, food, length))
            add_at(effort, start, level * np.sin(np.pi * np.arange(length) / length))
            time += period * rng.uniform(0.8, 1.2)
        time += float(rng.uniform(0, 0.8))
    # A microphone so close overloads at the strongest cracks.
    cracks = np.tanh(0.7 * track / max(1e-9, float(np.quantile(np.abs(track), 0.9995))))
    friction = 10 ** rng.uniform(-2.5, -1.5) * (effort + 0.1) * coloured_noise(rng, count, 3.0)
    return normalized(cracks + friction)


@dataclass(frozen=True)
class _Food:
    """Something to eat: the crisper, the more cracks, and the shorter.

    rate : cracks per second of a bite
    spread : of their strength, as a standard deviation of its natural logarithm
    lowest, highest : range of their resonances, hertz
    tonal : share of a crack that rings, 0 to 1; the rest is noise
    decay : typical decay time of a crack, seconds
    """

    rate: float
    spread: float
    lowest: float
    highest: float
    tonal: float
    decay: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        crisp = rng.uniform(0, 1)
        return cls(
            rate=float(10 ** (1.5 + 1.4 * crisp)),
            spread=float(rng.uniform(0.8, 1.8)),
            lowest=float(rng.uniform(700, 1_400)),
            highest=float(rng.uniform(3_000, 6_000)),
            tonal=float(rng.uniform(0.4, 1.0) ** (0.5 + crisp)),
            decay=float(
                np.exp(rng.uniform(np.log(0.0007), np.log(0.0020 if crisp > 0.5 else 0.0035)))
            ),
        )


def _bite(rng: np.random.Generator, food: _Food, count: int) -> Floats:
    """Cracks spread over about `count` samples, most of them in the first half; not normalised."""
    longest = int(10 * food.decay * SAMPLE_RATE) + 8
    sound = np.zeros(count + longest)
    time = np.arange(longest) / SAMPLE_RATE
    for start in count * rng.beta(1.5, 2.5, rng.poisson(food.rate * count / SAMPLE_RATE)):
        hertz = np.exp(rng.uniform(np.log(food.lowest), np.log(food.highest)))
        ringing = np.sin(2 * np.pi * hertz * time + rng.uniform(0, 6))
        crack = 1.4 * food.tonal * ringing + (1 - food.tonal) * rng.standard_normal(longest)
        crack *= np.exp(-time / (food.decay * rng.uniform(0.3, 2))) * (hertz / 2_000) ** -0.3
        add_at(sound, int(start), rng.lognormal(0, food.spread) * crack)
    return sound


def _slurp(rng: np.random.Generator) -> Floats:
    """Air and liquid drawn in: noise of rising pitch that bubbles."""
    count = control_points(float(rng.uniform(0.3, 1.3)))
    swell = piecewise_linear([0, 0.2, 0.9, 1], [0, 0.5, 1, 0], count)
    bubbles = np.exp(rng.uniform(0.2, 0.8) * smooth_noise(rng, count, float(rng.uniform(8, 25))))
    rise = piecewise_linear([0, 1], [0, rng.uniform(0.2, 1.2)], count)
    centre = rng.uniform(700, 2_500) * 2 ** (rise + 0.2 * smooth_noise(rng, count, 10.0))
    return normalized(_band_noise(rng, swell * bubbles, centre, float(rng.uniform(0.5, 1.2))))


def _band_noise(rng: np.random.Generator, loud: Floats, centre: Floats, octaves: float) -> Floats:
    """Noise of amplitude `loud` `[m]` around `centre` `[m]` hertz, `octaves` to either side."""
    distance = np.log2(np.maximum(noise_hertz(), 50) / centre[:, None])
    return shaped_noise(rng, loud[:, None] * np.exp(-0.5 * (distance / octaves) ** 2))
