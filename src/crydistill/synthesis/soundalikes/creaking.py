"""Synthesise creaks and squeaks of doors, floors and cots: stick-slip pulses on resonant wood."""

import numpy as np
from scipy.signal import oaconvolve

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.synthesis.nursery.synthesis import (
    Floats,
    control_points,
    interpolated,
    normalized,
    piecewise_linear,
    smooth_noise,
)
from crydistill.synthesis.nursery.things import Door, knock
from crydistill.synthesis.nursery.throat import with_pauses

_TO_60_DB = np.log(1_000.0)
"""Exponent of an exponential decay by 60 dB."""


def creaks(rng: np.random.Generator, seconds: float) -> Floats:
    """One hinge or board, moved several times: slow moves rattle, quick ones squeal.

    A door may fall shut at the end of a move.
    """
    response, door = _wood(rng), Door.drawn(rng)
    shuts = float(rng.choice([0.0, 0.0, rng.uniform(0.2, 0.7)]))
    squeals = rng.random() < 0.6
    rate = np.exp(rng.uniform(np.log(350), np.log(1_100)) if squeals else rng.uniform(3.3, 5.8))
    usual = np.exp(rng.uniform(np.log(0.15), np.log(0.8 if squeals else 2.0)))

    def moved() -> Floats:
        pulses = _stick_slip(rng, rate * rng.uniform(0.8, 1.25), usual * rng.uniform(0.6, 1.5))
        sound = normalized(oaconvolve(pulses, response))
        if rng.random() < shuts:
            return np.concatenate([sound, rng.uniform(0.5, 2) * normalized(knock(rng, door))])
        return sound

    return with_pauses(rng, seconds, (0.1, 1.5), moved)


def _stick_slip(rng: np.random.Generator, rate: float, seconds: float) -> Floats:
    """Pulses of a friction oscillator whose rate, in hertz, follows the speed of the move."""
    count = control_points(seconds)
    corners = np.sort(rng.uniform(0.1, 0.9, 2))
    octaves = piecewise_linear([0, *corners, 1], rng.normal(0, rng.uniform(0.1, 1), 4), count)
    octaves += rng.uniform(0.01, 0.2) * smooth_noise(rng, count, 6.0)
    turns = np.cumsum(interpolated(np.clip(rate * 2.0**octaves, 8.0, 1_800.0))) / SAMPLE_RATE
    jitter = rng.uniform(0, 0.1) * rng.standard_normal(int(turns[-1]))
    places = np.searchsorted(turns, np.sort(np.arange(1, len(jitter) + 1) + jitter))
    pulses = rng.uniform(0, 0.1) * rng.standard_normal(len(turns))
    strength = rng.lognormal(0, rng.uniform(0.05, 0.5), len(places))
    np.add.at(pulses, places.clip(0, len(turns) - 1), strength)
    loud = piecewise_linear([0, 0.1, 0.85, 1], [0, 1, rng.uniform(0.4, 1), 0], count)
    return pulses * interpolated(loud)


def _wood(rng: np.random.Generator) -> Floats:
    """Impulse response of what resonates: some modes, and dense noise for the rest of them."""
    ring = float(np.exp(rng.uniform(np.log(0.003), np.log(0.07))))
    time = np.arange(int(ring * SAMPLE_RATE) + 2) / SAMPLE_RATE
    lowest, highest = (
        rng.uniform(np.log(200), np.log(900)),
        rng.uniform(np.log(1_500), np.log(6_500)),
    )
    slope = rng.uniform(-0.8, 0.8)
    modes = np.zeros(len(time))
    for hertz in np.exp(rng.uniform(lowest, highest, int(rng.integers(4, 18)))):
        strength = rng.uniform(0.3, 1) * (hertz / 1_000) ** slope
        modes += strength * np.sin(2 * np.pi * hertz * time + rng.uniform(0, 6))
    dense = rng.uniform(0.1, 0.9)
    response = (1 - dense) * modes / modes.std() + dense * rng.standard_normal(len(time))
    return np.asarray(response * np.exp(-_TO_60_DB / ring * time))
