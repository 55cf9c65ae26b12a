"""A student's embedding of each window of a sound: what its memory keeps of it."""

from collections.abc import Callable, Iterable

import numpy as np

from crydistill.audio.mel import MEL_BANDS, MelStream, Samples
from crydistill.audio.windows import WINDOW_HOP_FRAMES, window_count, windows
from crydistill.feedback.cry_head import Int8
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.interpreters import LiteRt, quantize


def embeddings(
    student: TfliteStudent,
    blocks: Iterable[Samples],
    *,
    on_heard: Callable[[int], None] = lambda samples: None,
) -> Int8:
    """Embeddings of a sound's windows, int8 `[windows, size]`, in steps of the memory's scale.

    They come from the student's own network, run as on a device, and do not depend on its head.

    Parameters
    ----------
    student : with a memory
    blocks : of 16 kHz mono, of any size
    on_heard : called after each block with its number of samples
    """
    memory = student.manifest.memory
    assert memory is not None
    network, mel = LiteRt(student.tflite, student.kernels), MelStream()
    frames = np.empty((0, MEL_BANDS), dtype=np.float32)
    found = [np.empty((0, memory.size), dtype=np.int8)]
    for block in blocks:
        frames = np.concatenate([frames, mel.push(block)])
        count = window_count(len(frames))
        if count:
            found.append(_newest(network, student, frames, memory.size))
            frames = frames[count * WINDOW_HOP_FRAMES :].copy()
        on_heard(len(block))
    return np.concatenate(found)


def _newest(network: LiteRt, student: TfliteStudent, frames: Samples, size: int) -> Int8:
    source = student.facts.input
    patches = windows(frames)
    rows = np.empty((len(patches), size), dtype=np.int8)
    for row, patch in zip(rows, patches, strict=True):
        network.run(quantize(patch[None], source.scale, source.zero_point))
        kept = network.memory
        assert kept is not None
        row[:] = kept[0, -1]
    return rows
