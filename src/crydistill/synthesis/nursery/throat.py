"""Source-filter synthesis of voices: glottal pulses and breath noise through formants."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.synthesis.nursery.synthesis import (
    Floats,
    add_at,
    harmonic_count,
    harmonics,
    noise_hertz,
    normalized,
    resonances,
    sample_count,
    shaped_noise,
    smooth_noise,
)

_FADE = SAMPLE_RATE // 50


@dataclass(frozen=True)
class Throat:
    """Voice quality, independent of the utterance.

    tilt : spectral tilt of the source, amplitude ~ harmonic number ** -tilt
    breath : amplitude of breath noise relative to the voice
    jitter, shimmer : irregularity of pitch and amplitude, as fractions
    bandwidths : formant bandwidths in hertz, one for each formant
    """

    tilt: float
    breath: float
    jitter: float
    shimmer: float
    bandwidths: tuple[float, ...]


def vocal(
    rng: np.random.Generator,
    throat: Throat,
    *,
    pitch: Floats,
    voicing: Floats,
    breath: Floats,
    formants: Floats,
    roughness: Floats | None = None,
) -> Floats:
    """Filter voicing and breath noise with a vocal tract's formants.

    pitch : [m], hertz
    voicing, breath : [m], amplitudes
    formants : [m, q], hertz
    roughness : [m], amplitude of the subharmonics at half the pitch, relative to the voice

    Returns samples `[80 (m - 1)]`, not normalised.
    """
    count = len(pitch)
    widths = np.array(throat.bandwidths)
    pitch = pitch * (1 + throat.jitter * smooth_noise(rng, count, 40.0))
    voicing = voicing * np.maximum(0.0, 1 + throat.shimmer * smooth_noise(rng, count, 30.0))
    fundamental = pitch if roughness is None else pitch / 2
    numbers = np.arange(1, harmonic_count(fundamental) + 1)
    hertz = fundamental[:, None] * numbers
    gain = resonances(hertz, formants, widths) * (hertz / pitch[:, None]) ** -throat.tilt
    if roughness is not None:
        # Odd multiples of half the pitch are subharmonics, even ones harmonics of the voice.
        gain[:, ::2] *= roughness[:, None]
    sound = harmonics(fundamental, voicing[:, None] * gain)
    noise_gain = resonances(noise_hertz()[None, :], formants, widths)
    return sound + throat.breath * shaped_noise(rng, breath[:, None] * noise_gain)


def with_pauses(
    rng: np.random.Generator,
    seconds: float,
    pause: tuple[float, float],
    utter: Callable[[], Floats],
) -> Floats:
    """Utterances of varying loudness separated by pauses; the last one may be cut off.

    seconds : at least 1
    pause : shortest and longest pause, seconds
    utter : synthesises the next utterance

    Returns samples `[sample_count(seconds)]` with a peak of 1.
    """
    track = np.zeros(sample_count(seconds))
    start = int(rng.uniform(0.1, 0.5) * SAMPLE_RATE)
    while start < len(track):
        sound = utter()
        add_at(track, start, rng.uniform(0.6, 1.0) * sound)
        start += len(sound) + int(rng.uniform(*pause) * SAMPLE_RATE)
    track[-_FADE:] *= np.linspace(1.0, 0.0, _FADE)
    return normalized(track)
