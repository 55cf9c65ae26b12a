"""What happens to a sound on its way to the detector: level, noise, band limit, converter, speed.

Samples are float32 mono at 16 kHz, `[n]`, in and out; inputs are left as they are. Levels are in dB
of full scale (a full-scale square wave has 0 dB).
"""

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft

from crydistill.audio.mel import SAMPLE_RATE, Samples

SILENCE_DBFS = -120.0
"""Level of a sound that has none: digital silence."""

_STRETCH = SAMPLE_RATE // 20
_ACTIVE_SHARE = 0.01
_BAND_LIMIT_ORDER = 8


def active_level(samples: Samples) -> float:
    """Level while a sound sounds, in dB of full scale; -120 for silence.

    The root mean square over the 50 ms stretches within 20 dB of the loudest, so that pauses in a
    cry do not make it softer.
    """
    return power_level(stretch_powers(samples))


def stretch_powers(samples: Samples) -> npt.NDArray[np.float64]:
    """Mean power of each 50 ms, `[stretches]`; a last one that is not whole is left out."""
    whole = len(samples) // _STRETCH * _STRETCH
    stretches = samples[:whole].reshape(-1, _STRETCH)
    if whole == 0 and len(samples):
        stretches = samples[None, :]
    return np.asarray(np.mean(np.square(stretches, dtype=np.float64), axis=1))


def power_level(powers: npt.NDArray[np.float64]) -> float:
    """The active level, in dB of full scale, of a sound whose stretches have these powers."""
    loudest = float(powers.max(initial=0.0))
    if loudest == 0:
        return SILENCE_DBFS
    mean = float(powers[powers >= _ACTIVE_SHARE * loudest].mean())
    return max(SILENCE_DBFS, 10 * float(np.log10(mean)))


def gain(samples: Samples, decibels: float) -> Samples:
    """Make louder or softer; what exceeds full scale is clipped, as a converter does."""
    return clipped(samples * np.float32(10 ** (decibels / 20)))


def clipped(samples: Samples) -> Samples:
    """Limit to [-1, 1]."""
    return np.clip(samples, np.float32(-1), np.float32(1))


def add_noise(samples: Samples, noise: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    """Mix in a stretch of a noise recording, drawn at random, at a ratio of active levels.

    The signal keeps its level; the mix is not clipped. A noise shorter than the signal repeats.

    Raises
    ------
    ValueError
        if there is no noise.
    """
    if len(noise) == 0:
        raise ValueError("the noise has no samples")
    start = int(rng.integers(0, max(1, len(noise) - len(samples) + 1)))
    stretch = np.resize(noise[start:], len(samples))
    decibels = active_level(samples) - active_level(stretch) - snr_db
    return np.asarray(samples + stretch * np.float32(10 ** (decibels / 20)), dtype=np.float32)


def band_limit(samples: Samples, hertz: float) -> Samples:
    """Take away what lies above a frequency (down 6 dB there), without moving anything in time.

    Raises
    ------
    ValueError
        if the frequency does not lie between 0 and 8 kHz.
    """
    # Loads slowly, and live listening, which only asks for levels, does without.
    from scipy.signal import butter, sosfiltfilt

    if not 0 < hertz < SAMPLE_RATE / 2:
        raise ValueError(f"{hertz:g} Hz does not lie between 0 and {SAMPLE_RATE / 2:g} Hz")
    if len(samples) == 0:
        return samples.copy()
    sections = butter(_BAND_LIMIT_ORDER, hertz, fs=SAMPLE_RATE, output="sos")
    padding = min(len(samples) - 1, SAMPLE_RATE // 10)
    return np.asarray(sosfiltfilt(sections, samples, padlen=padding), dtype=np.float32)


def reduce_bits(samples: Samples, bits: int) -> Samples:
    """Round to the steps of a converter with so many bits, full scale [-1, 1].

    Raises
    ------
    ValueError
        if there are fewer than 2 bits.
    """
    if bits < 2:
        raise ValueError(f"a converter of {bits} bits has no steps")
    steps = np.float32(2 ** (bits - 1))
    return clipped(np.asarray(np.round(samples * steps) / steps, dtype=np.float32))


def change_speed(samples: Samples, factor: float) -> Samples:
    """Play faster (`factor` above 1: shorter and higher) or slower.

    Raises
    ------
    ValueError
        if the factor is not above 0.
    """
    import soxr

    if not factor > 0:
        raise ValueError(f"a speed of {factor:g} plays nothing")
    played = soxr.resample(samples, SAMPLE_RATE * factor, SAMPLE_RATE, quality="MQ")
    return np.asarray(played, dtype=np.float32)


def through_microphone(
    samples: Samples, points_hz: npt.ArrayLike, points_db: npt.ArrayLike
) -> Samples:
    """Colour a sound as a microphone with this frequency response does, without delay.

    Parameters
    ----------
    points_hz : ascending frequencies above 0; the response runs straight, in dB over the
        logarithm of frequency, from point to point, and flat outside them
    points_db : response at each, relative
    """
    if len(samples) == 0:
        return samples.copy()
    count = next_fast_len(len(samples) + SAMPLE_RATE // 20, real=True)
    hertz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    hertz[0] = hertz[1]
    decibels = np.interp(np.log(hertz), np.log(np.asarray(points_hz)), np.asarray(points_db))
    spectrum = rfft(samples, count) * (10 ** (decibels / 20)).astype(np.float32)
    return np.asarray(irfft(spectrum, count)[: len(samples)], dtype=np.float32)
