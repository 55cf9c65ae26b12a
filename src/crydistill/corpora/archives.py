"""Safely unpack untrusted zip and tar archives.

Only regular files are written, only below the target folder; links and devices are skipped. Split
zip files (`.z01`, `.z02`, ..., `.zip`), which Python's zipfile does not support, are read in place.
"""

import io
import lzma
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import IO

from crydistill.errors import CorpusError, first_line
from crydistill.progress import Advance, Progress, silent

Wanted = Callable[[PurePosixPath], bool]
"""Predicate on a member's path: whether to unpack it."""

_READ_ERRORS = (
    OSError,
    EOFError,
    IndexError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Exceptions raised by the standard library for damaged archives, and for a full disk."""

_SPLIT_PART = re.compile(r"\.z\d\d$")


def unpack_archive(
    parts: Sequence[Path],
    folder: Path,
    *,
    wanted: Wanted = lambda path: True,
    progress: Progress = silent,
) -> None:
    """Unpack a tar, a zip or the parts of a split zip into a folder.

    Raises
    ------
    CorpusError
        if it is damaged, of another format, or a member's path leads out of the folder.
    """
    total = sum(part.stat().st_size for part in parts)
    name = parts[-1].name
    try:
        with progress(f"unpack {name}", total, "bytes") as advance:
            if len(parts) > 1 or zipfile.is_zipfile(parts[0]):
                _unpack_zip(parts, folder, wanted, advance)
            else:
                _unpack_tar(parts[0], folder, wanted, advance)
    except _READ_ERRORS as error:
        raise CorpusError(
            f"{parts[-1]}: cannot be unpacked ({first_line(error)}); delete it and download it "
            "again"
        ) from error


def in_disk_order(parts: Sequence[Path]) -> list[Path]:
    """Sort the parts of a split zip: .z01, .z02, ..., and .zip last."""
    return sorted(parts, key=lambda part: (_SPLIT_PART.search(part.name) is None, part.name))


def _unpack_zip(parts: Sequence[Path], folder: Path, wanted: Wanted, advance: Advance) -> None:
    with _JoinedFile(in_disk_order(parts)) as joined, zipfile.ZipFile(joined) as archive:
        if len(parts) > 1:
            _fix_offsets(archive.filelist, joined.starts)
        for member in archive.infolist():
            advance(member.compress_size)
            path = _safe_path(member.filename, parts[-1])
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir() or kind not in (0, stat.S_IFREG) or not wanted(path):
                continue
            with archive.open(member) as source:
                _write(source, folder / path)


def _unpack_tar(part: Path, folder: Path, wanted: Wanted, advance: Advance) -> None:
    done = 0
    with part.open("rb") as raw, tarfile.open(fileobj=raw) as archive:
        for member in archive:
            advance(raw.tell() - done)
            done = raw.tell()
            path = _safe_path(member.name, part)
            source = archive.extractfile(member) if member.isreg() and wanted(path) else None
            if source is not None:
                with source:
                    _write(source, folder / path)


def _safe_path(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise CorpusError(f"{archive}: {name!r} leads out of its folder; archive not unpacked")
    return path


def _write(source: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _fix_offsets(members: Sequence[zipfile.ZipInfo], starts: Sequence[int]) -> None:
    """Convert a split zip's offsets, relative to each part, to offsets in the joined file.

    zipfile takes all offsets as relative to the last part, which holds the central directory.
    """
    for member in members:
        member.header_offset += starts[member.volume] - starts[-1]
        # Newer Python versions derive the members' ends from the wrong offsets.
        if hasattr(member, "_end_offset"):
            member._end_offset = None


class _JoinedFile(io.RawIOBase):
    """Several files as one seekable file.

    starts : offset of each part
    """

    def __init__(self, parts: Sequence[Path]) -> None:
        super().__init__()
        self._files = [part.open("rb") for part in parts]
        ends = list(accumulate(part.stat().st_size for part in parts))
        self.starts = [0, *ends[:-1]]
        self._size = ends[-1]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._position if size is None or size < 0 else size
        pieces = []
        for start, file in zip(self.starts, self._files, strict=True):
            if left and self._position >= start:
                file.seek(self._position - start)
                piece = file.read(left)
                pieces.append(piece)
                self._position += len(piece)
                left -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
