"""Measure the tensor arena that TFLite Micro needs for a student.

Measured with Google's interpreter on the host. Its bookkeeping contains pointers, so the figure is
for a 64-bit host; on a 32-bit microcontroller it is slightly smaller with the same kernels, and
larger with vendor kernels that need scratch buffers.
"""

import struct

import numpy as np

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import WINDOW_FRAMES
from crydistill.errors import ModelError
from crydistill.tflite.interpreters import TfliteMicro

HOST_BITS = 8 * struct.calcsize("P")
"""Pointer width of the interpreter being measured."""

LARGEST_ARENA = 8 << 20
"""Bytes: the PSRAM of the largest ESP32-S3 modules."""

_PATCH_BYTES = WINDOW_FRAMES * MEL_BANDS
"""Lower bound of the search: an arena this small cannot even hold the input, and the interpreter
crashes with one of a few hundred bytes."""


def arena_bytes(tflite: bytes) -> int:
    """Size of the smallest tensor arena in which TFLite Micro runs the model.

    Exact to the byte, for an arena aligned to 16 bytes: with one byte less the interpreter refuses.
    (The usage that the interpreter itself reports is rounded up by as much as 15 bytes.)

    Parameters
    ----------
    tflite : a model that `inspect_tflite` has accepted

    Raises
    ------
    MissingExtraError
        if tflite-micro is not installed.
    ModelError
        if the model does not run even in `LARGEST_ARENA`.
    """
    TfliteMicro(tflite, LARGEST_ARENA)
    too_small, enough = _PATCH_BYTES, LARGEST_ARENA
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        if _runs(tflite, middle):
            enough = middle
        else:
            too_small = middle
    return enough


def _runs(tflite: bytes, arena: int) -> bool:
    try:
        TfliteMicro(tflite, arena).run(np.zeros(_PATCH_BYTES, dtype=np.int8))
    except ModelError:
        return False
    return True
