"""Synthesise infants' crying, babbling and laughing.

A cry is one expiration: its pitch rises and falls once or twice between about 350 and 600 Hz,
sometimes jumps above 900 Hz (hyperphonation) or breaks into subharmonics and noise (dysphonation).
The breaths in between are audible. All functions return float64 samples with a peak of 1.

Source: the terms are those of Golub and Corwin, "A Physioacoustic Model of the Infant Cry" (1985);
the parameters were chosen so that YAMNet recognises the sounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from crydistill.synthesis.nursery.synthesis import (
    CONTROL_RATE,
    Floats,
    add_at,
    control_points,
    normalized,
    piecewise_linear,
    sample_count,
    smooth_noise,
    smoothed,
)
from crydistill.synthesis.nursery.throat import Throat, vocal, with_pauses


@dataclass(frozen=True)
class Infant:
    """One infant.

    pitch : typical fundamental frequency of its cries, hertz
    tract : formant frequencies relative to those of a 7.5 cm vocal tract
    phrase : typical length of one expiratory cry, seconds
    rough, high : probability per cry of dysphonation (noise and subharmonics) and of
        hyperphonation (a jump above 900 Hz)
    tremor : depth of its 6-9 Hz tremor, in octaves
    """

    pitch: float
    tract: float
    phrase: float
    rough: float
    high: float
    tremor: float
    throat: Throat

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        throat = Throat(
            tilt=rng.uniform(0.35, 0.7),
            breath=rng.uniform(0.06, 0.13),
            jitter=rng.uniform(0.009, 0.016),
            shimmer=rng.uniform(0.05, 0.12),
            bandwidths=(rng.uniform(160, 280), rng.uniform(200, 400), 450.0, 600.0),
        )
        return cls(
            pitch=rng.uniform(370, 520),
            tract=rng.uniform(0.96, 1.1),
            phrase=rng.uniform(0.7, 1.1),
            rough=rng.uniform(0.1, 0.5),
            high=rng.uniform(0.0, 0.2),
            tremor=rng.uniform(0.0, 0.03),
            throat=throat,
        )


Span = tuple[float, float]
"""Start and end of a cry, in seconds from the start of its recording."""

_CRY_FORMANTS_HZ = (1_150.0, 2_900.0, 4_600.0, 6_400.0)
"""Mouth wide open: about the odd quarter-wave resonances of a 7.5 cm tube."""


def cry(rng: np.random.Generator, seconds: float, infant: Infant) -> Floats:
    """One expiratory cry: a rising and falling pitch contour on one breath, 0.4 to 2 s."""
    count = control_points(seconds)
    octaves = _pitch_contour(rng, count)
    octaves += infant.tremor * np.sin(
        2 * np.pi * rng.uniform(6, 9) * np.arange(count) / CONTROL_RATE + rng.uniform(0, 6)
    )
    if rng.random() < infant.high:
        octaves += _hyperphonation(rng, count)
    pitch = infant.pitch * rng.uniform(0.93, 1.08) * 2.0**octaves
    loud = piecewise_linear([0, 0.06, 0.3, 0.8, 1], [0, 0.7, 1, rng.uniform(0.5, 0.9), 0], count)
    loud *= 1 + 0.12 * smooth_noise(rng, count, 4.0)
    opening = piecewise_linear([0, 0.12, 0.75, 1], [0.75, 1, 1, 0.8], count) * infant.tract
    formants = opening[:, None] * np.array(_CRY_FORMANTS_HZ)
    formants *= 1 + 0.04 * np.stack(
        [smooth_noise(rng, count, 3.0) for _ in _CRY_FORMANTS_HZ], axis=1
    )
    roughness, throat = None, infant.throat
    if rng.random() < infant.rough:
        roughness = rng.uniform(0.3, 0.9) * np.clip(smooth_noise(rng, count, 2.5), 0.0, 1.0)
        throat = replace(throat, breath=2.5 * throat.breath, jitter=2 * throat.jitter)
    return normalized(
        vocal(
            rng,
            throat,
            pitch=pitch,
            voicing=loud,
            breath=loud,
            formants=formants,
            roughness=roughness,
        )
    )


def _pitch_contour(rng: np.random.Generator, count: int) -> Floats:
    """Pitch contour of one cry in octaves relative to its typical pitch: one arc or two."""
    rise, fall = rng.uniform(0.15, 0.4), rng.uniform(0.2, 0.55)
    if rng.random() < 0.75:
        top = rng.uniform(0.15, 0.45)
        times, values = [0, top, 0.8, 1], [-rise, 0.08, -0.1, -fall]
    else:
        times = [0, 0.2, rng.uniform(0.4, 0.5), rng.uniform(0.6, 0.7), 1]
        values = [-rise, 0.05, -rng.uniform(0.1, 0.25), 0.08, -fall]
    arc = smoothed(piecewise_linear(times, values, count), max(2, count // 8))
    return arc + 0.02 * smooth_noise(rng, count, 5.0)


def _hyperphonation(rng: np.random.Generator, count: int) -> Floats:
    """Hyperphonation: the pitch jumps up by about an octave for part of the cry."""
    start = rng.uniform(0.2, 0.5)
    stop = start + rng.uniform(0.2, 0.35)
    up = rng.uniform(0.9, 1.2)
    return piecewise_linear([start, start + 0.03, stop, stop + 0.03], [0, up, up, 0], count)


def gasp(rng: np.random.Generator, seconds: float, infant: Infant) -> Floats:
    """The inspiration between two cries: breath noise, sometimes with a squeak."""
    count = control_points(seconds)
    swell = piecewise_linear([0, 0.3, 0.7, 1], [0, 0.8, 1, 0], count)
    squeak = 0.25 * swell if rng.random() < 0.4 else np.zeros(count)
    pitch = infant.pitch * rng.uniform(1.2, 1.7) * piecewise_linear([0, 1], [0.9, 1.15], count)
    formants = np.full((count, 1), infant.tract) * np.array(_CRY_FORMANTS_HZ) * 1.15
    throat = replace(infant.throat, breath=1.0)
    return normalized(
        vocal(rng, throat, pitch=pitch, voicing=squeak, breath=swell, formants=formants)
    )


def cry_times(rng: np.random.Generator, seconds: float, infant: Infant) -> tuple[Span, ...]:
    """Draw the spans of an infant's cries: bouts of cries separated by breaths, then pauses.

    The first starts within a second; none is cut off at the end. `seconds` is at least 3.
    """
    spans: list[Span] = []
    start, left_in_bout = rng.uniform(0.1, 0.9), int(rng.integers(3, 9))
    while True:
        stop = start + infant.phrase * rng.uniform(0.65, 1.35)
        if stop > seconds - 0.1:
            return tuple(spans)
        spans.append((round(start, 3), round(stop, 3)))
        left_in_bout -= 1
        start = stop + rng.uniform(0.2, 0.5)
        if left_in_bout == 0:
            start, left_in_bout = start + rng.uniform(0.4, 1.2), int(rng.integers(3, 9))


def crying(
    rng: np.random.Generator, seconds: float, infant: Infant, cries: Sequence[Span]
) -> Floats:
    """Cries at given times (`cry_times`), with audible breaths between them."""
    track = np.zeros(sample_count(seconds))
    effort = rng.uniform(0.6, 1.0)
    exhaled = np.inf
    for start, stop in cries:
        pause = start - exhaled
        if 0.15 < pause < 1.0:
            breath = gasp(rng, min(0.35, 0.8 * pause), infant)
            begin = sample_count(start - 0.02) - len(breath)
            add_at(track, begin, rng.uniform(0.08, 0.2) * effort * breath)
        effort = float(np.clip(effort + rng.normal(0, 0.12), 0.45, 1.0))
        add_at(track, sample_count(start), effort * cry(rng, stop - start, infant))
        exhaled = stop
    return normalized(track)


_BABBLE_VOWELS_HZ = (
    (1_000.0, 2_100.0, 4_200.0),
    (700.0, 2_700.0, 4_400.0),
    (650.0, 1_500.0, 4_000.0),
)
_BABBLE_CLOSED_HZ = ((350.0, 1_300.0, 3_800.0), (350.0, 2_600.0, 4_200.0))
"""Infant vowels (a, e, o) and closures (of the lips: b, m; of the tongue: d, n)."""


def babble(rng: np.random.Generator, seconds: float, infant: Infant) -> Floats:
    """Babbling: words of one to five syllables ("ba", "nanana") with pauses between them."""
    return with_pauses(rng, seconds, (0.2, 0.7), lambda: _babbled_word(rng, infant))


def _babbled_word(rng: np.random.Generator, infant: Infant) -> Floats:
    syllables, period = int(rng.integers(1, 6)), rng.uniform(0.22, 0.34)
    count = control_points(syllables * period)
    beat = (np.arange(count) / CONTROL_RATE / period) % 1.0
    openness = np.clip(1.25 * np.sin(np.pi * beat) - 0.2, 0.0, 1.0)
    closed = np.array(_BABBLE_CLOSED_HZ[rng.integers(len(_BABBLE_CLOSED_HZ))])
    vowel = np.array(_BABBLE_VOWELS_HZ[rng.integers(len(_BABBLE_VOWELS_HZ))])
    formants = 1.05 * infant.tract * (closed + openness[:, None] * (vowel - closed))
    nasal = rng.choice([0.05, 0.3])
    loud = piecewise_linear([0, 0.04, 0.85, 1], [0, 1, 0.8, 0], count)
    loud *= nasal + (1 - nasal) * openness
    octaves = piecewise_linear(
        [0, 0.3, 1], [0, rng.uniform(0.0, 0.4), -rng.uniform(0.1, 0.5)], count
    )
    octaves += 0.08 * openness + 0.12 * smooth_noise(rng, count, 2.0)
    pitch = 0.72 * infant.pitch * rng.uniform(0.9, 1.1) * 2.0**octaves
    throat = replace(
        infant.throat,
        tilt=infant.throat.tilt + 0.35,
        breath=0.05,
        jitter=0.006,
        bandwidths=(100.0, 160.0, 270.0),
    )
    return normalized(vocal(rng, throat, pitch=pitch, voicing=loud, breath=loud, formants=formants))


def laugh(rng: np.random.Generator, seconds: float, infant: Infant) -> Floats:
    """Baby laughter: bouts of five to eleven "ha", about six a second, breathy in between."""
    return with_pauses(rng, seconds, (0.3, 0.8), lambda: _laughed_bout(rng, infant))


def _laughed_bout(rng: np.random.Generator, infant: Infant) -> Floats:
    bursts, period = int(rng.integers(5, 12)), rng.uniform(0.135, 0.175)
    duty = rng.uniform(0.38, 0.5)
    count = control_points(bursts * period)
    turns = np.arange(count) / CONTROL_RATE / period
    number = np.minimum(turns.astype(np.int64), bursts - 1)
    within = np.minimum(turns % 1.0 / duty, 1.0)
    voicing = np.convolve(np.sin(np.pi * within) ** 0.7, [0.25, 0.5, 0.25], mode="same")
    loud = (
        piecewise_linear([0, 0.1, 1], [0.6, 1, 0.35], count) * rng.uniform(0.6, 1, bursts)[number]
    )
    octaves = piecewise_linear([0, 0.25, 1], [0, 0.15, -rng.uniform(0.4, 0.7)], count)
    octaves += rng.normal(0, 0.05, bursts)[number] - rng.uniform(0.1, 0.18) * (within - 0.3)
    pitch = 0.85 * infant.pitch * rng.uniform(0.95, 1.05) * 2.0**octaves
    formants = np.full((count, 1), infant.tract) * np.array([1_450.0, 2_350.0, 4_100.0, 5_400.0])
    throat = replace(infant.throat, breath=0.4, jitter=0.006)
    return normalized(
        vocal(
            rng,
            throat,
            pitch=pitch,
            voicing=loud * voicing,
            breath=loud * (voicing + 0.35 * (1 - voicing)),
            formants=formants,
        )
    )
