"""Unpack a blob: archive members, compressed streams, encoded bytes, arrays.

Every part is returned as bytes or an array, with a label; what is recognised but cannot be opened
is returned as an `Obstacle`, never silently skipped. A budget bounds the sizes, so that a
decompression bomb is an obstacle, too.

Calls into the parsers of zip, tar, npy and HDF5 catch every exception: on damaged files they raise
anything from TokenError to OverflowError, and one damaged file must not abort the scan.
"""

import base64
import bz2
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_PART_BYTES = 256 << 20
MAX_TOTAL_BYTES = 1 << 30
MAX_MEMBERS = 100_000
"""Limits on what one file may expand to."""

MIN_NUMBERS = 64
"""Smallest count of consecutive numbers in a text to read as an array."""

MIN_BASE64_LETTERS = 160
"""Shorter runs hold fewer than 120 bytes, and are common in lists of checksums."""

Array = npt.NDArray[Any]

Letters = npt.NDArray[np.bool_]
"""A set of bytes, shape `[256]`."""


def letters_of(pattern: bytes) -> Letters:
    """Set of the bytes that a one-byte pattern matches."""
    one = re.compile(pattern)
    return np.array([one.match(bytes([letter])) is not None for letter in range(256)])


_STREAM_STEP = 1 << 16
_MIN_STREAM_OUTPUT = 32
_MIN_TRUNCATED_OUTPUT = 1024

_FOREIGN = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"LZIP", "compressed with lzip"),
    (b"\x1f\x9d", "compressed with compress"),
    (b"MSCF\x00\x00\x00\x00", "a cabinet archive"),
    (b"PAR1", "a Parquet file"),
    (b"Salted__", "encrypted"),
    (b"age-encryption.org/", "encrypted"),
    (b"-----BEGIN AGE ENCRYPTED", "encrypted"),
    (b"-----BEGIN PGP MESSAGE", "encrypted"),
)

_STREAM_STARTS = (
    ("gzip", b"\x1f\x8b\x08"),
    ("zlib", b"\x78\x01"),
    ("zlib", b"\x78\x5e"),
    ("zlib", b"\x78\x9c"),
    ("zlib", b"\x78\xda"),
    ("bzip2", b"BZh"),
    ("xz", b"\xfd7zXZ\x00"),
)
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "zlib": zlib.decompressobj,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}

_NPY = b"\x93NUMPY"
_HDF5 = b"\x89HDF\r\n\x1a\n"

_BASE64_LETTERS = letters_of(rb"[A-Za-z0-9+/_-]")
_MIN_BASE64_LINE = 60
_BASE64 = re.compile(
    rb"(?:[A-Za-z0-9+/_-]{60,}+(?:\\[nr]|[\s\"',])*+)++[A-Za-z0-9+/_-]{0,59}+={0,2}"
)
_NOT_BASE64 = re.compile(rb"\\[nr]|[^A-Za-z0-9+/]")

_NUMBER_LETTERS = letters_of(rb"[-+0-9a-fA-FxX.,;:\s\[\](){}\\]")
_MIN_NUMBER_LETTERS = 192
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}\s{0,2}+){96,}+|(?:\\x[0-9a-fA-F]{2}){48,}+")
_NOT_HEX = re.compile(rb"\\x|\s")
_NUMBERS = re.compile(rb"[-+0-9a-fA-FxX.,;:\s\[\](){}]{192,}+")
_NUMBER = re.compile(rb"[-+]?0[xX][0-9a-fA-F]{1,16}+|[-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?")

_UTF16 = re.compile(rb"(?:[\x20-\x7e]\x00){8,}+")
_UTF32 = re.compile(rb"(?:[\x20-\x7e]\x00{3}){8,}+")


@dataclass(frozen=True)
class Part:
    """Bytes or an array found inside a blob.

    label : location: a member's name after `!`, or an encoding and offset after `@`
    """

    label: str
    content: bytes | Array


@dataclass(frozen=True)
class Obstacle:
    """Something inside a blob that could not be opened."""

    why: str


class Budget:
    """Remaining amount that may be unpacked from one file."""

    def __init__(self) -> None:
        self.bytes_left = MAX_TOTAL_BYTES
        self.members_left = MAX_MEMBERS

    @property
    def part_limit(self) -> int:
        """Size limit of the next part, bytes."""
        return min(self.bytes_left, MAX_PART_BYTES)

    @property
    def exhausted(self) -> bool:
        """Whether nothing more can be unpacked."""
        return self.bytes_left <= 0 or self.members_left <= 0

    def spend(self, size: int) -> None:
        """Account for a part."""
        self.bytes_left -= size
        self.members_left -= 1


@dataclass(frozen=True)
class Unpacked:
    """An unpacked blob.

    rest : the blob, with the bytes of archive members (which are parts) zeroed
    parts : contents, lazily unpacked
    """

    rest: bytes
    parts: Iterator[Part | Obstacle]


def unpack_blob(data: bytes, budget: Budget) -> Unpacked:
    """Unpack a blob."""
    rest = bytearray(data)
    members: list[Iterator[Part | Obstacle]] = []
    members += _open_zips(data, rest, budget)
    members += _open_tar(data, rest, budget)
    remaining = bytes(rest) if members else data

    def parts() -> Iterator[Part | Obstacle]:
        yield from _foreign(data)
        for opened in members:
            yield from opened
        yield from _streams(remaining, budget)
        yield from _arrays(remaining)
        yield from _hdf5_datasets(data, budget)
        yield from _wide_text(remaining)
        yield from _encoded(remaining, budget)

    return Unpacked(remaining, parts())


def runs(data: bytes, letters: Letters, minimum: int) -> Iterator[tuple[int, int]]:
    """Start and stop of each run of at least `minimum` bytes that are all among `letters`."""
    inside = letters[np.frombuffer(data, dtype=np.uint8)]
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    long = stops - starts >= minimum
    return zip(starts[long].tolist(), stops[long].tolist(), strict=True)


def _foreign(data: bytes) -> Iterator[Obstacle]:
    for magic, what in _FOREIGN:
        if data.startswith(magic):
            yield Obstacle(f"{what}, which cannot be opened; publish its contents instead")


def _open_zips(data: bytes, rest: bytearray, budget: Budget) -> Iterator[Iterator[Part | Obstacle]]:
    """Open the zip archives in a blob, last first, and zero their members in `rest`."""
    found = False
    end = rest.rfind(b"PK\x05\x06")
    while end >= 0:
        comment = int.from_bytes(rest[end + 20 : end + 22], "little")
        try:
            archive = zipfile.ZipFile(io.BytesIO(data[: end + 22 + comment]))
        except Exception:
            archive = None
        rest[end : end + 4] = bytes(4)
        if archive is not None:
            found = True
            for info in archive.infolist():
                _blank_member(rest, info)
            yield _zip_members(archive, budget)
        end = rest.rfind(b"PK\x05\x06", 0, end)
    if data.startswith(b"PK\x03\x04") and not found:
        yield iter([Obstacle("a damaged zip archive; create it again")])


def _blank_member(rest: bytearray, info: zipfile.ZipInfo) -> None:
    header = info.header_offset
    if header < 0 or rest[header : header + 4] != b"PK\x03\x04":
        return
    name = int.from_bytes(rest[header + 26 : header + 28], "little")
    extra = int.from_bytes(rest[header + 28 : header + 30], "little")
    _blank(rest, header + 30 + name + extra, info.compress_size)


def _blank(rest: bytearray, start: int, size: int) -> None:
    """Overwrite bytes with zeros without extending the array."""
    stop = min(start + size, len(rest))
    if start < stop:
        rest[start:stop] = bytes(stop - start)


def _zip_members(archive: zipfile.ZipFile, budget: Budget) -> Iterator[Part | Obstacle]:
    for info in archive.infolist():
        if info.is_dir() and info.compress_size == 0:
            continue
        if info.flag_bits & 1:
            yield Obstacle(f"member {info.filename} is encrypted; publish it unencrypted")
            continue
        try:
            with archive.open(info) as member:
                yield from _read(f"!{info.filename}", member.read, budget)
        except Exception as error:
            yield Obstacle(f"member {info.filename} cannot be read ({error}); create it again")


def _open_tar(data: bytes, rest: bytearray, budget: Budget) -> Iterator[Iterator[Part | Obstacle]]:
    if data[257:262] != b"ustar":
        return
    try:
        archive = tarfile.TarFile(fileobj=io.BytesIO(data))
        members = [member for member in archive.getmembers() if member.isreg()]
    except Exception as error:
        yield iter([Obstacle(f"a damaged tar archive ({error}); create it again")])
        return
    for member in members:
        _blank(rest, member.offset_data, member.size)
    yield _tar_members(archive, members, budget)


def _tar_members(
    archive: tarfile.TarFile, members: list[tarfile.TarInfo], budget: Budget
) -> Iterator[Part | Obstacle]:
    for member in members:
        try:
            file = archive.extractfile(member)
            if file is not None:
                yield from _read(f"!{member.name}", file.read, budget)
        except Exception as error:
            yield Obstacle(f"member {member.name} cannot be read ({error}); create it again")


def _read(label: str, read: Callable[[int], bytes], budget: Budget) -> Iterator[Part | Obstacle]:
    """Yield a part if the budget allows, or one obstacle when the budget is exhausted."""
    if budget.exhausted:
        return
    limit = budget.part_limit
    content = read(limit + 1)
    budget.spend(min(len(content), limit))
    if len(content) > limit or budget.exhausted:
        yield Obstacle(f"{label.lstrip('!@')} expands to more than can be scanned; split it up")
    yield Part(label, content[:limit])


def _streams(data: bytes, budget: Budget) -> Iterator[Part | Obstacle]:
    """Compressed streams at any offset: gzip, zlib (as in PNG, PDF and HDF5), bzip2, xz."""
    starts = sorted(
        (start, kind) for kind, magic in _STREAM_STARTS for start in _positions(data, magic)
    )
    end = 0
    for start, kind in starts:
        if start < end:
            continue
        output, end = _decompress(kind, data, start, budget.part_limit)
        if output:
            yield from _read(f"@{kind}:{start}", io.BytesIO(output).read, budget)


def _positions(data: bytes, magic: bytes) -> Iterator[int]:
    position = data.find(magic)
    while position >= 0:
        yield position
        position = data.find(magic, position + 1)


def _decompress(kind: str, data: bytes, start: int, limit: int) -> tuple[bytes, int]:
    """Output of a stream, at most `limit` + 1 bytes, and its end; empty if there is no stream."""
    stream = _DECOMPRESSORS[kind]()
    output = bytearray()
    position = start
    while position < len(data) and not stream.eof and len(output) <= limit:
        try:
            output += _feed(stream, data[position : position + _STREAM_STEP], limit - len(output))
        except (zlib.error, OSError, lzma.LZMAError, EOFError):
            return b"", start
        position += _STREAM_STEP
    enough = _MIN_STREAM_OUTPUT if stream.eof else _MIN_TRUNCATED_OUTPUT
    if len(output) < enough:
        return b"", start
    return bytes(output), min(position, len(data)) - len(stream.unused_data)


def _feed(stream: Any, data: bytes, limit: int) -> bytes:
    """Output for a chunk of input, at most `limit` + 1 bytes."""
    output = bytes(stream.decompress(data, limit + 1))
    while len(output) <= limit and not stream.eof:
        pending = getattr(stream, "unconsumed_tail", b"")
        if not pending and getattr(stream, "needs_input", True):
            break
        output += stream.decompress(pending, limit + 1 - len(output))
    return output


def _arrays(data: bytes) -> Iterator[Part]:
    """NumPy arrays at any offset in a blob."""
    for position in _positions(data, _NPY):
        try:
            array = np.lib.format.read_array(io.BytesIO(data[position:]), allow_pickle=False)
        except Exception:
            continue  # an object array or no array: its bytes are scanned like any others
        yield Part(f"@npy:{position}" if position else "", array)


def _hdf5_datasets(data: bytes, budget: Budget) -> Iterator[Part | Obstacle]:
    """Datasets of an HDF5 file, which are often compressed; the rest of the file is plain."""
    if not data.startswith(_HDF5):
        return
    try:
        import h5py
    except ImportError:
        yield Obstacle("an HDF5 file, which needs h5py: pip install 'crydistill[train]'")
        return
    found: list[Part | Obstacle] = []

    def visit(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.nbytes > budget.part_limit or budget.exhausted:
            found.append(Obstacle(f"dataset {name} is larger than can be scanned; split it up"))
            return
        budget.spend(item.nbytes)
        values = np.asarray(item[()])
        if values.dtype.kind != "O":
            found.append(Part(f"!{name}", values.tobytes()))
        found.append(Part(f"!{name}", values))

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            file.visititems(visit)
    except Exception as error:
        found.append(Obstacle(f"an HDF5 file that cannot be read ({error}); create it again"))
    yield from found


def _wide_text(data: bytes) -> Iterator[Part]:
    """Latin characters of UTF-16 and UTF-32 text in a blob, one run per line."""
    for label, width, pattern in (("utf-16", 2, _UTF16), ("utf-32", 4, _UTF32)):
        if _has_wide_text(data, width):
            lines = [match.group()[::width] for match in pattern.finditer(data)]
            yield Part(f"@{label}", b"\n".join(lines))


def _has_wide_text(data: bytes, width: int) -> bool:
    """Whether there are eight letters `width` bytes apart, each followed by a zero: a fast test."""
    array = np.frombuffer(data, dtype=np.uint8)
    letter = (array[:-1] >= 0x20) & (array[:-1] < 0x7F) & (array[1:] == 0)
    for apart in (width, 2 * width, 4 * width):
        letter = letter[:-apart] & letter[apart:]
    return bool(letter.any())


def _encoded(data: bytes, budget: Budget) -> Iterator[Part | Obstacle]:
    """Bytes and numbers written as text: base64, hexadecimal, lists of numbers."""
    yield from _base64_runs(data.replace(b"\\/", b"/"), budget)
    for start, stop in runs(data, _NUMBER_LETTERS, _MIN_NUMBER_LETTERS):
        for match in _HEX.finditer(data, start, stop):
            digits = _NOT_HEX.sub(b"", match.group()).decode()
            content = bytes.fromhex(digits[: len(digits) // 2 * 2])
            yield from _read(f"@hex:{match.start()}", io.BytesIO(content).read, budget)
        for match in _NUMBERS.finditer(data, start, stop):
            for numbers in _numbers(match.group()):
                yield Part(f"@numbers:{match.start()}", numbers)


def _base64_runs(text: bytes, budget: Budget) -> Iterator[Part | Obstacle]:
    end = 0
    for start, _ in runs(text, _BASE64_LETTERS, _MIN_BASE64_LINE):
        match = None if start < end else _BASE64.match(text, start)
        if match is None:
            continue
        end = match.end()
        letters = _NOT_BASE64.sub(b"", match.group().translate(bytes.maketrans(b"-_", b"+/")))
        if len(letters) < MIN_BASE64_LETTERS:
            continue
        # Letters adjoining its start would shift the alignment, so all four are scanned.
        for shift in range(4):
            content = _from_base64(letters[shift:])
            yield from _read(f"@base64:{start}", io.BytesIO(content).read, budget)


def _from_base64(letters: bytes) -> bytes:
    whole = letters[: len(letters) - (len(letters) % 4 == 1)]
    return base64.b64decode(whole + b"=" * (-len(whole) % 4))


def _numbers(text: bytes) -> Iterator[bytes | Array]:
    """Possible sources of a list of numbers: bytes, int16 or floats."""
    words = _NUMBER.findall(text)
    if len(words) < MIN_NUMBERS:
        return
    values = np.array([int(word, 16) if b"x" in word.lower() else float(word) for word in words])
    whole = bool((values == np.rint(values)).all())
    low, high = values.min(), values.max()
    if whole and low >= -128 and high <= 255:
        yield values.astype(np.int16).astype(np.uint8).tobytes()
    if whole and low >= -32_768 and high <= 32_767:
        yield values.astype(np.int16)
    elif not whole:
        yield values
