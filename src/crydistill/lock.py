"""Inter-process lock files, released by the operating system if the holder is killed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crydistill.errors import CrydistillError, SetupError


class BusyError(CrydistillError):
    """Raised when another process is using the same files."""


@contextmanager
def exclusive(path: str | Path) -> Iterator[None]:
    """Hold the lock file `path` during the block and remove it afterwards.

    Raises
    ------
    BusyError
        immediately, if another process (or another block in this one) holds it.
    SetupError
        if the file system has no locks.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        # A holder that has just finished may have removed the file opened here.
        try:
            is_held = _try_lock(file.fileno())
        except OSError as error:
            raise SetupError(
                f"{path}: this file system has no locks ({error.strerror}); mount it with them, or "
                "use a folder on another one"
            ) from error
        if not is_held or not _is_current(path, file.fileno()):
            raise BusyError(f"{path}: in use by another crydistill process; wait until it ends")
        try:
            yield
        finally:
            # Windows cannot remove an open file; an unlocked leftover does no harm.
            with suppress(OSError):
                path.unlink()


def _is_current(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
