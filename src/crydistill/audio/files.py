"""Recordings from disk: any rate, channel count and common format in, 16 kHz mono out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.windows import WINDOW_SAMPLES, pad_to_window
from crydistill.errors import AudioError

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"}
)
"""File name endings taken for audio when a folder is searched; decoding goes by content."""

SILENCE_PEAK = 1e-4
"""A recording whose peak stays below this (-80 dB of full scale) is called silent."""

_BLOCK_SECONDS = 30


@dataclass(frozen=True)
class Audio:
    """A decoded recording.

    samples : float32 [n], 16 kHz mono, at least one window long
    duration : seconds of audio in the file, before any padding
    notes : what a user should know about it ("silent", "shorter than a window: padded")
    """

    samples: Samples
    duration: float
    notes: tuple[str, ...] = ()


def read_audio(path: str | Path) -> Audio:
    """Decode a whole recording.

    Raises
    ------
    AudioError
        if the file is missing, not decodable, empty, truncated to nothing, or holds NaN/infinity.
    """
    blocks = list(stream_audio(path))
    samples = np.concatenate(blocks) if blocks else np.empty(0, dtype=np.float32)
    if len(samples) == 0:
        raise AudioError(f"{path}: no audio in the file; remove it or record it again")
    notes = []
    if np.max(np.abs(samples)) < SILENCE_PEAK:
        notes.append("silent")
    if len(samples) < WINDOW_SAMPLES:
        notes.append("shorter than a window: padded with silence")
    return Audio(pad_to_window(samples), len(samples) / SAMPLE_RATE, tuple(notes))


def stream_audio(path: str | Path) -> Iterator[Samples]:
    """Decode a recording in blocks of 16 kHz mono, so that a night fits in little memory.

    Yields
    ------
    np.ndarray [shape=(n,)], float32; the blocks join without a seam.

    Raises
    ------
    AudioError
        as `read_audio`, at the block where the fault shows.
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty; remove it or copy it again")
    try:
        with soundfile.SoundFile(path) as file:
            yield from _resampled_blocks(file, path)
    except soundfile.LibsndfileError as error:
        reason = str(error.error_string).rstrip(".")
        raise AudioError(
            f"{path}: cannot be decoded ({reason}); convert it to wav or flac, "
            "for instance with `ffmpeg -i IN OUT.wav`"
        ) from error


def _resampled_blocks(file: soundfile.SoundFile, path: Path) -> Iterator[Samples]:
    rate = file.samplerate
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    for block in file.blocks(_BLOCK_SECONDS * rate, dtype="float32", always_2d=True):
        mono = block.mean(axis=1, dtype=np.float32)
        if not np.isfinite(mono).all():
            raise AudioError(f"{path}: holds NaN or infinite samples; export it again")
        yield mono if rate == SAMPLE_RATE else resampler.resample_chunk(mono)
    if rate != SAMPLE_RATE:
        yield resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True)
