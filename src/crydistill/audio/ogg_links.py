"""Split a chained Ogg file into its logical streams.

Recorders that start anew at midnight, and radio streams, write such files. Decoders stop at the
first link's end, and libsndfile repeats sound where pages are lost; so a file is divided first, and
every page's checksum and number looked at.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_HEADER = struct.Struct("<4sBBqIIIB")
_BEGINS = 0x02
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_STEP = 1 << 13


@dataclass(frozen=True)
class Link:
    """Bytes `[start, stop)` of a file; whole if no page in it is missing or damaged."""

    start: int
    stop: int
    whole: bool


@dataclass(frozen=True)
class _Page:
    start: int
    stop: int
    begins: bool
    serial: int
    number: int
    whole: bool


def read_links(file: BinaryIO) -> list[Link]:
    """Divide an Ogg file into its links; empty if it has no page."""
    links: list[Link] = []
    numbers: dict[int, int] = {}
    start, stop, whole, in_header = 0, 0, True, False
    for page in _pages(file):
        if page.begins and not in_header and page.start:
            if stop:
                links.append(Link(start, page.start, whole))
            start, whole = page.start, True
            numbers.clear()
        elif page.start != stop:
            whole = False
        in_header = page.begins
        whole &= page.whole and numbers.get(page.serial, page.number - 1) == page.number - 1
        numbers[page.serial] = page.number
        stop = page.stop
    return [*links, Link(start, stop, whole)] if stop else []


def _pages(file: BinaryIO) -> Iterator[_Page]:
    """Complete pages; those with a wrong checksum are not whole, what is none is passed over."""
    at: int | None = 0
    while at is not None:
        file.seek(at)
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size or not head.startswith(b"OggS"):
            at = _next_page(file, at + 1)
            continue
        _, _, flags, _, serial, number, checksum, segments = _HEADER.unpack(head)
        table = file.read(segments)
        body = file.read(sum(table))
        if len(table) < segments or len(body) < sum(table):
            at = _next_page(file, at + 1)
            continue
        stop = at + len(head) + len(table) + len(body)
        found = _checksum(head[:22] + bytes(4) + head[26:] + table + body)
        if found != checksum and not _is_page(file, stop):
            at = _next_page(file, at + 1)  # a length that is damaged
            continue
        yield _Page(at, stop, bool(flags & _BEGINS), serial, number, found == checksum)
        at = stop


def _is_page(file: BinaryIO, at: int) -> bool:
    file.seek(at)
    return file.read(4) in (b"OggS", b"")


def _next_page(file: BinaryIO, at: int) -> int | None:
    while True:
        file.seek(at)
        block = file.read(_STEP)
        if len(block) < _HEADER.size:
            return None
        found = block.find(b"OggS")
        if found >= 0:
            return at + found
        at += len(block) - 3


def _checksum(page: bytes) -> int:
    """Ogg's CRC is that of zlib with the bits the other way round and without its inversions."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{mirrored:032b}"[::-1], 2)
