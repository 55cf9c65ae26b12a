"""Decode audio files of any rate, channel count and common format to 16 kHz mono."""

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
"""File name suffixes treated as audio when searching a folder; decoding goes by content."""

SILENCE_PEAK = 1e-4
"""A recording whose peak is below this (-80 dBFS) is reported as silent."""

_BLOCK_SECONDS = 30


@dataclass(frozen=True)
class Audio:
    """A decoded recording.

    samples : float32 [n], 16 kHz mono, at least one window long
    duration : seconds of audio in the file, before any padding
    notes : remarks for the user ("silent", "shorter than a window: padded with silence")
    """

    samples: Samples
    duration: float
    notes: tuple[str, ...] = ()


class AudioReader:
    """Decodes a recording block by block, so that a whole night needs little memory.

    path : the file
    samples : number of 16 kHz samples read so far, without padding
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.samples = 0
        self._peak = 0.0

    def blocks(self) -> Iterator[Samples]:
        """Yield consecutive float32 blocks of 16 kHz mono, resampled without seams between them.

        A recording shorter than one window is zero-padded to a window.

        Raises
        ------
        AudioError
            if the file is missing, cannot be decoded, is empty, or contains NaN or infinity.
        """
        for block in _decoded(self.path):
            self.samples += len(block)
            self._peak = max(self._peak, float(np.abs(block).max(initial=0.0)))
            yield block
        if self.samples == 0:
            raise AudioError(f"{self.path}: contains no audio; remove it or record it again")
        if self.samples < WINDOW_SAMPLES:
            yield np.zeros(WINDOW_SAMPLES - self.samples, dtype=np.float32)

    @property
    def duration(self) -> float:
        """Seconds of audio read so far."""
        return self.samples / SAMPLE_RATE

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user; complete once the recording has been read to its end."""
        notes = []
        if self._peak < SILENCE_PEAK:
            notes.append("silent")
        if self.samples < WINDOW_SAMPLES:
            notes.append("shorter than a window: padded with silence")
        return tuple(notes)


def read_audio(path: str | Path) -> Audio:
    """Decode a whole recording to 16 kHz mono.

    Raises
    ------
    AudioError
        as `AudioReader.blocks`.

    Examples
    --------
    >>> import numpy as np, soundfile
    >>> from crydistill.audio.files import read_audio
    >>> tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(88_200) / 44_100)
    >>> soundfile.write("stereo.wav", np.stack([tone, tone], axis=1), 44_100)
    >>> audio = read_audio("stereo.wav")
    >>> audio.samples.shape, audio.samples.dtype, audio.duration
    ((32000,), dtype('float32'), 2.0)

    Recordings shorter than one window are padded:

    >>> soundfile.write("short.wav", tone[:4_410], 44_100)
    >>> audio = read_audio("short.wav")
    >>> len(audio.samples), audio.duration, audio.notes
    (15600, 0.1, ('shorter than a window: padded with silence',))
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
            raise AudioError(f"{path}: contains NaN or infinite samples; export it again")
        yield mono if rate == SAMPLE_RATE else resampler.resample_chunk(mono)
    if rate != SAMPLE_RATE:
        yield resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True)
