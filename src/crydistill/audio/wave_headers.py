"""Locate the samples in PCM containers whose header may state a wrong length.

A recorder that loses power leaves a length of 0 or of an earlier moment, a pipe has no length to
write, and a length of 32 bits overflows in a night. WAV (also RIFX, RF64, BW64, Wave64), AIFF, AU
and CAF are read for what the file holds: to its end, unless other chunks follow the sound.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from crydistill.audio.file_slice import FileSlice, file_size

_STREAMED = 0x7FFF_F000
"""Lengths from here on to 32 bits are what programs write that cannot know the length."""

_LARGEST_HEADER = 1 << 24
_TOLERANCE_SECONDS, _TOLERANCE_SHARE = 0.1, 0.005
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
"""Players append these to any file."""

_FILES = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM")
"""Chunks that are files of their own: inside a file of samples none belongs."""

_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_TAIL = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_FIXED_SIZE_CODES = frozenset({1, 3, 0xFFFE})  # PCM, float, extensible


def different_lengths(claimed: float, held: float) -> str:
    """Say that header and sound differ in length, both in seconds; empty if they hardly do."""
    if abs(claimed - held) <= max(_TOLERANCE_SECONDS, _TOLERANCE_SHARE * claimed):
        return ""
    return f"the header claims {claimed:.1f} s, the file holds {held:.1f} s"


@dataclass(frozen=True)
class Layout:
    """The sound in a file of samples.

    start, stop : bytes between which it lies
    claimed : its bytes by the header; None if the header leaves them open
    bytes_per_second : by rate and sample size; 0 if the header does not say
    byte_rate : what a WAV header calls the bytes a second; 0 elsewhere
    header : what belongs before the sound for a reader to believe its true length
    next_file : byte at which another file begins behind the sound; 0 if none does
    """

    start: int
    stop: int
    claimed: int | None
    bytes_per_second: int
    byte_rate: int
    header: bytes
    next_file: int = 0

    @property
    def remark(self) -> str:
        """What a user should know about header and file; empty if there is nothing."""
        return "; ".join(filter(None, (self._wrong_header, self._unread)))

    @property
    def _unread(self) -> str:
        if not self.next_file:
            return ""
        return (
            "another recording follows in the file and is not read: "
            f"`tail -c +{self.next_file + 1} IN > OUT` gives it"
        )

    @property
    def _wrong_header(self) -> str:
        if self.byte_rate and self.byte_rate != self.bytes_per_second:
            return (
                f"the header contradicts itself: {self.bytes_per_second:,} and "
                f"{self.byte_rate:,} bytes a second"
            )
        if self.claimed is None or not self.bytes_per_second:
            return ""
        held = (self.stop - self.start) / self.bytes_per_second
        return different_lengths(self.claimed / self.bytes_per_second, held)

    def opened(self, file: BinaryIO) -> FileSlice:
        """The file as a decoder should see it: as it is if its header is right."""
        if self.claimed == self.stop - self.start:
            # libsndfile goes by the last header that it finds: of the file behind this one.
            return FileSlice(file, 0, self.next_file or None)
        return FileSlice(file, self.start, self.stop, self.header)


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    start: int
    size: int


@dataclass(frozen=True)
class _Grammar:
    """How a kind of file divides into chunks.

    size : of a chunk's header; `counted` if the size includes it
    """

    header: struct.Struct
    alignment: int
    counted: bool = False

    def chunks(self, file: BinaryIO, at: int) -> Iterator[_Chunk]:
        """Chunks from a place on; ends at one whose name no program writes."""
        end = file_size(file)
        while at < end:
            file.seek(at)
            head = file.read(self.header.size)
            if len(head) < self.header.size:
                return
            name, size = self.header.unpack(head)
            size -= self.header.size if self.counted else 0
            if not all(32 <= byte < 127 for byte in name[:4]):
                return
            yield _Chunk(name, at + self.header.size, size)
            if size < 0:
                return
            at += self.header.size + size
            at += -at % self.alignment


_RIFF = _Grammar(struct.Struct("<4sI"), 2)
_RIFX = _Grammar(struct.Struct(">4sI"), 2)
_W64 = _Grammar(struct.Struct("<16sq"), 8, counted=True)
_CAF = _Grammar(struct.Struct(">4sq"), 1)


def read_layout(file: BinaryIO) -> Layout | None:
    """Find the sound; None if this is no file of samples, or its header is incomplete."""
    file.seek(0)
    head = file.read(40)
    try:
        return _layout(file, head)
    except struct.error:  # the file ends within its header
        return None


def _layout(file: BinaryIO, head: bytes) -> Layout | None:
    kind, form = head[:4], head[8:12]
    layout = None
    if kind in (b"RIFF", b"RF64", b"BW64") and form == b"WAVE":
        layout = _wave(file, _RIFF, 12, b"fmt ", b"data")
    elif kind == b"RIFX" and form == b"WAVE":
        layout = _wave(file, _RIFX, 12, b"fmt ", b"data")
    elif head[:16] == _W64_RIFF:
        layout = _wave(file, _W64, 40, b"fmt " + _W64_TAIL, b"data" + _W64_TAIL)
    elif kind == b"FORM" and form in (b"AIFF", b"AIFC"):
        layout = _aiff(file)
    elif kind == b"caff":
        layout = _caf(file)
    elif kind == b".snd":
        layout = _au(file, head)
    return layout


def _wave(
    file: BinaryIO, grammar: _Grammar, first: int, format_name: bytes, data_name: bytes
) -> Layout | None:
    long_sizes: dict[bytes, int] = {}
    form = b""
    for chunk in grammar.chunks(file, first):
        if chunk.name == b"ds64":
            file.seek(chunk.start + 8)
            data = file.read(8)
            long_sizes[data_name] = int.from_bytes(data, "little")
        elif chunk.name == format_name and 16 <= chunk.size <= _LARGEST_HEADER:
            file.seek(chunk.start)
            form = file.read(chunk.size)
        elif chunk.name == data_name and len(form) >= 16:
            size = chunk.size
            if size == 0xFFFF_FFFF and data_name in long_sizes:
                size = long_sizes[data_name]
            return _wave_layout(file, grammar, chunk.start, size, form)
    return None


def _wave_layout(
    file: BinaryIO, grammar: _Grammar, start: int, size: int, form: bytes
) -> Layout | None:
    order = ">" if grammar is _RIFX else "<"
    code, _, rate, byte_rate, block, _ = struct.unpack(order + "HHIIHH", form[:16])
    fixed = code in _FIXED_SIZE_CODES
    short = grammar is not _W64
    claimed = None if short and _STREAMED <= size < 1 << 32 else size
    stop = _stop(file, grammar, start, claimed)
    name = b"RIFX" if grammar is _RIFX else b"RIFF"
    return Layout(
        start=start,
        stop=stop,
        claimed=claimed,
        bytes_per_second=rate * block if fixed else byte_rate,
        byte_rate=byte_rate if fixed else 0,
        header=_wave_header(name, form, stop - start, order),
        next_file=_next_file(file, grammar, stop),
    )


def _wave_header(name: bytes, form: bytes, size: int, order: str) -> bytes:
    form_chunk = b"fmt " + struct.pack(order + "I", len(form)) + form + b"\0" * (len(form) % 2)
    before = 4 + len(form_chunk) + 8
    if before + size < 1 << 32:
        whole = name + struct.pack(order + "I", before + size)
        return whole + b"WAVE" + form_chunk + b"data" + struct.pack(order + "I", size)
    block = max(1, int.from_bytes(form[12:14], "little"))
    sizes = struct.pack("<QQQI", before + 36 + size, size, size // block, 0)
    sizes_chunk = b"ds64" + struct.pack("<I", len(sizes)) + sizes
    unknown = b"\xff" * 4
    return b"RF64" + unknown + b"WAVE" + sizes_chunk + form_chunk + b"data" + unknown


def _aiff(file: BinaryIO) -> Layout | None:
    common: _Chunk | None = None
    for chunk in _RIFX.chunks(file, 12):
        if chunk.name == b"COMM" and chunk.size >= 18:
            common = chunk
        elif chunk.name == b"SSND" and common is not None:
            return _aiff_layout(file, common, chunk)
    return None


def _aiff_layout(file: BinaryIO, common: _Chunk, sound: _Chunk) -> Layout | None:
    start = sound.start + 8
    if start > _LARGEST_HEADER:
        return None
    file.seek(common.start)
    form = file.read(min(22, common.size))
    channels, frames, bits = struct.unpack(">hIh", form[:8])
    if form[18:] in (b"", b"NONE", b"twos", b"sowt", b"fl32", b"FL32", b"fl64", b"FL64"):
        frame = channels * (-(-bits // 8))
    else:
        return None  # compressed: the count of frames decides, and readers agree on it
    claimed = min(max(0, sound.size - 8), frames * frame)
    stop = _stop(file, _RIFX, start, max(0, sound.size - 8))
    file.seek(0)
    header = bytearray(file.read(start))
    if frame > 0 and stop - start < 1 << 31:
        at = common.start + 2
        header[at : at + 4] = struct.pack(">I", (stop - start) // frame)
        header[start - 12 : start - 8] = struct.pack(">I", stop - start + 8)
        header[4:8] = struct.pack(">I", stop - 8)
    bytes_per_second = _extended(form[8:18]) * frame
    next_file = _next_file(file, _RIFX, stop)
    return Layout(start, stop, claimed, bytes_per_second, 0, bytes(header), next_file)


def _extended(number: bytes) -> int:
    """An 80-bit float of AIFF as a whole number; 0 if it is none that a rate can be."""
    exponent, mantissa = struct.unpack(">HQ", number)
    shift = 16383 + 63 - exponent
    return mantissa >> shift if 0 <= shift < 64 else 0


def _caf(file: BinaryIO) -> Layout | None:
    per_second = 0
    for chunk in _CAF.chunks(file, 8):
        if chunk.name == b"desc" and chunk.size >= 32:
            file.seek(chunk.start)
            rate, _, _, packet, frames, _, _ = struct.unpack(">d4sIIIII", file.read(32))
            per_second = round(rate * packet / frames) if 0 < rate < 1e9 and frames else 0
        elif chunk.name == b"data":
            start = chunk.start + 4  # behind the count of edits
            if start > _LARGEST_HEADER:
                return None
            claimed = None if chunk.size < 0 else max(0, chunk.size - 4)
            stop = _stop(file, _CAF, start, claimed)
            file.seek(0)
            header = bytearray(file.read(start))
            header[start - 12 : start - 4] = struct.pack(">q", stop - start + 4)
            return Layout(start, stop, claimed, per_second, 0, bytes(header))
    return None


def _au(file: BinaryIO, head: bytes) -> Layout | None:
    if len(head) < 24:
        return None
    start, size, encoding, rate, channels = struct.unpack(">5I", head[4:24])
    if not 24 <= start <= _LARGEST_HEADER:
        return None
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(encoding, 0)
    claimed = None if size >= _STREAMED else size
    stop = _stop(file, None, start, claimed)
    file.seek(0)
    header = bytearray(file.read(start))
    header[8:12] = b"\xff" * 4
    return Layout(start, stop, claimed, rate * channels * width, 0, bytes(header))


def _stop(file: BinaryIO, grammar: _Grammar | None, start: int, claimed: int | None) -> int:
    """Where the sound ends: at the file's end, unless something else follows it."""
    end = file_size(file)
    if claimed is None or start + claimed >= end:
        return max(start, end)
    stop = start + claimed
    return stop if _is_other(file, grammar, stop, end) else end


def _is_other(file: BinaryIO, grammar: _Grammar | None, stop: int, end: int) -> bool:
    """Whether what follows the sound is something else: chunks, tags, padding."""
    after = stop + (-stop % grammar.alignment if grammar else 0)
    file.seek(after)
    head = file.read(16)
    if len(head) < 8 or head.startswith(_TAGS) or (grammar and head.startswith(_FILES)):
        return True
    if grammar is not None:
        last = max((c.start + c.size for c in grammar.chunks(file, after)), default=0)
        # The last chunk may be cut short, or lack its padding.
        if last and end - last < 8 and last - end <= _LARGEST_HEADER:
            return True
    return _only_zeros(file, after)


def _next_file(file: BinaryIO, grammar: _Grammar, stop: int) -> int:
    """Where another file begins behind the sound, as `cat` leaves it; 0 if none does."""
    head = grammar.header.size
    after = stop + (-stop % grammar.alignment)
    chunks = grammar.chunks(file, after)
    return next((c.start - head for c in chunks if c.name[:4] in _FILES), 0)


def _only_zeros(file: BinaryIO, at: int) -> bool:
    file.seek(at)
    while block := file.read(1 << 20):
        if block.count(0) < len(block):
            return False
    return True
