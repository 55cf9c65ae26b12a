"""Write sound to files.

libsndfile says of a disk that is full no more than "System error", and how far it got is unknown.
So sound is encoded in memory, and Python writes it.
"""

import io
from pathlib import Path
from typing import Any

import numpy.typing as npt
import soundfile

from crydistill import atomic
from crydistill.audio.mel import SAMPLE_RATE
from crydistill.deferred_signals import deferred_signals


def encoded(
    samples: npt.NDArray[Any],
    *,
    form: str = "WAV",
    subtype: str = "PCM_16",
    compression: float | None = None,
) -> bytes:
    """A file of sound.

    Parameters
    ----------
    samples : `[n]`, 16 kHz mono, full scale 1
    form, subtype, compression : libsndfile's names of the format, and its compression level, 0 to 1
    """
    file = io.BytesIO()
    with deferred_signals():
        soundfile.write(
            file, samples, SAMPLE_RATE, subtype, format=form, compression_level=compression
        )
    return file.getvalue()


def write_sound(
    path: str | Path, samples: npt.NDArray[Any], *, form: str = "WAV", subtype: str = "PCM_16"
) -> None:
    """Write a file of sound atomically; parameters are those of `encoded`.

    Raises
    ------
    OSError
        naming the file, if it cannot be written.

    Examples
    --------
    >>> import numpy as np, soundfile
    >>> write_sound("silence.wav", np.zeros(32_000))
    >>> soundfile.info("silence.wav").duration
    2.0
    """
    atomic.write_bytes(path, encoded(samples, form=form, subtype=subtype))
