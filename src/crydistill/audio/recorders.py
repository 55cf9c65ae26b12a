"""Model the electronics that recorded a sound: small microphones, telephones, baby monitors.

A real microphone is not the flat one that most open recordings of other sounds were made with. Each
model is a filter that such a part has by its physics or its standard, with parameters drawn anew,
and where the part has one, a compressor and a coarse converter. Samples are float32 mono at 16 kHz.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from crydistill.audio.augment import active_level, clipped, reduce_bits
from crydistill.audio.mel import SAMPLE_RATE, Samples

Response = npt.NDArray[np.complex128]
"""Complex frequency response at some frequencies."""

Hertz = npt.NDArray[np.float64]

Recorder = Callable[[Samples, np.random.Generator], Samples]

_TAIL = SAMPLE_RATE // 10
"""Filters ring for less than this: the lowest cut-off is 60 Hz."""

_GAIN_BLOCK = SAMPLE_RATE // 100
_LOUD_DBFS = -12.0
"""Active level to which a device with automatic gain control brings a sound."""


def through_recorder(samples: Samples, rng: np.random.Generator) -> Samples:
    """Record a sound with one of the `RECORDERS`, drawn at random; keeps length and active level.

    Parameters
    ----------
    samples : float32 `[n]` at 16 kHz

    Returns
    -------
    float32 `[n]`, not clipped; silence stays silence.
    """
    recorder = list(RECORDERS.values())[int(rng.integers(len(RECORDERS)))]
    recorded = recorder(samples, rng)
    if not recorded.any():
        return samples.copy()
    decibels = active_level(samples) - active_level(recorded)
    return np.asarray(recorded * np.float32(10 ** (decibels / 20)), dtype=np.float32)


def electret(samples: Samples, rng: np.random.Generator) -> Samples:
    """An electret capsule: a high-pass of its amplifier, and a resonance of its membrane."""
    low, peak = _log_uniform(rng, 60, 350), _log_uniform(rng, 3_500, 7_500)
    quality = _log_uniform(rng, 1.2, 4)
    return _filtered(samples, lambda f: _high_pass(f, low) * _resonance(f, peak, quality))


def mems(samples: Samples, rng: np.random.Generator) -> Samples:
    """A cheap MEMS microphone behind a hole in a case: a Helmholtz resonator before a flat one.

    Above the resonance the case shields the microphone, which leaves a muffled sound.
    """
    low, peak = _log_uniform(rng, 60, 200), _log_uniform(rng, 1_500, 5_000)
    quality = _log_uniform(rng, 1.5, 8)
    return _filtered(samples, lambda f: _high_pass(f, low) * _resonance(f, peak, quality))


def telephone(samples: Samples, rng: np.random.Generator) -> Samples:
    """A telephone call: 300 to 3400 Hz, logarithmic 8-bit samples (ITU-T G.711)."""
    low, high = float(rng.uniform(200, 350)), float(rng.uniform(3_200, 3_700))
    coded = _in_mu_law(_raised_to(samples, float(rng.uniform(-30, _LOUD_DBFS))))
    return _filtered(coded, lambda f: _band(f, low, high, order=10))


def baby_monitor(samples: Samples, rng: np.random.Generator) -> Samples:
    """A baby monitor: about 200 to 3800 Hz, compressed, and clipped softly where it is loud."""
    low, high = float(rng.uniform(150, 300)), float(rng.uniform(3_400, 4_200))
    loud = _raised_to(samples, _LOUD_DBFS)
    pressed = _compressed(loud, ratio=float(rng.uniform(1.5, 4)))
    drive = np.float32(10 ** (rng.uniform(0, 12) / 20))
    return _filtered(np.tanh(drive * pressed), lambda f: _band(f, low, high, order=6))


def narrow_band(samples: Samples, rng: np.random.Generator) -> Samples:
    """A recorder at 8 kHz: nothing above about 3.7 kHz, and often few bits."""
    low, high = _log_uniform(rng, 40, 150), float(rng.uniform(3_500, 3_900))
    if rng.random() < 0.5:
        samples = _raised_to(samples, float(rng.uniform(-35, _LOUD_DBFS)))
        samples = reduce_bits(samples, int(rng.integers(8, 13)))
    return _filtered(samples, lambda f: _band(f, low, high, order=20))


RECORDERS: dict[str, Recorder] = {
    "electret": electret,
    "mems": mems,
    "telephone": telephone,
    "baby monitor": baby_monitor,
    "narrow band": narrow_band,
}


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _filtered(samples: Samples, response: Callable[[Hertz], Response]) -> Samples:
    """Apply a causal filter given by its response at frequencies from 0 to 8 kHz."""
    if len(samples) == 0:
        return samples.copy()
    count = next_fast_len(len(samples) + _TAIL, real=True)
    gain = response(np.asarray(np.fft.rfftfreq(count, 1 / SAMPLE_RATE), np.float64))
    spectrum = rfft(samples, count) * gain.astype(np.complex64)
    return np.asarray(irfft(spectrum, count)[: len(samples)], dtype=np.float32)


def _high_pass(hertz: Hertz, cut: float) -> Response:
    """Second-order Butterworth high-pass of an analogue amplifier."""
    s = 1j * hertz / cut
    return np.asarray(s**2 / (s**2 + np.sqrt(2) * s + 1))


def _resonance(hertz: Hertz, peak: float, quality: float) -> Response:
    """Second-order resonator: 1 below its peak, `quality` at it, falling by 12 dB/octave above."""
    s = 1j * hertz / peak
    return np.asarray(1 / (s**2 + s / quality + 1))


def _band(hertz: Hertz, low: float, high: float, *, order: int) -> Response:
    """Band-pass: second-order below, Butterworth of an even order above, without its delay."""
    return np.asarray(_high_pass(hertz, low) / np.sqrt(1 + (hertz / high) ** (2 * order)))


def _raised_to(samples: Samples, dbfs: float) -> Samples:
    """Bring a sound to an active level, as automatic gain control does; silence stays."""
    decibels = dbfs - active_level(samples)
    return np.asarray(samples * np.float32(10 ** (decibels / 20)), dtype=np.float32)


def _compressed(samples: Samples, *, ratio: float) -> Samples:
    """Reduce level differences by `ratio`: quick to turn down, slower (0.1 s) to turn up."""
    if len(samples) == 0:
        return samples.copy()
    power = uniform_filter1d(np.square(samples, dtype=np.float64), _GAIN_BLOCK)
    held = np.sqrt(np.maximum(maximum_filter1d(power, 5 * _GAIN_BLOCK), 1e-10))
    # At most 30 dB more gain for faint sounds, or pauses would turn into loud noise.
    held = uniform_filter1d(np.maximum(held, 0.03 * held.max()), 5 * _GAIN_BLOCK)
    loudest = float(held.max())
    return np.asarray(samples * (held / loudest) ** (1 / ratio - 1), dtype=np.float32)


def _in_mu_law(samples: Samples) -> Samples:
    """Quantise to the 255 levels of mu-law PCM, clipping at full scale."""
    mu = 255.0
    magnitude = np.log1p(mu * np.abs(clipped(samples))) / np.log1p(mu)
    levels = np.round(127 * magnitude) / 127
    return np.asarray(np.sign(samples) * np.expm1(levels * np.log1p(mu)) / mu, dtype=np.float32)
