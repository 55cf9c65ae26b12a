"""Write the front end's constants and tables as C source, derived from `crydistill.audio.mel`.

They do not depend on the student.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.audio import mel
from crydistill.audio.windows import WINDOW_FRAMES, WINDOW_HOP_FRAMES
from crydistill.detector.vote import WINDOW_HOP_MILLISECONDS
from crydistill.device.c_text import DO_NOT_EDIT, array, float32, include_guard

PCM_FULL_SCALE = 32_768
"""The int16 value of full scale (1.0), one above the largest, as when reading audio files."""


_BIN_BITS = 23
"""Fractional bits of an FFT bin in firmware/src/crydistill_mel.c: 2^23 times its real value."""

_SUM_BITS = _BIN_BITS + 16
"""Fractional bits of a band's integer sum: 16 more, from the weights."""

_SQRT_STEPS = range(64, 257)
_LOG2_STEPS = 64


def tables_header() -> str:
    """Return `crydistill_tables.h`."""
    bins, _, _ = _bands_of_bins()
    constants = {
        "SAMPLE_RATE": mel.SAMPLE_RATE,
        "FRAME_LENGTH": mel.FRAME_LENGTH,
        "FRAME_HOP": mel.FRAME_HOP,
        "FFT_LENGTH": mel.FFT_LENGTH,
        "MEL_BANDS": mel.MEL_BANDS,
        "FIRST_BIN": bins[0],
        "LAST_BIN": bins[-1],
        "BIN_ONE": float32(2.0**_BIN_BITS),
        "SUM_BITS": _SUM_BITS,
        "LOG_OFFSET": float32(mel.LOG_OFFSET),
        "LOG_OFFSET_SUM": f"UINT64_C({round(mel.LOG_OFFSET * 2**_SUM_BITS)})",
        "LN2_Q31": round(math.log(2) * 2**31),
        "WINDOW_FRAMES": WINDOW_FRAMES,
        "WINDOW_HOP_FRAMES": WINDOW_HOP_FRAMES,
        "WINDOW_HOP_MS": WINDOW_HOP_MILLISECONDS,
    }
    body = (
        f"/* Front end {mel.FRONT_END_VERSION}. {DO_NOT_EDIT} */\n"
        "#include <stdint.h>\n\n"
        + "".join(f"#define CRYDISTILL_{name} {value}\n" for name, value in constants.items())
        + "\n"
        + "".join(
            f"/* {meaning} */\nextern const {kind} crydistill_{name}[{len(values)}];\n"
            for kind, name, values, meaning in _tables()
        )
    )
    return include_guard("CRYDISTILL_TABLES_H", body)


def tables_source() -> str:
    """Return `crydistill_tables.c`."""
    return (
        f"/* Front end {mel.FRONT_END_VERSION}. {DO_NOT_EDIT} */\n"
        '#include "crydistill_tables.h"\n'
        + "".join(
            f"\n{array(kind, f'crydistill_{name}', values, storage='const')}"
            for kind, name, values, _ in _tables()
        )
    )


def _tables() -> list[tuple[str, str, npt.NDArray[Any], str]]:
    """C type, name, values and comment of each table."""
    half_window = mel.hann_window()[: mel.FRAME_LENGTH // 2 + 1]
    cosine = np.cos(2 * np.pi * np.arange(mel.FFT_LENGTH) / mel.FFT_LENGTH)
    _, band, rising = _bands_of_bins()
    root = np.sqrt(np.array(_SQRT_STEPS) * 2.0**24)
    logarithm = np.log2(1 + np.arange(_LOG2_STEPS + 1) / _LOG2_STEPS)
    return [
        ("int32_t", "mel_window", _fixed(half_window, 31), "The window's rising half, times 2^31."),
        ("int32_t", "cosine", _fixed(cosine, 31), "One turn of the cosine, times 2^31."),
        (
            "uint8_t",
            "mel_band",
            band,
            "A bin lies between the peaks of two bands, 1 to 64: the lower one. Its weight in the\n"
            " * upper one is 'rising', in the lower one 1 - rising.",
        ),
        ("float", "mel_rising", rising, "The weight."),
        ("uint16_t", "mel_rising_q16", _unsigned(rising * 2**16), "The same times 2^16."),
        ("uint16_t", "sqrt", _unsigned(root), "Square roots of 2^30 to 2^32 in steps of 2^24."),
        ("uint16_t", "log2", _unsigned(logarithm * 2**16), "log2 of 1 to 2 by 64ths, times 2^16."),
    ]


def _bands_of_bins() -> tuple[range, npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Return the bins with weight, and for each bin up to the last of them its lower band (1 to 64,
    0 if none) and its weight in the band above, as in `crydistill.audio.mel.mel_matrix`."""
    matrix = np.pad(mel.mel_matrix(), ((0, 0), (1, 1)))
    weighted = np.flatnonzero(matrix.any(axis=1))
    bins = np.arange(weighted[-1] + 1)
    low, high = mel.hertz_to_mel([mel.MEL_MIN_HZ, mel.MEL_MAX_HZ])
    peaks = np.linspace(low, high, mel.MEL_BANDS + 2)
    bins_mel = mel.hertz_to_mel(bins * mel.SAMPLE_RATE / mel.FFT_LENGTH)
    lower = np.maximum(np.searchsorted(peaks, bins_mel, side="right") - 1, 0)
    # There is no band above the last, so there the weight is the complement of the last band's.
    rising = np.where(lower < mel.MEL_BANDS, matrix[bins, lower + 1], 1.0 - matrix[bins, lower])
    return range(int(weighted[0]), len(bins)), lower.astype(np.uint8), rising


def _fixed(values: npt.NDArray[np.float64], bits: int) -> npt.NDArray[np.int64]:
    """Convert values of -1 to 1 to fixed point; 1 itself does not fit and saturates."""
    return np.asarray(np.minimum(np.rint(values * 2.0**bits), 2**bits - 1), dtype=np.int64)


def _unsigned(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Round values of up to 65,536 to 16 bits."""
    return np.asarray(np.minimum(np.rint(values), 2**16 - 1), dtype=np.int64)
