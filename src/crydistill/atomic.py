"""Write files atomically: under a temporary name, then renamed."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Reasons why a write fails; Python does not say of which file."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; rename it to `path` if the block succeeds.

    Creates the directory if missing. The temporary file keeps `path`'s suffix, since many writers
    choose the format by it, and is removed if the block raises. A link is followed: the file that
    it leads to is replaced. What goes wrong with it is said of `path`, which is the name that a
    user knows.

    Raises `OSError` where `path` is a folder, device, pipe or socket, before the block.
    """
    path = Path(path)
    _require_replaceable(path)
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    target.parent.mkdir(parents=True, exist_ok=True)
    with _said_of(path, target):
        temporary = _temporary(target)
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a binary file atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _temporary(path: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    temporary.chmod(0o666 & ~_umask())
    return temporary


def _require_replaceable(path: Path) -> None:
    """Refuse what is there and no file. Renamed over, /dev/null would be gone for all programs."""
    try:
        mode = path.stat().st_mode
    except OSError:  # missing, or named by what fails next
        return
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "is a folder; name a file", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(
            errno.EINVAL, "is a device, pipe or socket, not a file; name a file", str(path)
        )


@contextmanager
def _said_of(path: Path, target: Path) -> Iterator[None]:
    """Errors of a temporary file beside `target` name `path`; so do full disks, which name none."""
    temporary = os.path.normpath(target.absolute().with_name(f".{target.stem}-"))
    try:
        yield
    except OSError as error:
        name = error.filename
        if (name is None and error.errno in _FULL) or str(name).startswith(temporary):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
