"""A clip as a page draws it: log-mel picture, level over time, and the student's scores."""

import base64
from typing import Any

import numpy as np

from crydistill.audio.mel import MEL_BANDS, SAMPLE_RATE, MelStream
from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.clip_folder import KeptClip
from crydistill.detector.stream import WindowScorer, score_blocks
from crydistill.detector.vote import WINDOW_SECONDS
from crydistill.feedback.clip_samples import clip_samples

COLUMNS = 600
_LONGEST_SECONDS = 600.0
_RANGE = (-7.0, 3.0)
"""Log-mel values that are drawn black and white: silence and a loud voice."""


def clip_picture(clip: KeptClip, scorer: WindowScorer) -> dict[str, Any]:
    """What a page needs to draw a clip, as plain values.

    Returns
    -------
    dict with `seconds`; `mel`, bytes `[columns, 64]` in base64, lowest band first; `columns`;
    `scores`, one a window; `first` and `hop`, seconds at which the first window ends and between
    windows.

    Raises
    ------
    AudioError
        if the clip cannot be read.
    """
    samples = clip_samples(clip, _LONGEST_SECONDS)
    frames = MelStream().push(samples)
    columns = min(COLUMNS, max(1, len(frames)))
    edges = np.linspace(0, len(frames), columns + 1).astype(int)[:-1]
    drawn = np.maximum.reduceat(frames, edges) if len(frames) else np.empty((0, MEL_BANDS))
    low, high = _RANGE
    shades = np.clip((drawn - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    scores = [float(one) for block in score_blocks([samples], scorer) for one in block]
    return {
        "seconds": len(samples) / SAMPLE_RATE,
        "columns": len(shades),
        "mel": base64.b64encode(shades.tobytes()).decode(),
        "scores": [round(score, 4) for score in scores],
        "first": WINDOW_SECONDS,
        "hop": WINDOW_HOP_SECONDS,
    }
