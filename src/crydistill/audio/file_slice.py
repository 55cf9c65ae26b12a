"""A file-like view of a byte range, for decoders written in C."""

import io
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[np.float32]
"""What a decoder gives: samples as they are in the file, `[n, channels]`, full scale 1."""


class FileSlice:
    """Bytes `[start, stop)` of a file behind a header of one's own.

    Decoders written in C call it back and cannot pass an exception on: they print it and go on.
    So nothing is raised in a call; `check` raises what went wrong. Whoever lets them call it holds
    signals back meanwhile (`deferred_signals`), as one may arrive outside the guarded lines.
    """

    def __init__(
        self, file: BinaryIO, start: int = 0, stop: int | None = None, header: bytes = b""
    ) -> None:
        self._file = file
        self._start = start
        self._header = header
        self._body = max(0, (file_size(file) if stop is None else stop) - start)
        self._at = 0
        self._error: BaseException | None = None

    def __len__(self) -> int:
        return len(self._header) + self._body

    def read(self, count: int = -1) -> bytes:
        left = max(0, len(self) - self._at)
        count = left if count < 0 else min(count, left)
        data = self._header[self._at : self._at + count]
        if len(data) < count:
            body = self._at + len(data) - len(self._header)
            try:
                self._file.seek(self._start + body)
                data += self._file.read(count - len(data))
            except BaseException as error:  # Ctrl-C, too: C would swallow it
                self._error = error
                return b""
        self._at += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, or answer -1 and stay if the place lies before the start."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self)}[whence]
        if base + offset < 0:
            return -1
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def check(self) -> None:
        """Raise what reading the file raised.

        Raises
        ------
        OSError
            if the file could not be read.
        """
        if self._error is not None:
            raise self._error


def file_size(file: BinaryIO) -> int:
    """Bytes of an open file; its position stays."""
    at = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(at)
    return size
