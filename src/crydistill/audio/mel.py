"""YAMNet's log-mel front end in NumPy and SciPy, whole-file and streaming.

16 kHz mono samples become one 64-band log-mel frame every 10 ms: periodic Hann window of 400
samples, zero-padded at its end to 512, magnitude spectrum, triangular mel bands (linear in mel,
HTK scale, 125-7500 Hz), natural logarithm of the band plus 0.001. Frames are neither centred nor
padded; incomplete frames are dropped.

The computation is in float64, the frames are float32. A float32 FFT, tf.signal's included, is off
by up to 1e-2 in bands that a loud pure tone leaves empty, where rounding noise is comparable to the
0.001 offset.

Source: `tensorflow/models/research/audioset/yamnet` (features.py, params.py); the mel matrix
follows the definition of `tf.signal.linear_to_mel_weight_matrix`.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.sparse

SAMPLE_RATE = 16_000
FRAME_LENGTH = 400
FRAME_HOP = 160
FFT_LENGTH = 512
MEL_BANDS = 64
MEL_MIN_HZ = 125.0
MEL_MAX_HZ = 7_500.0
LOG_OFFSET = 1e-3

FRAMES_PER_SECOND = SAMPLE_RATE / FRAME_HOP
FRONT_END_VERSION = "yamnet-log-mel-1"
"""Identifies this front end; stores and models made by another one are rejected."""

_BLOCK = 64
"""The FFT runs on blocks of this many rows, the last one zero-padded. A SIMD FFT rounds rows in a
full vector differently from leftover rows; full blocks make a frame bit-identical however the
audio was chunked."""

_BLOCKS_AT_ONCE = 2
"""A step's arrays (2 MB) stay in the cache and in memory that the process already has. Those of
whole recordings come as pages fresh from the system, which took up to 1.6 times as long."""

Samples = npt.NDArray[np.float32]
"""Mono audio at 16 kHz, shape `[n]`, nominally in [-1, 1]."""

LogMel = npt.NDArray[np.float32]
"""Log-mel frames, shape `[frames, 64]`, in ln units from ln(0.001) upwards."""


def frame_count(samples: int) -> int:
    """Number of complete frames in `samples` samples."""
    return max(0, 1 + (samples - FRAME_LENGTH) // FRAME_HOP)


def log_mel(samples: Samples) -> LogMel:
    """Compute the log-mel frames of a recording.

    Parameters
    ----------
    samples : np.ndarray [shape=(n,)], float32, 16 kHz mono in [-1, 1]

    Returns
    -------
    np.ndarray [shape=(frame_count(n), 64)], float32; frame i covers samples
    `[160 i, 160 i + 400)`.

    Examples
    --------
    >>> import numpy as np
    >>> from crydistill.audio.mel import log_mel
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    >>> frames = log_mel(tone)
    >>> frames.shape
    (98, 64)
    >>> int(frames[0].argmax())  # the band around 1 kHz
    19
    """
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    count = frame_count(len(samples))
    out = np.empty((count, MEL_BANDS), dtype=np.float32)
    if count == 0:
        return out
    framed = np.lib.stride_tricks.sliding_window_view(samples, FRAME_LENGTH)[::FRAME_HOP]
    step = _BLOCK * _BLOCKS_AT_ONCE
    for start in range(0, count, step):
        stop = min(start + step, count)
        out[start:stop] = _log_mel_of_frames(framed[start:stop])
    return out


class MelStream:
    """Streaming `log_mel` for audio that arrives in chunks of any size.

    The frames are bit-identical to those of `log_mel` over the concatenated chunks.

    Examples
    --------
    >>> import numpy as np
    >>> from crydistill.audio.mel import MelStream, log_mel
    >>> samples = np.random.default_rng(0).uniform(-1, 1, 16_000).astype(np.float32)
    >>> stream = MelStream()
    >>> chunks = [stream.push(samples[start : start + 1_000]) for start in range(0, 16_000, 1_000)]
    >>> [len(chunk) for chunk in chunks[:4]]
    [4, 7, 6, 6]
    >>> np.array_equal(np.concatenate(chunks), log_mel(samples))
    True
    """

    def __init__(self) -> None:
        self._rest = np.empty(0, dtype=np.float32)

    def push(self, samples: Samples) -> LogMel:
        """Add samples (`[n]`, any n) and return the frames they complete, `[k, 64]`."""
        self._rest = np.concatenate([self._rest, np.asarray(samples, dtype=np.float32)])
        frames = log_mel(self._rest)
        self._rest = self._rest[len(frames) * FRAME_HOP :].copy()
        return frames


@cache
def mel_matrix() -> npt.NDArray[np.float64]:
    """Mel filter bank: weights from the 257 magnitude bins to the 64 bands, `[257, 64]`.

    Triangles are linear on the HTK mel scale and peak at 1; the DC bin has no weight.
    """
    bins_mel = hertz_to_mel(np.linspace(0.0, SAMPLE_RATE / 2, FFT_LENGTH // 2 + 1)[1:])[:, None]
    edges = np.linspace(hertz_to_mel(MEL_MIN_HZ), hertz_to_mel(MEL_MAX_HZ), MEL_BANDS + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins_mel - lower) / (centre - lower)
    falling = (upper - bins_mel) / (upper - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    matrix = np.concatenate([np.zeros((1, MEL_BANDS)), weights])
    matrix.setflags(write=False)
    return matrix


def hertz_to_mel(hertz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Convert hertz to HTK mel: 1127 ln(1 + f / 700)."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0))


@cache
def _sparse_mel_matrix() -> scipy.sparse.csr_array:
    # Sparse also because its sums have a fixed order; BLAS does not guarantee that per row.
    return scipy.sparse.csr_array(mel_matrix().T)


@cache
def hann_window() -> npt.NDArray[np.float64]:
    """Periodic Hann window, `[400]`."""
    phase = 2.0 * np.pi * np.arange(FRAME_LENGTH) / FRAME_LENGTH
    return 0.5 - 0.5 * np.cos(phase)


def _log_mel_of_frames(framed: Samples) -> LogMel:
    count = len(framed)
    blocks = -(-count // _BLOCK)
    padded = np.zeros((blocks * _BLOCK, FFT_LENGTH))
    np.multiply(framed, hann_window(), out=padded[:count, :FRAME_LENGTH])
    magnitude = np.abs(scipy.fft.rfft(padded, axis=1))
    bands = (_sparse_mel_matrix() @ magnitude[:count].T).T
    return np.asarray(np.log(bands + LOG_OFFSET), dtype=np.float32)
