"""One process at a time: a lock that the operating system drops when its holder is killed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crydistill.errors import CrydistillError


class BusyError(CrydistillError):
    """Raised when another process works on the same files."""


@contextmanager
def exclusive(path: str | Path) -> Iterator[None]:
    """Hold the lock file `path` for the length of the block; it is removed afterwards.

    Raises
    ------
    BusyError
        at once, if another process (or another block of this one) holds it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        # A holder that has just finished may have removed the file that was opened here.
        if not _take(file.fileno()) or not _still_at(path, file.fileno()):
            raise BusyError(f"{path}: another crydistill is at work here; wait until it ends")
        try:
            yield
        finally:
            # Windows removes no open file; an unlocked one left behind does no harm.
            with suppress(OSError):
                path.unlink()


def _still_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _take(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
