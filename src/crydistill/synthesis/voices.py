"""Synthesise random voices: random vocal tracts uttering random syllables.

A cry, a laugh, a meow and a shout share the same production mechanism and differ in pitch, pitch
contour, rhythm and roughness. Recordings cover a few points of that space; random voices sample all
of it, including the class boundaries, and the teacher's scores say on which side each one lies.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from crydistill.synthesis.nursery.synthesis import (
    CONTROL_RATE,
    Floats,
    control_points,
    normalized,
    piecewise_linear,
    smooth_noise,
)
from crydistill.synthesis.nursery.throat import Throat, vocal, with_pauses

_LOWEST_HZ, _HIGHEST_HZ = 90.0, 1500.0

_FORMANTS_HZ = ((280.0, 2000.0), (900.0, 3400.0), (2300.0, 5200.0), (3300.0, 7200.0))
"""Range of each formant over all articulations, for vocal tracts from a man's to a kitten's."""


@dataclass(frozen=True)
class _Speaker:
    """Parameters shared by the utterances of one voice.

    pitch : typical fundamental frequency, hertz
    seconds : typical length of an utterance
    pause : shortest and longest pause between utterances, seconds
    rate : syllables per second, 0 for utterances without syllables
    open_share : voiced fraction of a syllable, 0 to 1
    rise, fall : pitch change from the start of an utterance to its peak, and from there to its end,
        in octaves
    peak : position of the pitch peak, as a fraction of an utterance
    tremor_hz, tremor : rate, and depth in octaves, of the tremor
    leaping, rough, breaths : probability of a pitch jump, of subharmonics, of an audible breath
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
            # Most sounds mistaken for an infant lie between 200 and 700 Hz.
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
    """Synthesise utterances of one random voice with pauses; at least 1 s, 16 kHz, peak 1."""
    speaker = _Speaker.drawn(rng)
    return with_pauses(rng, seconds, speaker.pause, lambda: _utterance(rng, speaker))


def _utterance(rng: np.random.Generator, speaker: _Speaker) -> Floats:
    """One utterance on one breath, perhaps followed by an audible inspiration."""
    count = control_points(max(0.08, speaker.seconds * rng.uniform(0.6, 1.5)))
    throat, roughness = speaker.throat, None
    if rng.random() < speaker.rough:
        roughness = rng.uniform(0.2, 1) * np.clip(smooth_noise(rng, count, 2.5), 0.0, 1.0)
        throat = replace(throat, breath=2 * throat.breath, jitter=2 * throat.jitter)
    voicing, loud = _loudness(rng, speaker, count)
    sound = normalized(
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
    octaves = piecewise_linear([0, peak, 1], [-rise, 0, -fall], count)
    octaves += 0.03 * smooth_noise(rng, count, 5.0)
    time = np.arange(count) / CONTROL_RATE
    octaves += speaker.tremor * np.sin(2 * np.pi * speaker.tremor_hz * time + rng.uniform(0, 6))
    if rng.random() < speaker.leaping:
        start = rng.uniform(0.1, 0.6)
        stop = start + rng.uniform(0.1, 0.4)
        corners = [start, start + 0.03, stop, stop + 0.03]
        octaves += piecewise_linear(corners, [0, rng.uniform(0.5, 1.2), 1, 0], count)
    pitch = speaker.pitch * rng.uniform(0.9, 1.1) * 2.0**octaves
    return np.asarray(np.clip(pitch, _LOWEST_HZ, _HIGHEST_HZ))


def _loudness(rng: np.random.Generator, speaker: _Speaker, count: int) -> tuple[Floats, Floats]:
    """Amplitude envelopes of voicing and of breath noise, each `[count]`."""
    loud = piecewise_linear(
        [0, rng.uniform(0.02, 0.3), 0.8, 1], [0, 1, rng.uniform(0.3, 1), 0], count
    )
    loud = loud * np.maximum(0.1, 1 + 0.12 * smooth_noise(rng, count, 4.0))
    if speaker.rate == 0:
        return loud, loud
    turns = np.arange(count) / CONTROL_RATE * speaker.rate * rng.uniform(0.9, 1.1)
    within = np.minimum(turns % 1.0 / speaker.open_share, 1.0)
    syllables = np.sin(np.pi * within) ** rng.uniform(0.3, 1.5)
    return loud * syllables, loud * (syllables + rng.uniform(0, 0.5) * (1 - syllables))


def _formants(rng: np.random.Generator, speaker: _Speaker, count: int) -> Floats:
    mouths = speaker.mouths * 2 ** rng.normal(0, 0.05, speaker.mouths.shape)
    places = np.linspace(0, 1, len(mouths))
    return np.stack([piecewise_linear(places, track, count) for track in mouths.T], axis=1)


def _breath(rng: np.random.Generator, speaker: _Speaker) -> Floats:
    """An inspiration: breath noise through the open mouth, sometimes with a squeak."""
    count = control_points(rng.uniform(0.1, 0.4))
    swell = piecewise_linear([0, rng.uniform(0.2, 0.8), 1], [0, 1, 0], count)
    squeak = 0.3 * swell if rng.random() < 0.3 else np.zeros(count)
    return normalized(
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
