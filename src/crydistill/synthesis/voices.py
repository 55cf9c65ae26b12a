"""Voices that nobody has: random throats that utter random syllables.

A cry, a laugh, a meow and a shout come out of the same kind of throat and differ in pitch, course,
rhythm and roughness. Recordings show a few points of that space; these voices fill it, with the
borders between the classes, and the teacher says on which side each lies.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from crydistill.synthesis.nursery.synthesis import (
    CONTROL_RATE,
    Floats,
    at_peak,
    control_points,
    curve_through,
    wander,
)
from crydistill.synthesis.nursery.throat import Throat, in_turn, vocal

_LOWEST_HZ, _HIGHEST_HZ = 90.0, 1500.0

_FORMANTS_HZ = ((280.0, 2000.0), (900.0, 3400.0), (2300.0, 5200.0), (3300.0, 7200.0))
"""Range of each formant, over all mouths and tracts from a man's to a kitten's."""


@dataclass(frozen=True)
class _Speaker:
    """What the utterances of one voice have in common.

    pitch : usual fundamental, hertz
    seconds : usual length of an utterance
    pause : shortest and longest pause between utterances, seconds
    rate : syllables a second, 0 for one breath without syllables
    open_share : share of a syllable that is voiced, 0 to 1
    rise, fall : from the start of an utterance to its peak, and from there to its end, in octaves
    peak : where the peak is, as a fraction of an utterance
    tremor_hz, tremor : rate and depth in octaves of a tremor
    leaping, rough, breaths : chance of a leap of pitch, of subharmonics, of a breath afterwards
    mouths : formants in hertz at points along an utterance, `[points, 4]`
    """

    pitch: float
    seconds: float
    pause: tuple[float, float]
    rate: float
    open_share: float
    rise: float
    fall: float
    peak: float
    tremor_hz: float
    tremor: float
    leaping: float
    rough: float
    breaths: float
    mouths: Floats
    throat: Throat

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        shortest = float(rng.uniform(0.05, 0.6))
        ranges = np.array(_FORMANTS_HZ)
        middle = rng.uniform(*ranges.T)
        mouths = np.clip(
            middle * 2 ** rng.normal(0, rng.uniform(0, 0.35), (int(rng.integers(2, 6)), 4)),
            *ranges.T,
        )
        return cls(
            # Most of what is mistaken for an infant lies between 200 and 700 Hz.
            pitch=float(np.exp(np.clip(rng.normal(np.log(380), 0.5), *np.log((_LOWEST_HZ, 1100))))),
            seconds=float(np.exp(rng.uniform(np.log(0.12), np.log(2.0)))),
            pause=(shortest, shortest + float(rng.uniform(0.05, 1.0))),
            rate=float(rng.uniform(2, 9)) if rng.random() < 0.45 else 0.0,
            open_share=float(rng.uniform(0.3, 1)),
            rise=float(rng.uniform(-0.1, 0.7)),
            fall=float(rng.uniform(-0.2, 0.9)),
            peak=float(rng.uniform(0.05, 0.9)),
            tremor_hz=float(rng.uniform(4, 12)),
            tremor=float(rng.uniform(0, 0.08)) if rng.random() < 0.5 else 0.0,
            leaping=float(rng.choice([0, rng.uniform(0, 0.4)])),
            rough=float(rng.choice([0, rng.uniform(0, 0.8)])),
            breaths=float(rng.choice([0, rng.uniform(0, 0.8)])),
            mouths=mouths,
            throat=Throat(
                tilt=float(rng.uniform(0.2, 1.6)),
                breath=float(np.exp(rng.uniform(np.log(0.01), np.log(0.6)))),
                jitter=float(rng.uniform(0.003, 0.025)),
                shimmer=float(rng.uniform(0.02, 0.15)),
                bandwidths=tuple(rng.uniform((60, 100, 150, 200), (300, 450, 600, 800)).tolist()),
            ),
        )


def voice_sound(rng: np.random.Generator, seconds: float) -> Floats:
    """One voice for so many seconds (at least 1), with pauses; float64 at 16 kHz, peak 1."""
    speaker = _Speaker.drawn(rng)
    return in_turn(rng, seconds, speaker.pause, lambda: _utterance(rng, speaker))


def _utterance(rng: np.random.Generator, speaker: _Speaker) -> Floats:
    """One breath's worth of sound, perhaps with the breath after it."""
    count = control_points(max(0.08, speaker.seconds * rng.uniform(0.6, 1.5)))
    throat, roughness = speaker.throat, None
    if rng.random() < speaker.rough:
        roughness = rng.uniform(0.2, 1) * np.clip(wander(rng, count, 2.5), 0.0, 1.0)
        throat = replace(throat, breath=2 * throat.breath, jitter=2 * throat.jitter)
    voicing, loud = _loudness(rng, speaker, count)
    sound = at_peak(
        vocal(
            rng,
            throat,
            pitch=_pitch(rng, speaker, count),
            voicing=voicing,
            breath=loud,
            formants=_formants(rng, speaker, count),
            roughness=roughness,
        )
    )
    if rng.random() < speaker.breaths:
        sound = np.concatenate([sound, rng.uniform(0.03, 0.3) * _breath(rng, speaker)])
    return sound


def _pitch(rng: np.random.Generator, speaker: _Speaker, count: int) -> Floats:
    peak = float(np.clip(speaker.peak + rng.normal(0, 0.08), 0.03, 0.97))
    rise, fall = (end * rng.uniform(0.6, 1.4) for end in (speaker.rise, speaker.fall))
    octaves = curve_through([0, peak, 1], [-rise, 0, -fall], count)
    octaves += 0.03 * wander(rng, count, 5.0)
    time = np.arange(count) / CONTROL_RATE
    octaves += speaker.tremor * np.sin(2 * np.pi * speaker.tremor_hz * time + rng.uniform(0, 6))
    if rng.random() < speaker.leaping:
        start = rng.uniform(0.1, 0.6)
        stop = start + rng.uniform(0.1, 0.4)
        corners = [start, start + 0.03, stop, stop + 0.03]
        octaves += curve_through(corners, [0, rng.uniform(0.5, 1.2), 1, 0], count)
    pitch = speaker.pitch * rng.uniform(0.9, 1.1) * 2.0**octaves
    return np.asarray(np.clip(pitch, _LOWEST_HZ, _HIGHEST_HZ))


def _loudness(rng: np.random.Generator, speaker: _Speaker, count: int) -> tuple[Floats, Floats]:
    """Amplitudes of the voice and of the breath that carries it, each `[count]`."""
    loud = curve_through([0, rng.uniform(0.02, 0.3), 0.8, 1], [0, 1, rng.uniform(0.3, 1), 0], count)
    loud = loud * np.maximum(0.1, 1 + 0.12 * wander(rng, count, 4.0))
    if speaker.rate == 0:
        return loud, loud
    turns = np.arange(count) / CONTROL_RATE * speaker.rate * rng.uniform(0.9, 1.1)
    within = np.minimum(turns % 1.0 / speaker.open_share, 1.0)
    syllables = np.sin(np.pi * within) ** rng.uniform(0.3, 1.5)
    return loud * syllables, loud * (syllables + rng.uniform(0, 0.5) * (1 - syllables))


def _formants(rng: np.random.Generator, speaker: _Speaker, count: int) -> Floats:
    mouths = speaker.mouths * 2 ** rng.normal(0, 0.05, speaker.mouths.shape)
    places = np.linspace(0, 1, len(mouths))
    return np.stack([curve_through(places, track, count) for track in mouths.T], axis=1)


def _breath(rng: np.random.Generator, speaker: _Speaker) -> Floats:
    """An inspiration: noise through the open mouth, now and then with a squeak."""
    count = control_points(rng.uniform(0.1, 0.4))
    swell = curve_through([0, rng.uniform(0.2, 0.8), 1], [0, 1, 0], count)
    squeak = 0.3 * swell if rng.random() < 0.3 else np.zeros(count)
    return at_peak(
        vocal(
            rng,
            replace(speaker.throat, breath=1.0),
            pitch=np.clip(speaker.pitch * rng.uniform(1, 1.8), _LOWEST_HZ, _HIGHEST_HZ)
            * np.ones(count),
            voicing=squeak,
            breath=swell,
            formants=_formants(rng, speaker, count),
        )
    )
