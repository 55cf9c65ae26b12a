"""Synthesise sounds of things: music box, appliance hum, noise machine, knocks, quiet room.

As with voices, a thing (`MusicBox`, `Appliance`, `NoiseMachine`, `Door`, `Room`) is one individual;
its function synthesises a number of seconds of it, as float64 samples with a peak of 1.
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
    fix_length,
    harmonics,
    interpolated,
    normalized,
    sample_count,
    smooth_noise,
)
from crydistill.synthesis.nursery.tunes import tune


@dataclass(frozen=True)
class MusicBox:
    """One music box: tonic in hertz, notes per second, 60 dB decay time of a note in seconds."""

    tonic: float
    tempo: float
    ring: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        return cls(rng.uniform(500, 800), rng.uniform(1.8, 3.2), rng.uniform(1.2, 2.5))


_TO_60_DB = np.log(1_000.0)
"""Exponent of an exponential decay by 60 dB."""

_COMB_PARTIALS = ((1.0, 1.0, 1.0), (2.0, 0.15, 0.8), (5.9, 0.25, 0.25), (6.27, 0.2, 0.3))
"""(frequency ratio, amplitude, decay time ratio) of a plucked steel tooth on a wooden box."""


def music_box(rng: np.random.Generator, seconds: float, box: MusicBox) -> Floats:
    """A tune plucked on a steel comb, with a bass note on every fourth beat."""
    count = sample_count(seconds)
    track = np.zeros(count)
    notes = max(2, int(seconds * box.tempo))
    for beat, semitones in enumerate(tune(rng, notes)):
        start = int((beat / box.tempo + rng.uniform(0, 0.015)) * SAMPLE_RATE)
        add_at(track, start, _plucked(rng, box, semitones))
        if beat % 4 == 0:
            add_at(track, start, 0.7 * _plucked(rng, box, -12))
    return normalized(track)


def _plucked(rng: np.random.Generator, box: MusicBox, semitones: int) -> Floats:
    note = np.zeros(sample_count(box.ring))
    hertz = box.tonic * 2.0 ** (semitones / 12)
    for ratio, amplitude, ringing in _COMB_PARTIALS:
        if ratio * hertz < 0.45 * SAMPLE_RATE:
            seconds = box.ring * ringing
            time = np.arange(sample_count(seconds)) / SAMPLE_RATE
            decay = amplitude * np.exp(-_TO_60_DB / seconds * time)
            add_at(note, 0, decay * np.sin(2 * np.pi * ratio * hertz * time))
    attack = SAMPLE_RATE // 500
    note[:attack] *= np.arange(attack) / attack
    return rng.uniform(0.7, 1.0) * note


@dataclass(frozen=True)
class Appliance:
    """One motor: mains frequency in hertz, harmonic amplitudes, level and slope of airflow."""

    mains: float
    amplitudes: tuple[float, ...]
    air: float
    slope_db: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        numbers = np.arange(1, 25)
        amplitudes = numbers ** -rng.uniform(0.8, 1.3) * rng.uniform(0.1, 1.0, len(numbers))
        amplitudes[1::2] *= 4.0  # magnetic force peaks twice per mains period
        return cls(
            mains=float(rng.choice([50.0, 60.0])),
            amplitudes=tuple(amplitudes.tolist()),
            air=10.0 ** rng.uniform(-0.8, 0.1),
            slope_db=rng.uniform(3.0, 6.0),
        )


def hum(rng: np.random.Generator, seconds: float, appliance: Appliance) -> Floats:
    """A refrigerator or fan: slightly unsteady mains harmonics over broadband air noise."""
    points = control_points(seconds)
    pitch = appliance.mains * (1 + 0.001 * smooth_noise(rng, points, 0.5))
    level = 1 + 0.05 * smooth_noise(rng, points, 1.0)
    tone = harmonics(pitch, level[:, None] * np.array(appliance.amplitudes))
    air = coloured_noise(rng, len(tone), appliance.slope_db)
    sound = normalized(tone) + appliance.air * normalized(air)
    return normalized(fix_length(sound, sample_count(seconds)))


@dataclass(frozen=True)
class NoiseMachine:
    """One noise machine: spectral slope in dB per octave; depth and period of a surf-like swell."""

    slope_db: float
    swell: float
    period: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        swell = rng.choice([0.0, rng.uniform(0.2, 0.6)])
        return cls(rng.uniform(0.0, 5.0), float(swell), rng.uniform(2.5, 6.0))


def white_noise(rng: np.random.Generator, seconds: float, machine: NoiseMachine) -> Floats:
    """White to nearly brown noise, steady or with a slow swell."""
    count = sample_count(seconds)
    turns = np.arange(count) / SAMPLE_RATE / machine.period + rng.random()
    swell = 1 + machine.swell * np.sin(2 * np.pi * turns)
    return normalized(swell * coloured_noise(rng, count, machine.slope_db))


@dataclass(frozen=True)
class Door:
    """Something to knock on: its resonances in hertz and their decay time in seconds."""

    resonances: tuple[float, ...]
    ring: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        lowest = rng.uniform(80, 220)
        ratios = np.cumprod([1.0, *rng.uniform(1.1, 1.4, 9)])
        return cls(tuple((lowest * ratios).tolist()), rng.uniform(0.03, 0.1))


def knocks(rng: np.random.Generator, seconds: float, door: Door) -> Floats:
    """Groups of two to five knocks."""
    track = np.zeros(sample_count(seconds))
    time = rng.uniform(0.2, 1.0)
    while time < seconds - 0.5:
        gap = rng.uniform(0.16, 0.3)
        for _ in range(int(rng.integers(2, 6))):
            add_at(track, int(time * SAMPLE_RATE), rng.uniform(0.6, 1.0) * knock(rng, door))
            time += gap * rng.uniform(0.93, 1.07)
        time += rng.uniform(0.6, 1.8)
    return normalized(track)


def knock(rng: np.random.Generator, door: Door) -> Floats:
    """A single knock, up to 0.2 s; not normalised."""
    time = np.arange(int(2 * door.ring * SAMPLE_RATE)) / SAMPLE_RATE
    sound = 0.6 * rng.standard_normal(len(time)) * np.exp(-time / 0.003)
    for number, hertz in enumerate(door.resonances):
        decay = np.exp(-_TO_60_DB * (1 + number) / door.ring * time)
        sound += rng.uniform(0.3, 1.0) / (1 + number) * decay * np.sin(2 * np.pi * hertz * time)
    return sound


@dataclass(frozen=True)
class Room:
    """One quiet room: spectral slope of its noise in dB per octave, and its level variation."""

    slope_db: float
    unrest: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        return cls(rng.uniform(4.0, 7.0), rng.uniform(0.05, 0.2))


def room_tone(rng: np.random.Generator, seconds: float, room: Room) -> Floats:
    """Room tone: soft low-frequency noise of slowly varying level."""
    level = interpolated(1 + room.unrest * smooth_noise(rng, control_points(seconds), 0.7))
    tone = level * coloured_noise(rng, len(level), room.slope_db)
    return normalized(fix_length(tone, sample_count(seconds)))
