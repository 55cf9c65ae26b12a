"""The arena: all the working memory that TFLite Micro needs for a student.

Measured with Google's interpreter on this computer. Its bookkeeping holds pointers, so the figure
is for a 64-bit host; on a 32-bit microcontroller it is a little smaller with the same kernels, and
larger with vendor kernels that want scratch memory of their own.
"""

import struct

import numpy as np

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import WINDOW_FRAMES
from crydistill.errors import ModelError
from crydistill.tflite.interpreters import TfliteMicro

HOST_BITS = 8 * struct.calcsize("P")
"""Width of a pointer in the interpreter that is measured."""

LARGEST_ARENA = 8 << 20
"""Bytes: the PSRAM of the largest ESP32-S3 modules."""

_PATCH_BYTES = WINDOW_FRAMES * MEL_BANDS
"""No arena this small holds a student: it does not fit the input. The search starts here also
because the interpreter itself crashes in an arena of a few hundred bytes."""


def arena_bytes(tflite: bytes) -> int:
    """Smallest arena in which TFLite Micro runs the model.

    To the byte: with this many bytes, beginning at a multiple of 16, the model is set up and
    invoked; with one byte less the interpreter refuses. (What the interpreter itself reports as
    used is rounded up by as much as 15 bytes.)

    Parameters
    ----------
    tflite : a model that `inspect_tflite` has accepted

    Raises
    ------
    MissingExtraError
        if tflite-micro is not installed.
    ModelError
        if the model does not run in `LARGEST_ARENA` either.
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
