"""Rows of frames and logits that are mapped, or computed, when they are needed."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np
import numpy.typing as npt

Float16 = npt.NDArray[np.float16]

_FILES_MAPPED = 256
"""Files mapped at once: each takes a file descriptor, of which a process often has 1,024."""

_BYTES_KEPT = 256 << 20
"""Recomputed frames that are kept for the next window of the same clip."""


class Rows(Protocol):
    """Rows of one part of a store."""

    def __len__(self) -> int: ...

    def between(self, start: int, stop: int) -> Float16:
        """Rows of one clip, `[stop - start, *shape]`, not copied where that is possible."""
        ...


def row_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of a float16 row; 0 if no rows are kept."""
    return 2 * prod(shape) if shape else 0


class FileRows:
    """Rows of a float16 file, which is mapped when it is first read from."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        size = path.stat().st_size if path.exists() else 0
        self._path, self._shape = path, shape
        self._count = size // row_bytes(shape)

    def __len__(self) -> int:
        return self._count

    def between(self, start: int, stop: int) -> Float16:
        """Consecutive rows, not copied."""
        return self._mapped[start:stop]

    @property
    def _mapped(self) -> Float16:
        if self._count == 0:
            return np.empty((0, *self._shape), dtype=np.float16)
        found = self._path.stat()  # another file of the same name is another mapping
        return _map(self._path, (self._count, *self._shape), found.st_ino, found.st_mtime_ns)


@lru_cache(maxsize=_FILES_MAPPED)
def _map(path: Path, shape: tuple[int, ...], inode: int, changed: int) -> Float16:
    return np.memmap(path, dtype="<f2", mode="r", shape=shape)


class RecomputedRows:
    """Rows of clips that are computed anew when they are read.

    Those read last are kept, up to a limit. Safe to use from several threads.
    """

    def __init__(
        self,
        starts: Sequence[int],
        shape: tuple[int, ...],
        count: int,
        compute: Callable[[int], Float16],
    ) -> None:
        """Arrange clips.

        Parameters
        ----------
        starts : position of each clip's first row, ascending
        shape : of a row
        count : number of all rows
        compute : makes the rows of a clip, by its place among `starts`
        """
        self._starts = np.array(starts, dtype=np.int64)
        self._shape, self._count, self._compute = shape, count, compute
        self._kept: OrderedDict[int, Float16] = OrderedDict()
        self._bytes, self._lock = 0, Lock()

    def __len__(self) -> int:
        return self._count

    def between(self, start: int, stop: int) -> Float16:
        """Consecutive rows of one clip."""
        number = int(np.searchsorted(self._starts, start, side="right")) - 1
        first = int(self._starts[number])
        return self._of_clip(number)[start - first : stop - first]

    def _of_clip(self, number: int) -> Float16:
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
        rows = self._compute(number)
        with self._lock:
            if number not in self._kept:
                self._kept[number] = rows
                self._bytes += rows.nbytes
            while self._bytes > _BYTES_KEPT and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return rows
