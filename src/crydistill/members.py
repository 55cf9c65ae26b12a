"""Recordings inside tar and parquet files, by paths that lead through them.

    corpus/shard-000.tar/000017.flac      a member of a tar file
    corpus/part-0.parquet/audio/17        row 17, counted from 0, of the column `audio`

Such a path is enough to find the bytes again, in any process. They are read from the file as it is;
nothing is unpacked.
"""

import bisect
import io
import os
import tarfile
import threading
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from crydistill.errors import MissingExtraError, first_line

TAR, PARQUET = ".tar", ".parquet"

_INDEXES, _ROW_GROUPS = 64, 2
"""Files whose contents are known, and row groups whose audio is held, at once."""

_lock = threading.Lock()
"""Decoding threads that wait for the same row group read it once."""


def open_binary(path: str | Path) -> io.BufferedReader | io.BytesIO:
    """Open a file, or what a path through a tar or parquet file leads to.

    Raises
    ------
    OSError
        if there is none, or the file that it is in is damaged.
    """
    path = Path(path)
    try:
        return path.open("rb")
    except (NotADirectoryError, FileNotFoundError):
        found = _inside(path)
        if found is None:
            raise
        return io.BytesIO(found)


def exists(path: Path) -> bool:
    """Whether a path leads to a file, or to something in a tar or parquet file."""
    if path.is_file():
        return True
    try:
        return _inside(path) is not None
    except OSError:
        return False


def version(path: Path) -> tuple[int, int]:
    """Size and time of change (ns) of a file, or of the tar or parquet file that a path leads into.

    Raises
    ------
    OSError
        if there is neither.
    """
    try:
        found = path.stat()
    except (NotADirectoryError, FileNotFoundError):
        container = _container(path)
        if container is None:
            raise
        found = container.stat()
    return found.st_size, found.st_mtime_ns


def parquet() -> Any:
    """The module that reads parquet files.

    Raises
    ------
    MissingExtraError
        if it is not installed.
    """
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "parquet files need pyarrow: pip install 'crydistill[parquet]'"
        ) from error
    return pyarrow.parquet


def bytes_leaf(schema: Any, column: str) -> str:
    """Where in a parquet file the bytes of an audio column are: in it, or in its struct's field."""
    import pyarrow

    return f"{column}.bytes" if pyarrow.types.is_struct(schema.field(column).type) else column


def _inside(path: Path) -> bytes | None:
    container = _container(path)
    if container is None:
        return None
    with _lock:
        name = path.relative_to(container).as_posix()
        return _READERS[container.suffix.lower()](container, name)


def _container(path: Path) -> Path | None:
    """The tar or parquet file that a path leads through."""
    for folder in path.parents:
        if folder.suffix.lower() in _READERS and folder.is_file():
            return folder
    return None


def _read_tar(container: Path, name: str) -> bytes | None:
    place = _tar_index(*_version(container)).get(name)
    if place is None:
        return None
    start, size = place
    with container.open("rb") as file:
        file.seek(start)
        found = file.read(size)
    if len(found) < size:
        raise OSError(f"{container} ends within {name}")
    return found


def _read_parquet(container: Path, name: str) -> bytes | None:
    column, _, row = name.rpartition("/")
    if not (column and row.isascii() and row.isdigit()):
        return None
    starts = _row_group_starts(*_version(container))
    if int(row) >= starts[-1]:
        return None
    group = bisect.bisect_right(starts, int(row)) - 1
    values = _row_group(*_version(container), column, group)
    found = values[int(row) - starts[group]].as_py()
    return found if isinstance(found, bytes) else None


_READERS: dict[str, Callable[[Path, str], bytes | None]] = {
    TAR: _read_tar,
    PARQUET: _read_parquet,
}


def _version(path: Path) -> tuple[str, int, int]:
    """A file as it is now: what is known of another version of it does not hold."""
    return os.fspath(path), *version(path)


@lru_cache(_INDEXES)
def _tar_index(path: str, size: int, time: int) -> dict[str, tuple[int, int]]:
    """First byte and size of every member."""
    try:
        with tarfile.open(path, "r:") as tar:
            return {member.name: (member.offset_data, member.size) for member in tar}
    except tarfile.TarError as error:
        raise OSError(f"{path} is damaged: {error}") from error


@lru_cache(_INDEXES)
def _row_group_starts(path: str, size: int, time: int) -> list[int]:
    """First row of every row group, and behind the last one the number of rows."""
    try:
        with parquet().ParquetFile(path) as file:
            groups = range(file.metadata.num_row_groups)
            return [0, *accumulate(file.metadata.row_group(n).num_rows for n in groups)]
    except ValueError as error:  # what pyarrow raises of a damaged file
        raise OSError(f"{path} is damaged: {first_line(error)}") from error


@lru_cache(_ROW_GROUPS)
def _row_group(path: str, size: int, time: int, column: str, group: int) -> Any:
    """The bytes of the recordings in a row group."""
    import pyarrow.compute

    try:
        with parquet().ParquetFile(path) as file:
            leaf = bytes_leaf(file.schema_arrow, column)
            values = file.read_row_group(group, columns=[leaf]).column(0)
    except (ValueError, KeyError) as error:
        raise OSError(f"{path} is damaged: {first_line(error)}") from error
    return values if leaf == column else pyarrow.compute.struct_field(values, "bytes")
