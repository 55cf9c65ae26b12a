"""Write files atomically: under a temporary name, then renamed."""

import errno
import os
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
    choose the format by it, and is removed if the block raises. What goes wrong with it is said of
    `path`, which is the name that a user knows.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _said_of(path):
        temporary = _temporary(path)
        try:
            yield temporary
            temporary.replace(path)
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


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Errors of a temporary file beside `path` name `path`; so do full disks, which name none."""
    temporary = os.path.normpath(path.absolute().with_name(f".{path.stem}-"))
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
