"""Synthesise small children talking and whining, and the sped-up voices of cartoons."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from crydistill.audio.augment import change_speed
from crydistill.synthesis.nursery.adults import VOWELS_HZ, Adult, Places, fricatives, speech
from crydistill.synthesis.nursery.synthesis import (
    CONTROL_RATE,
    Floats,
    control_points,
    fix_length,
    interpolated,
    normalized,
    piecewise_linear,
    sample_count,
    smooth_noise,
    smoothed,
)
from crydistill.synthesis.nursery.throat import Throat, vocal, with_pauses

_NASAL_HZ = np.array([300.0, 1_100.0, 2_300.0, 3_300.0])
"""Formants of m and n with a man's vocal tract, to which a whine is pulled."""


@dataclass(frozen=True)
class _Child:
    """A child of two to six.

    pitch : typical fundamental frequency, hertz
    tract : formant scale (man = 1)
    rate : syllables per second
    lively : spread of the pitch between and within syllables, octaves
    whining : probability that a phrase is drawn out and nasal, with a pitch that rises and falls
    """

    pitch: float
    tract: float
    rate: float
    lively: float
    whining: float
    throat: Throat

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        return cls(
            pitch=float(np.exp(rng.uniform(np.log(250), np.log(480)))),
            tract=float(rng.uniform(1.35, 1.65)),
            rate=float(rng.uniform(2.6, 5.5)),
            lively=float(rng.uniform(0.1, 0.35)),
            whining=float(rng.choice([0.0, 0.0, rng.uniform(0.2, 0.9)])),
            throat=Throat(
                tilt=float(rng.uniform(0.7, 1.7)),
                breath=float(rng.uniform(0.01, 0.06)),
                jitter=float(rng.uniform(0.005, 0.012)),
                shimmer=float(rng.uniform(0.03, 0.1)),
                bandwidths=(90.0, 120.0, 180.0, 260.0),
            ),
        )


@dataclass(frozen=True)
class _Syllables:
    """When the syllables of a phrase begin and end, and where each control point lies in them.

    onsets : [n + 1], seconds; the last is the end of the phrase
    index, within : [m], the syllable at each control point and the position within it, 0 to 1
    """

    onsets: Floats
    index: Places
    within: Floats

    @classmethod
    def lasting(cls, seconds: Floats) -> Self:
        """Syllables of the given lengths, `[n]`, one after the other."""
        onsets = np.concatenate([[0.0], np.cumsum(seconds)])
        time = np.arange(control_points(float(onsets[-1]))) / CONTROL_RATE
        index = np.clip(np.searchsorted(onsets, time, side="right") - 1, 0, len(seconds) - 1)
        return cls(onsets, index, np.minimum((time - onsets[index]) / seconds[index], 1.0))

    def glided(self, values: Floats) -> Floats:
        """Values in the middle of each syllable, `[n]`, and between them; `[m]`."""
        time = np.arange(len(self.index)) / CONTROL_RATE
        return np.interp(time, (self.onsets[:-1] + self.onsets[1:]) / 2, values)


def child_speech(rng: np.random.Generator, seconds: float) -> Floats:
    """A small child talking, in some phrases whining; pitch mostly 200 to 600 Hz."""
    child = _Child.drawn(rng)
    longest = float(rng.uniform(0.3, 1.2))
    return with_pauses(rng, seconds, (0.1, longest), lambda: _child_phrase(rng, child))


def cartoon_voice(rng: np.random.Generator, seconds: float) -> Floats:
    """One voice or two by turns, played too fast as in cartoons; pitch about 250 to 900 Hz."""
    voices = [_sped_up(rng, seconds) for _ in range(int(rng.integers(1, 3)))]
    if len(voices) == 1:
        return voices[0]
    turn = smooth_noise(rng, control_points(seconds), 0.3) > 0
    first = fix_length(interpolated(smoothed(turn.astype(np.float64), 10)), len(voices[0]))
    return normalized(first * voices[0] + (1 - first) * voices[1])


def _sped_up(rng: np.random.Generator, seconds: float) -> Floats:
    factor = float(np.exp(rng.uniform(np.log(1.3), np.log(2.3))))
    adult = Adult.drawn(rng)
    # The actor exaggerates and speaks slowly enough to be understood when sped up.
    adult = replace(adult, pitch=adult.pitch * rng.uniform(1.0, 1.5), rate=adult.rate / factor**0.6)
    slow = speech(rng, factor * seconds, adult).astype(np.float32)
    return normalized(
        fix_length(change_speed(slow, factor).astype(np.float64), sample_count(seconds))
    )


def _child_phrase(rng: np.random.Generator, child: _Child) -> Floats:
    whining = rng.random() < child.whining
    count = int(rng.integers(1, 5 if whining else 9))
    lengths = rng.uniform(0.7, 1.4, count) / child.rate
    lengths[-1] *= rng.uniform(2, 5) if whining else rng.uniform(1, 2)
    syllables = _Syllables.lasting(lengths)
    points = len(syllables.index)
    stress = rng.uniform(0.4, 1.0, count)
    octaves = piecewise_linear([0, 0.15, 0.8, 1], [0, 0.2, -0.1, rng.uniform(-0.5, 0.5)], points)
    octaves += syllables.glided(child.lively * rng.normal(0, 1, count))
    octaves += 0.3 * child.lively * smooth_noise(rng, points, 3.0)
    nasal = 0.0
    if whining:
        nasal = float(rng.uniform(0.3, 0.7))
        arc = np.sin(np.pi * syllables.within) * (syllables.index == count - 1)
        octaves += rng.uniform(0.1, 0.5) * smoothed(arc, 4)
        octaves += 0.03 * np.sin(2 * np.pi * rng.uniform(4, 7) * np.arange(points) / CONTROL_RATE)
    vowels = np.array(VOWELS_HZ)[rng.integers(len(VOWELS_HZ), size=count)]
    vowels = (1 - nasal) * vowels + nasal * _NASAL_HZ
    formants = child.tract * np.stack([syllables.glided(track) for track in vowels.T], axis=1)
    closure = rng.choice([0.1, 0.4, 0.9], count)[syllables.index]
    loud = np.clip(3.0 * np.sin(np.pi * syllables.within) - closure, 0.0, 1.0)
    loud = smoothed(loud * stress[syllables.index], 2)
    voiced = vocal(
        rng,
        child.throat,
        pitch=np.clip(child.pitch * 2.0**octaves, 120.0, 1_000.0),
        voicing=loud,
        breath=loud,
        formants=formants,
    )
    hissed = fricatives(rng, count, syllables.index, syllables.within)
    return normalized(normalized(voiced) + rng.uniform(0.05, 0.2) * hissed)
