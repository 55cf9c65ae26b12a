"""The front end's constants and tables as C source, out of `crydistill.audio.mel` itself.

They do not depend on the student.
"""

import numpy as np

from crydistill.audio import mel
from crydistill.audio.windows import WINDOW_FRAMES, WINDOW_HOP_FRAMES
from crydistill.detector.vote import WINDOW_HOP_MILLISECONDS
from crydistill.device.c_text import DO_NOT_EDIT, array, float32, include_guard

PCM_FULL_SCALE = 32_768
"""The int16 sample that stands for 1, one more than the largest: as audio files are read."""


def tables_header() -> str:
    """Return `crydistill_tables.h`."""
    bands, weights = mel.MEL_BANDS, int(np.count_nonzero(mel.mel_matrix()))
    constants = {
        "SAMPLE_RATE": mel.SAMPLE_RATE,
        "FRAME_LENGTH": mel.FRAME_LENGTH,
        "FRAME_HOP": mel.FRAME_HOP,
        "FFT_LENGTH": mel.FFT_LENGTH,
        "MEL_BANDS": bands,
        "MEL_WEIGHTS": weights,
        "LOG_OFFSET": float32(mel.LOG_OFFSET),
        "WINDOW_FRAMES": WINDOW_FRAMES,
        "WINDOW_HOP_FRAMES": WINDOW_HOP_FRAMES,
        "WINDOW_HOP_MS": WINDOW_HOP_MILLISECONDS,
    }
    body = (
        f"/* Front end {mel.FRONT_END_VERSION}. {DO_NOT_EDIT} */\n"
        "#include <stdint.h>\n\n"
        + "".join(f"#define CRYDISTILL_{name} {value}\n" for name, value in constants.items())
        + "\n/* The window, times 1/2 for the real FFT's last step and 1/32768 for int16. */\n"
        "extern const float crydistill_window[CRYDISTILL_FRAME_LENGTH];\n"
        "/* One turn of the cosine. */\n"
        "extern const float crydistill_cosine[CRYDISTILL_FFT_LENGTH];\n"
        "/* Each band's first bin, number of bins, and then all the bands' weights in order. */\n"
        "extern const uint8_t crydistill_mel_first[CRYDISTILL_MEL_BANDS];\n"
        "extern const uint8_t crydistill_mel_bins[CRYDISTILL_MEL_BANDS];\n"
        "extern const float crydistill_mel_weights[CRYDISTILL_MEL_WEIGHTS];\n"
    )
    return include_guard("CRYDISTILL_TABLES_H", body)


def tables_source() -> str:
    """Return `crydistill_tables.c`."""
    window = mel.hann_window() / (2 * PCM_FULL_SCALE)
    cosine = np.cos(2 * np.pi * np.arange(mel.FFT_LENGTH) / mel.FFT_LENGTH)
    bands = [np.flatnonzero(band) for band in mel.mel_matrix().T]
    weights = np.concatenate(
        [band[bins] for band, bins in zip(mel.mel_matrix().T, bands, strict=True)]
    )
    first = np.array([bins[0] for bins in bands])
    count = np.array([len(bins) for bins in bands])
    definitions = (
        ("float", "crydistill_window", window),
        ("float", "crydistill_cosine", cosine),
        ("uint8_t", "crydistill_mel_first", first),
        ("uint8_t", "crydistill_mel_bins", count),
        ("float", "crydistill_mel_weights", weights),
    )
    return (
        f"/* Front end {mel.FRONT_END_VERSION}. {DO_NOT_EDIT} */\n"
        '#include "crydistill_tables.h"\n'
        + "".join(f"\n{array(*definition, storage='const')}" for definition in definitions)
    )
