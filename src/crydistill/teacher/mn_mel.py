"""EfficientAT's log-mel front end at 32 kHz, streaming, for audio at 16 kHz.

16 kHz samples are interpolated to 32 kHz; then x[t] - 0.97 x[t-1], a symmetric Hann window of 800
samples centred in an FFT of 1024 every 320 samples, power, 128 triangular bands (Kaldi's mel
filters, 0-15,000 Hz), ln(band + 1e-5), and (v + 4.5) / 5. Before the recording's start, its first
12.5 ms are reflected.

Frame i is centred on 10 i ms and reaches 16.5 ms further, the interpolation included; frame i of
`crydistill.audio.mel` reaches 25 ms further. So whoever has the latter has the former. That is why
the resampler here is a filter of known length rather than soxr's.

Source: https://github.com/fschmid56/EfficientAT (models/preprocess.py); the bands follow the
definition of Kaldi's `mel-computations.cc`.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal

from crydistill.audio.mel import SAMPLE_RATE, Samples, hertz_to_mel

MN_MEL_BANDS = 128
MN_FRAME_HOP = 320
MN_FRONT_END_VERSION = "efficientat-log-mel-1"
"""Identifies this front end with its resampler; scores made with another one are rejected."""

_RATE = 2 * SAMPLE_RATE
_WINDOW_LENGTH = 800
_FFT_LENGTH = 1024
_HIGHEST_HZ = 15_000.0
_PRE_EMPHASIS = 0.97
_LOG_OFFSET = 1e-5

_TAPS = 148
"""Input samples, half of them on either side, from which two samples at 32 kHz are made."""

_CUTOFF_HZ = 7_650.0
_KAISER_BETA = 10.0
"""With `_TAPS`: flat up to 7.3 kHz, 100 dB down from 8 kHz on, so nothing is mirrored there."""

_FRAMES_AT_ONCE = 2048
"""Limits working memory to about 30 MB."""

MnLogMel = npt.NDArray[np.float32]
"""Normalised log-mel frames, `[frames, 128]`."""


class MnMelStream:
    """Log-mel frames of audio that arrives in chunks of any size.

    Examples
    --------
    >>> import numpy as np
    >>> from crydistill.teacher.mn_mel import MnMelStream
    >>> samples = np.random.default_rng(0).uniform(-1, 1, 16_000).astype(np.float32)
    >>> whole = MnMelStream().push(samples)
    >>> whole.shape
    (99, 128)
    >>> stream = MnMelStream()
    >>> parts = [stream.push(samples[at : at + 1_000]) for at in range(0, 16_000, 1_000)]
    >>> bool(np.allclose(np.concatenate(parts), whole, atol=1e-4))
    True
    """

    def __init__(self) -> None:
        self._samples = np.zeros(_TAPS // 2 - 1, dtype=np.float32)
        self._emphasised = np.empty(0, dtype=np.float32)
        self._started = False

    def push(self, samples: Samples) -> MnLogMel:
        """Add 16 kHz samples (`[n]`, any n) and return the frames they complete, `[k, 128]`."""
        self._samples = np.concatenate([self._samples, np.asarray(samples, dtype=np.float32)])
        emphasised = _emphasised_at_32_khz(self._samples)
        self._samples = self._samples[len(emphasised) // 2 :].copy()
        waiting = np.concatenate([self._emphasised, emphasised])
        reach = _WINDOW_LENGTH // 2
        if not self._started and len(waiting) > reach:
            waiting = np.concatenate([waiting[reach:0:-1], waiting])
            self._started = True
        frames = _log_mel(waiting) if self._started else _no_frames()
        self._emphasised = waiting[len(frames) * MN_FRAME_HOP :].copy()
        return frames


def _emphasised_at_32_khz(samples: Samples) -> Samples:
    """Two samples for each of `samples` that has all its `_TAPS` neighbours, pre-emphasised."""
    count = len(samples) - _TAPS
    if count <= 0:
        return np.empty(0, dtype=np.float32)
    early, late = (np.convolve(samples, taps, "valid") for taps in _interpolators())
    out = np.empty(2 * count, dtype=np.float32)
    out[0::2] = late[:-1] - np.float32(_PRE_EMPHASIS) * early[:-1]
    out[1::2] = early[1:] - np.float32(_PRE_EMPHASIS) * late[:-1]
    return out


def _log_mel(emphasised: Samples) -> MnLogMel:
    if len(emphasised) < _WINDOW_LENGTH:
        return _no_frames()
    framed = np.lib.stride_tricks.sliding_window_view(emphasised, _WINDOW_LENGTH)[::MN_FRAME_HOP]
    parts = []
    for start in range(0, len(framed), _FRAMES_AT_ONCE):
        windowed = framed[start : start + _FRAMES_AT_ONCE] * _hann_window()
        spectrum = scipy.fft.rfft(windowed, _FFT_LENGTH, axis=1)
        bands = (spectrum.real**2 + spectrum.imag**2) @ mn_mel_matrix()
        parts.append((np.log(bands + np.float32(_LOG_OFFSET)) + np.float32(4.5)) / np.float32(5))
    return np.concatenate(parts)


def _no_frames() -> MnLogMel:
    return np.empty((0, MN_MEL_BANDS), dtype=np.float32)


@cache
def _interpolators() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Filters for the samples a quarter of a sample before and after the middle, `[148]` each.

    They are the two phases of one symmetric low-pass filter at 32 kHz.
    """
    taps = scipy.signal.firwin(
        2 * _TAPS, _CUTOFF_HZ, window=("kaiser", _KAISER_BETA), fs=_RATE
    ).astype(np.float32)
    return 2 * taps[0::2], 2 * taps[1::2]


@cache
def _hann_window() -> npt.NDArray[np.float32]:
    return np.hanning(_WINDOW_LENGTH).astype(np.float32)


@cache
def mn_mel_matrix() -> npt.NDArray[np.float32]:
    """Weights from the 513 power bins to the 128 bands, `[513, 128]`; triangles linear in mel.

    Kaldi's filters have no weight on the highest bin.
    """
    bins = hertz_to_mel(np.arange(_FFT_LENGTH // 2) * _RATE / _FFT_LENGTH)[:, None]
    edges = np.linspace(0.0, float(hertz_to_mel(_HIGHEST_HZ)), MN_MEL_BANDS + 2)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling))
    matrix = np.concatenate([weights, np.zeros((1, MN_MEL_BANDS))]).astype(np.float32)
    matrix.setflags(write=False)
    return matrix
