"""Synthesis primitives: harmonics, resonances, shaped noise, simple room responses.

Everything is float64 at 16 kHz. Slowly varying parameters (pitch, loudness, formants) are control
curves with one point every 5 ms, interpolated linearly in between; `m` control points give
`80 (m - 1)` samples.

There is no feedback (no recursive filter), so a last-bit difference between two machines' sine or
FFT stays a last-bit difference.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.fft

from crydistill.audio.mel import SAMPLE_RATE

CONTROL_HOP = 80
CONTROL_RATE = SAMPLE_RATE / CONTROL_HOP

_NOISE_FRAME = 2 * CONTROL_HOP
_HARMONICS_FADE_HZ = (6_800.0, 7_800.0)
"""Harmonics fade out between these frequencies, so that a rising pitch never aliases at 8 kHz."""

_DB_PER_DOUBLING = 20 * math.log10(2)

Floats = npt.NDArray[np.float64]
"""Samples `[n]`, or a control curve `[m]` or `[m, k]`."""


def sample_count(seconds: float) -> int:
    """Number of samples in `seconds`."""
    return round(seconds * SAMPLE_RATE)


def control_points(seconds: float) -> int:
    """Length of a control curve for `seconds` of sound (rounded up to whole hops)."""
    return int(np.ceil(seconds * CONTROL_RATE - 1e-9)) + 1


def interpolated(curve: Floats) -> Floats:
    """Upsample a control curve `[m]` to samples `[80 (m - 1)]`."""
    ramp = np.arange(CONTROL_HOP) / CONTROL_HOP
    return (curve[:-1, None] + np.diff(curve)[:, None] * ramp).ravel()


def piecewise_linear(
    times: Sequence[float] | Floats, values: Sequence[float] | Floats, count: int
) -> Floats:
    """Piecewise linear control curve `[count]`; times are fractions of its length, 0 to 1."""
    return np.interp(np.linspace(0.0, 1.0, count), times, values)


def smooth_noise(rng: np.random.Generator, count: int, hertz: float) -> Floats:
    """Random control curve `[count]` of unit variance that changes at about `hertz`."""
    sigma = CONTROL_RATE / (2 * np.pi * hertz)
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    noise = rng.standard_normal(count + 2 * reach)
    kernel /= np.sqrt(np.sum(kernel**2))
    return np.convolve(noise, kernel, mode="valid")


def smoothed(curve: Floats, reach: int) -> Floats:
    """Control curve `[m]` smoothed over `reach` points to either side, with edge padding."""
    kernel = np.hanning(2 * reach + 3)
    padded = np.pad(curve, reach + 1, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def harmonics(pitch: Floats, amplitudes: Floats) -> Floats:
    """Sum of harmonics with a time-varying pitch.

    pitch : [m], hertz
    amplitudes : [m, k], of harmonics 1 to k; harmonics above 7.8 kHz are left out
    """
    low, high = _HARMONICS_FADE_HZ
    hertz = pitch[:, None] * np.arange(1, amplitudes.shape[1] + 1)
    amplitudes = amplitudes * np.clip((high - hertz) / (high - low), 0.0, 1.0)
    turns = np.cumsum(interpolated(pitch)) / SAMPLE_RATE
    step = np.exp(2j * np.pi * (turns % 1.0)).reshape(-1, CONTROL_HOP)
    power = np.ones_like(step)
    level, slope = np.zeros(step.shape), np.zeros(step.shape)
    for start, change in zip(amplitudes[:-1].T, np.diff(amplitudes, axis=0).T, strict=True):
        power *= step
        level += start[:, None] * power.imag
        slope += change[:, None] * power.imag
    return (level + slope * np.arange(CONTROL_HOP) / CONTROL_HOP).ravel()


def harmonic_count(pitch: Floats) -> int:
    """Number of harmonics below the upper limit at the lowest pitch."""
    return max(1, int(_HARMONICS_FADE_HZ[1] / np.min(pitch)))


def resonances(hertz: Floats, formants: Floats, bandwidths: Floats) -> Floats:
    """Magnitude response of a vocal tract (all-pole, unity at 0 Hz).

    hertz : [m, k]; formants : [m, q], hertz; bandwidths : [q], hertz. Returns [m, k].
    """
    gain = np.ones(np.broadcast_shapes(hertz.shape, (len(formants), 1)))
    for centre, width in zip(formants.T, bandwidths, strict=True):
        f0, f = centre[:, None] ** 2, hertz**2
        gain *= f0 / np.sqrt((f0 - f) ** 2 + f * width**2)
    return gain


def noise_hertz() -> Floats:
    """Frequencies of the columns of `shaped_noise`'s gain, `[81]`."""
    return np.asarray(scipy.fft.rfftfreq(_NOISE_FRAME, 1 / SAMPLE_RATE))


def shaped_noise(rng: np.random.Generator, gain: Floats) -> Floats:
    """Unit-variance white noise through a time-varying filter.

    gain : [m, 81], at the frequencies of `noise_hertz`
    """
    count = len(gain)
    white = rng.standard_normal((count + 1) * CONTROL_HOP)
    frames = np.lib.stride_tricks.sliding_window_view(white, _NOISE_FRAME)[::CONTROL_HOP]
    window = np.sin(np.pi * (np.arange(_NOISE_FRAME) + 0.5) / _NOISE_FRAME)
    shaped = scipy.fft.irfft(scipy.fft.rfft(frames * window) * gain, _NOISE_FRAME) * window
    out = np.zeros((count + 1, CONTROL_HOP))
    out[:-1] += shaped[:, :CONTROL_HOP]
    out[1:] += shaped[:, CONTROL_HOP:]
    return out[1:-1].ravel()


def coloured_noise(rng: np.random.Generator, count: int, slope_db: float) -> Floats:
    """Stationary unit-variance noise whose spectrum falls by `slope_db` (>= 0) per octave."""
    length = scipy.fft.next_fast_len(count, real=True)
    spectrum = scipy.fft.rfft(rng.standard_normal(length))
    hertz = np.maximum(scipy.fft.rfftfreq(length, 1 / SAMPLE_RATE), 30.0)
    fall = hertz ** (-slope_db / _DB_PER_DOUBLING)
    noise = np.asarray(scipy.fft.irfft(spectrum * fall, length))[:count]
    return noise / rms(noise)


def room_response(
    rng: np.random.Generator, *, reverberation: float, direct_db: float, reflections: int = 6
) -> Floats:
    """Impulse response of a simple room: direct sound, early reflections, decaying noise.

    reverberation : RT60 in seconds
    direct_db : direct-to-reverberant ratio in dB
    """
    count = int((reverberation + 0.05) * SAMPLE_RATE)
    time = np.arange(count) / SAMPLE_RATE
    tail = rng.standard_normal(count) * 10.0 ** (-3.0 * time / reverberation)
    # Walls and air absorb high frequencies first; from 6 ms on, reflections overlap.
    tail = np.convolve(tail, [0.25, 0.5, 0.25], mode="same") * np.clip(time / 0.006, 0.0, 1.0)
    tail /= np.sqrt(np.sum(tail**2))
    for delay in rng.uniform(0.0015, 0.02, reflections):
        index = int(delay * SAMPLE_RATE)
        tail[index] += rng.choice([-1.0, 1.0]) * rng.uniform(0.2, 0.6)
    tail /= np.sqrt(np.sum(tail**2)) * 10.0 ** (direct_db / 20)
    tail[0] = 1.0
    return np.asarray(tail)


def microphone_response(hertz: Floats, low_cut: float, high_cut: float) -> Floats:
    """Response of a small microphone: second-order roll-off below `low_cut`, above `high_cut`."""
    power = hertz**4
    return np.sqrt(power / (power + low_cut**4) * (high_cut**4 / (power + high_cut**4)))


def record_in_room(samples: Floats, response: Floats, *, low_cut: float, high_cut: float) -> Floats:
    """Apply a room impulse response and a microphone response to `[n]` samples; keeps length."""
    length = scipy.fft.next_fast_len(len(samples) + len(response) - 1, real=True)
    spectrum = scipy.fft.rfft(samples, length) * scipy.fft.rfft(response, length)
    spectrum *= microphone_response(scipy.fft.rfftfreq(length, 1 / SAMPLE_RATE), low_cut, high_cut)
    return np.asarray(scipy.fft.irfft(spectrum, length)[: len(samples)])


def rms(samples: Floats) -> float:
    """Root mean square of samples."""
    return float(np.sqrt(np.mean(samples**2)))


def normalized(samples: Floats) -> Floats:
    """Scale samples to a peak of 1; silence is returned unchanged."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return samples / peak if peak > 0 else samples


def active_rms(samples: Floats) -> float:
    """RMS over the 50 ms blocks within 20 dB of the loudest; needs at least 50 ms.

    The perceived level of a sound with pauses.
    """
    block = SAMPLE_RATE // 20
    power = np.mean(samples[: len(samples) // block * block].reshape(-1, block) ** 2, axis=1)
    return float(np.sqrt(np.mean(power[power >= 0.01 * np.max(power)])))


def fix_length(samples: Floats, count: int) -> Floats:
    """Trim or zero-pad to `count` samples."""
    return samples[:count] if len(samples) >= count else np.pad(samples, (0, count - len(samples)))


def add_at(track: Floats, start: int, samples: Floats) -> None:
    """Mix samples into a track in index from `start >= 0`, cut off at the track's end."""
    stop = min(len(track), start + len(samples))
    if stop > start:
        track[start:stop] += samples[: stop - start]
