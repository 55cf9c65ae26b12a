"""Recordings from disk: any rate, channel count and common format in, 16 kHz mono out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.windows import WINDOW_SAMPLES
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


class AudioReader:
    """Decodes a recording block by block, so that a night fits in little memory.

    path : the file
    samples : at 16 kHz so far, without padding
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.samples = 0
        self._peak = 0.0

    def blocks(self) -> Iterator[Samples]:
        """Yield float32 blocks of 16 kHz mono that join without a seam.

        A recording shorter than a window ends with silence that completes it.

        Raises
        ------
        AudioError
            if the file is missing, cannot be decoded, holds no audio, or NaN or infinity.
        """
        for block in _decoded(self.path):
            self.samples += len(block)
            self._peak = max(self._peak, float(np.abs(block).max(initial=0.0)))
            yield block
        if self.samples == 0:
            raise AudioError(f"{self.path}: no audio in the file; remove it or record it again")
        if self.samples < WINDOW_SAMPLES:
            yield np.zeros(WINDOW_SAMPLES - self.samples, dtype=np.float32)

    @property
    def duration(self) -> float:
        """Seconds of audio read so far."""
        return self.samples / SAMPLE_RATE

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about the recording, once it was read to its end."""
        notes = []
        if self._peak < SILENCE_PEAK:
            notes.append("silent")
        if self.samples < WINDOW_SAMPLES:
            notes.append("shorter than a window: padded with silence")
        return tuple(notes)


def read_audio(path: str | Path) -> Audio:
    """Decode a whole recording.

    Raises
    ------
    AudioError
        as `AudioReader.blocks`.
    """
    reader = AudioReader(path)
    samples = np.concatenate(list(reader.blocks()))
    return Audio(samples, reader.duration, reader.notes)


def _decoded(path: Path) -> Iterator[Samples]:
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
