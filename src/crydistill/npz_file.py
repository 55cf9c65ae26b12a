"""NumPy's `.npz` files: those from elsewhere may be anything, ours keep what took long."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.atomic import replacing

NOT_NPZ = (
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What `np.load`, and reading its arrays, raises of a file that is damaged or of another kind.

To be caught around nothing else: a `.npy` is an array, which cannot be entered (TypeError), and a
flipped bit may say that a member is encrypted (RuntimeError).
"""

_KEY = "key"


def keep_arrays(path: str | Path, key: str, arrays: Mapping[str, Any]) -> None:
    """Keep arrays, by names other than `key`, for `kept_arrays`; written atomically.

    Parameters
    ----------
    key : hash of all that decides what is in them
    arrays : or what becomes some
    """
    with replacing(path) as temporary:
        np.savez(temporary, **{_KEY: key, **arrays})


def kept_arrays(path: str | Path, key: str) -> dict[str, npt.NDArray[Any]] | None:
    """Return what `keep_arrays` kept under the same key.

    Returns
    -------
    Arrays by name, in their order; None if there is no such file, or it is damaged or of another
    key: what it should hold is then to be made again.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        return found if str(found.pop(_KEY)) == key else None
    except NOT_NPZ:
        return None
