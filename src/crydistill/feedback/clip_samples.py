"""The sound of a kept clip."""

import numpy as np

from crydistill.audio.files import AudioReader
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.detector.clip_folder import KeptClip


def clip_samples(clip: KeptClip, longest: float) -> Samples:
    """A clip's samples, 16 kHz mono, of no more than `longest` seconds; the rest is not decoded.

    Raises
    ------
    AudioError
        if the clip cannot be read.
    """
    most = int(longest * SAMPLE_RATE)
    parts: list[Samples] = []
    for block in AudioReader(clip.path).blocks():
        parts.append(block)
        if sum(map(len, parts)) >= most:
            break
    return np.concatenate(parts)[:most]
