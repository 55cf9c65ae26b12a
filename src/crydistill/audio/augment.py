"""Audio transforms for augmentation and robustness tests: gain, noise, low-pass, bits, speed.

Samples are float32 mono at 16 kHz, `[n]`, in and out; inputs are not modified. Levels are in dBFS
(a full-scale square wave has 0 dB).
"""

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft

from crydistill.audio.mel import SAMPLE_RATE, Samples

SILENCE_DBFS = -120.0
"""Level given to digital silence."""

STRETCH_SAMPLES = SAMPLE_RATE // 20
"""Levels are measured over stretches of 50 ms."""

_ACTIVE_POWER_RATIO = 0.01
_BAND_LIMIT_ORDER = 8


def active_level(samples: Samples) -> float:
    """Active level of a sound in dBFS, ignoring pauses; -120 for silence.

    The RMS over the 50 ms blocks within 20 dB of the loudest one, so that pauses in a cry do not
    lower its level.
    """
    return power_level(stretch_powers(samples))


def stretch_powers(samples: Samples) -> npt.NDArray[np.float64]:
    """Mean power of each 50 ms block, `[blocks]`; an incomplete last block is dropped."""
    whole = len(samples) // STRETCH_SAMPLES * STRETCH_SAMPLES
    blocks = samples[:whole].reshape(-1, STRETCH_SAMPLES)
    if whole == 0 and len(samples):
        blocks = samples[None, :]
    return np.asarray(np.mean(np.square(blocks, dtype=np.float64), axis=1))


def power_level(powers: npt.NDArray[np.float64]) -> float:
    """Active level in dBFS from the block powers of `stretch_powers`."""
    loudest = float(powers.max(initial=0.0))
    if loudest == 0:
        return SILENCE_DBFS
    mean = float(powers[powers >= _ACTIVE_POWER_RATIO * loudest].mean())
    return max(SILENCE_DBFS, 10 * float(np.log10(mean)))


def gain(samples: Samples, decibels: float) -> Samples:
    """Apply a gain in dB and clip at full scale, as an ADC does."""
    return clipped(samples * np.float32(10 ** (decibels / 20)))


def clipped(samples: Samples) -> Samples:
    """Clip to [-1, 1]."""
    return np.clip(samples, np.float32(-1), np.float32(1))


def add_noise(samples: Samples, noise: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    """Add a random excerpt of a noise recording at a signal-to-noise ratio.

    The ratio is between active levels. The signal keeps its level; the mix is not clipped. Noise
    shorter than the signal is repeated.

    Raises
    ------
    ValueError
        if the noise is empty.
    """
    if len(noise) == 0:
        raise ValueError("the noise has no samples")
    start = int(rng.integers(0, max(1, len(noise) - len(samples) + 1)))
    excerpt = np.resize(noise[start:], len(samples))
    decibels = active_level(samples) - active_level(excerpt) - snr_db
    return np.asarray(samples + excerpt * np.float32(10 ** (decibels / 20)), dtype=np.float32)


def band_limit(samples: Samples, hertz: float) -> Samples:
    """Apply a zero-phase low-pass filter that is 6 dB down at `hertz`.

    Raises
    ------
    ValueError
        if the frequency is not between 0 and 8 kHz.
    """
    # Slow to import, and live detection, which only needs levels, never calls this.
    from scipy.signal import butter, sosfiltfilt

    if not 0 < hertz < SAMPLE_RATE / 2:
        raise ValueError(f"{hertz:g} Hz is not between 0 and {SAMPLE_RATE / 2:g} Hz")
    if len(samples) == 0:
        return samples.copy()
    sections = butter(_BAND_LIMIT_ORDER, hertz, fs=SAMPLE_RATE, output="sos")
    padding = min(len(samples) - 1, SAMPLE_RATE // 10)
    return np.asarray(sosfiltfilt(sections, samples, padlen=padding), dtype=np.float32)


def reduce_bits(samples: Samples, bits: int) -> Samples:
    """Quantise to the steps of a converter with this many bits, full scale [-1, 1].

    Raises
    ------
    ValueError
        if there are fewer than 2 bits.
    """
    if bits < 2:
        raise ValueError(f"cannot quantise to {bits} bits; at least 2 are needed")
    steps = np.float32(2 ** (bits - 1))
    return clipped(np.asarray(np.round(samples * steps) / steps, dtype=np.float32))


def change_speed(samples: Samples, factor: float) -> Samples:
    """Resample to play at another speed; a `factor` above 1 is faster: shorter and higher.

    Raises
    ------
    ValueError
        if the factor is not positive.
    """
    import soxr

    if not factor > 0:
        raise ValueError(f"a speed of {factor:g} is not positive")
    played = soxr.resample(samples, SAMPLE_RATE * factor, SAMPLE_RATE, quality="MQ")
    return np.asarray(played, dtype=np.float32)


def through_microphone(
    samples: Samples, points_hz: npt.ArrayLike, points_db: npt.ArrayLike
) -> Samples:
    """Apply a microphone's frequency response with zero phase.

    Parameters
    ----------
    points_hz : ascending frequencies above 0; the response in dB is interpolated linearly over
        log frequency between them and constant outside
    points_db : relative response at each frequency
    """
    if len(samples) == 0:
        return samples.copy()
    count = next_fast_len(len(samples) + SAMPLE_RATE // 20, real=True)
    hertz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    hertz[0] = hertz[1]
    decibels = np.interp(np.log(hertz), np.log(np.asarray(points_hz)), np.asarray(points_db))
    spectrum = rfft(samples, count) * (10 ** (decibels / 20)).astype(np.float32)
    return np.asarray(irfft(spectrum, count)[: len(samples)], dtype=np.float32)
