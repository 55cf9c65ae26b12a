"""Decode a WAV file while it arrives, from a recorder whose header cannot know its length.

`arecord -f S16_LE`, `ffmpeg -f wav -` and `sox -t wav -` write such files into a pipe: the size of
the data is 0 or close to the largest one. The sound is then read to the end of the stream. Sizes
that are too small are not believed either, and files that follow each other are all read.

Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0"; EBU
Tech 3306 for RF64.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from crydistill.audio.mel import Samples
from crydistill.detector.byte_stream import RAW_PIPE, ByteStream, decoding_pipe
from crydistill.detector.containers import is_wav
from crydistill.errors import AudioError

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_BITS = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
_SMALLEST_UNKNOWN = 0x7FFF_0000
"""Data sizes from here on stand for "unknown": 2 GiB less a header, or 4 GiB."""
_CANCELLED = 1e-3
"""Power of the channels' mean, relative to the strongest channel's, below which they cancel."""
_IMPLAUSIBLE_PEAK = 8.0
_LARGEST_SAMPLE = np.float32(2**31)  # that of 32-bit integers written as floating point
_LARGEST_FORMAT = 4_096
_CHUNK_NAME = re.compile(rb"[A-Za-z0-9_ ]{4}")


@dataclass(frozen=True)
class WavFormat:
    """How a WAV file's samples are stored.

    rate : hertz
    bits : per sample
    floating : samples are floating-point numbers, not integers
    """

    rate: int
    channels: int
    bits: int
    floating: bool

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * self.bits // 8

    def __str__(self) -> str:
        channels = "mono" if self.channels == 1 else f"{self.channels} channels"
        kind = "floating point" if self.floating else "PCM"
        return f"{self.rate} Hz, {channels}, {self.bits}-bit {kind}"

    def samples(self, data: bytes) -> Samples:
        """Samples, `[n, channels]`, of whole frames; NaN and infinity become 0."""
        samples = self._decoded(data).reshape(-1, self.channels)
        if self.floating:
            finite = np.where(np.isfinite(samples), samples, np.float32(0))
            samples = np.clip(finite, -_LARGEST_SAMPLE, _LARGEST_SAMPLE)
        return samples

    def _decoded(self, data: bytes) -> Samples:
        if self.floating:
            with np.errstate(over="ignore"):
                return np.frombuffer(data, dtype=f"<f{self.bits // 8}").astype(np.float32)
        if self.bits == 8:  # the only unsigned one
            return (np.frombuffer(data, dtype="u1").astype(np.float32) - 128) / np.float32(128)
        if self.bits == 24:
            wide = np.zeros((len(data) // 3, 4), dtype="u1")
            wide[:, 1:] = np.frombuffer(data, dtype="u1").reshape(-1, 3)
            return wide.reshape(-1).view("<i4").astype(np.float32) / np.float32(2**31)
        full_scale = np.float32(2 ** (self.bits - 1))
        return np.frombuffer(data, dtype=f"<i{self.bits // 8}").astype(np.float32) / full_scale


def wav_blocks(
    stream: ByteStream, say: Callable[[str], None]
) -> Iterator[tuple[WavFormat, Samples]]:
    """Yield the mono samples of a WAV file, with its format, as they arrive.

    Parameters
    ----------
    stream : at the file's first byte
    say : called with a message about the format, and where header and sound disagree

    Raises
    ------
    AudioError
        if the samples are compressed, or the header is damaged.
    """
    found: WavFormat | None = None
    said: set[str] = set()

    def say_once(line: str) -> None:
        if line not in said:
            said.add(line)
            say(line)

    while is_wav(stream):
        stream.skip(12)
        while not is_wav(stream) and len(header := stream.exactly(8)) == 8:
            name, size = header[:4], int.from_bytes(header[4:], "little")
            if name == b"fmt ":
                if size > _LARGEST_FORMAT:
                    raise _damaged(f"a format of {size} bytes")
                found = _format(stream.exactly(size + size % 2))
                say(f"standard input is WAV: {found}")
            elif name != b"data":
                stream.skip(size + size % 2)
            elif found is None:
                raise _damaged("no format before the sound")
            else:
                for data in _sound(stream, size, found, say):
                    yield found, _mono(found.samples(data), say_once)


def _mono(samples: Samples, say: Callable[[str], None]) -> Samples:
    """Mean of the channels, `[n]`; the strongest one where they cancel each other."""
    if samples.size and np.abs(samples).max() > _IMPLAUSIBLE_PEAK:
        say("the sound is far above full scale; was it written as floating point unscaled?")
    if samples.shape[1] == 1:
        return samples[:, 0]
    mono: Samples = samples.mean(axis=1, dtype=np.float32)
    powers = np.square(samples, dtype=np.float64).mean(axis=0)
    strongest = int(powers.argmax())
    if np.square(mono, dtype=np.float64).mean() >= _CANCELLED * powers[strongest]:
        return mono
    say("the channels cancel each other; listening to the strongest one where they do")
    return samples[:, strongest]


def _sound(
    stream: ByteStream, size: int, found: WavFormat, say: Callable[[str], None]
) -> Iterator[bytes]:
    """Data of the chunk that says it has `size` bytes, and all that is there if it has more."""
    if size == 0 or size >= _SMALLEST_UNKNOWN:
        yield from stream.whole(found.frame_bytes, say)
        return
    arrived = 0
    for data in stream.whole(found.frame_bytes, say, limit=size):
        arrived += len(data)
        yield data
    stream.skip(size % 2)
    ahead = stream.peek(8)
    if arrived + found.frame_bytes <= size:
        seconds = size / found.frame_bytes / found.rate
        there = arrived / found.frame_bytes / found.rate
        say(f"the WAV header promises {seconds:.1f} s of sound, {there:.1f} s arrived")
    elif ahead and not _CHUNK_NAME.fullmatch(ahead[:4]):
        say("more sound arrives than the WAV header says; listening on")
        yield from stream.whole(found.frame_bytes, say)


def _format(chunk: bytes) -> WavFormat:
    if len(chunk) < 16:
        raise _damaged("its format is cut off")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = int.from_bytes(chunk[24:26], "little")
    if channels == 0 or bits not in _BITS.get(tag, (bits,)):
        raise _damaged(f"{channels} channels of {bits} bits")
    if tag not in _BITS:
        raise AudioError(
            f"standard input is WAV with compressed sound (format {tag}); decode it first: "
            f"{decoding_pipe()}"
        )
    return WavFormat(rate, channels, bits, floating=tag == _FLOAT)


def _damaged(what: str) -> AudioError:
    return AudioError(
        f"standard input is WAV with a damaged header ({what}); send raw PCM instead: {RAW_PIPE}"
    )
