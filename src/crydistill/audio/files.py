"""Decode audio files of any rate, channel count and common format to 16 kHz mono."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from crydistill.audio.decoding import Recording
from crydistill.audio.file_slice import Block
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.plausibility import SILENCE_PEAK, Downmix, SampleCheck
from crydistill.audio.windows import WINDOW_SAMPLES
from crydistill.errors import AudioError

_PLAIN = (".wav", ".wave", ".w64", ".rf64", ".bwf", ".aif", ".aiff", ".aifc", ".au", ".voc")
_PACKED = (".flac", ".caf", ".wv", ".ape", ".tta")
_MUSIC = (".mp3", ".mp2", ".mpga", ".ogg", ".oga", ".ogx", ".opus", ".spx", ".ac3", ".eac3", ".wma")
_PHONE = (".m4a", ".m4b", ".m4r", ".aac", ".amr", ".awb", ".3gp", ".3gpp", ".3g2", ".3ga", ".weba")
_VIDEO = (".mp4", ".m4v", ".mov", ".qt", ".webm", ".mka", ".mkv", ".ogv", ".wmv", ".asf", ".avi",
          ".flv", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg")  # fmt: skip
AUDIO_SUFFIXES = frozenset((*_PLAIN, *_PACKED, *_MUSIC, *_PHONE, *_VIDEO))
"""File name suffixes treated as audio when searching a folder; decoding goes by content."""


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
    native_rate : the file's own sample rate in hertz, where it begins; 0 before the first block
    stated_seconds : length by the header or by an estimate, for a progress bar; 0 before the first
        block, and if there is none
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.samples = 0
        self.native_rate = 0
        self.stated_seconds = 0.0
        self._peak = 0.0
        self._remarks: list[str] = []

    def blocks(self) -> Generator[Samples]:
        """Yield consecutive float32 blocks of 16 kHz mono, resampled without seams between them.

        A recording shorter than one window is zero-padded to a window. Who does not read it to the
        end closes the generator: a signal that arrives while a finalizer closes it is lost.

        Raises
        ------
        AudioError
            if the file is missing, cannot be decoded, is empty, or cannot be sound: its rate is not
            between 4 and 192 kHz, samples are NaN, infinite or far above full scale.
        """
        with closing(self._resampled()) as resampled:
            for block in resampled:
                self.samples += len(block)
                self._peak = max(self._peak, float(np.abs(block).max(initial=0.0)))
                yield block
        if self.samples == 0:
            raise _no_audio(self.path)
        if self.samples < WINDOW_SAMPLES:
            yield np.zeros(WINDOW_SAMPLES - self.samples, dtype=np.float32)

    def _resampled(self) -> Generator[Samples]:
        check, downmix = SampleCheck(), Downmix()
        resampler: soxr.ResampleStream | None = None
        rate = SAMPLE_RATE
        with Recording(self.path) as recording:
            self.stated_seconds = recording.seconds
            for now, native in recording.blocks():
                self.native_rate = self.native_rate or now
                mono = downmix.mono(native)
                self._look(check, mono, now)
                if now != rate:
                    if resampler is not None:
                        yield _rest(resampler)
                    rate = now
                    resampler = None if rate == SAMPLE_RATE else _resampler(rate)
                yield mono if resampler is None else resampler.resample_chunk(mono)
            if resampler is not None:
                yield _rest(resampler)
            self._remarks = [*recording.remarks, *downmix.remarks, *check.remarks]

    def _look(self, check: SampleCheck, mono: Samples, rate: int) -> None:
        try:
            check.look(mono, rate)
        except ValueError as error:
            raise AudioError(f"{self.path}: {error}") from error

    @property
    def duration(self) -> float:
        """Seconds of audio read so far."""
        return self.samples / SAMPLE_RATE

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user; complete once the recording has been read to its end."""
        notes = list(self._remarks)
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


def native_rate(path: str | Path) -> int:
    """Sample rate of a recording in hertz, where it begins; reads no more than half a minute.

    Raises
    ------
    AudioError
        if it cannot be decoded, or holds no sound.
    """
    with Recording(Path(path)) as recording:
        for rate, _ in recording.blocks():
            return rate
    raise _no_audio(path)


def read_native(path: str | Path) -> list[tuple[int, Block]]:
    """Decode a whole recording as it is in the file.

    Returns
    -------
    Sample rate and samples, float32 `[n, channels]`, of each stretch; one, unless rate or channels
    change within the file.

    Raises
    ------
    AudioError
        if it cannot be decoded.
    """
    stretches: list[tuple[int, list[Block]]] = []
    with Recording(Path(path)) as recording:
        for rate, block in recording.blocks():
            if not stretches or _differs(stretches[-1], rate, block):
                stretches.append((rate, []))
            stretches[-1][1].append(block)
    return [(rate, np.concatenate(blocks)) for rate, blocks in stretches]


def recording_seconds(path: str | Path) -> float:
    """Seconds of sound in a recording, which is decoded for it: headers are often wrong.

    Raises
    ------
    AudioError
        if it cannot be decoded, or holds no sound.
    """
    with Recording(Path(path)) as recording:
        seconds = sum(len(block) / rate for rate, block in recording.blocks())
    if not seconds:
        raise _no_audio(path)
    return seconds


def _differs(stretch: tuple[int, list[Block]], rate: int, block: Block) -> bool:
    before, blocks = stretch
    return before != rate or blocks[-1].shape[1] != block.shape[1]


def _no_audio(path: str | Path) -> AudioError:
    return AudioError(f"{path}: contains no audio; record or export it again")


def _resampler(rate: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")


def _rest(resampler: soxr.ResampleStream) -> Samples:
    return np.asarray(resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True))
