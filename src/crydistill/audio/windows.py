"""The window grid: 96-frame windows with a hop of 48 frames."""

from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import FRAME_HOP, FRAME_LENGTH, SAMPLE_RATE

WINDOW_FRAMES = 96
WINDOW_HOP_FRAMES = 48
WINDOW_HOP_SAMPLES = WINDOW_HOP_FRAMES * FRAME_HOP
WINDOW_HOP_SECONDS = WINDOW_HOP_SAMPLES / SAMPLE_RATE

WINDOW_SAMPLES = FRAME_LENGTH + (WINDOW_FRAMES - 1) * FRAME_HOP
"""15,600 samples, 0.975 s: the length of the shortest recording with one window."""


def window_count(frames: int) -> int:
    """Number of complete windows in `frames` frames."""
    return max(0, 1 + (frames - WINDOW_FRAMES) // WINDOW_HOP_FRAMES)


def windows(frames: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """View a recording's frames as overlapping windows.

    Parameters
    ----------
    frames : np.ndarray [shape=(n, 64)]

    Returns
    -------
    np.ndarray [shape=(window_count(n), 96, 64)], a read-only view; window i starts at frame 48 i.

    Examples
    --------
    >>> import numpy as np
    >>> from crydistill.audio.windows import windows
    >>> frames = np.arange(200, dtype=np.float32)[:, None] * np.ones(64, dtype=np.float32)
    >>> patches = windows(frames)
    >>> patches.shape
    (3, 96, 64)
    >>> patches[:, 0, 0].tolist()  # the first frame of each window
    [0.0, 48.0, 96.0]
    """
    if window_count(len(frames)) == 0:
        return np.empty((0, WINDOW_FRAMES, frames.shape[1]), dtype=frames.dtype)
    view = np.lib.stride_tricks.sliding_window_view(frames, WINDOW_FRAMES, axis=0)
    return view[::WINDOW_HOP_FRAMES].transpose(0, 2, 1)


def window_start_seconds(count: int) -> npt.NDArray[np.float64]:
    """Start time of each of `count` windows, in seconds from the recording's start."""
    return np.arange(count, dtype=np.float64) * WINDOW_HOP_SECONDS
