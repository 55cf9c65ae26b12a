"""Read the tensors of a PyTorch checkpoint without PyTorch and without running its pickle.

`torch.save` writes a zip: `NAME/data.pkl` is a pickle of the dictionary, `NAME/data/K` the bytes of
storage K. A pickle may name any function to be called while it is read, so a foreign file could run
a program. This reader knows the four names that a dictionary of tensors needs, replaces each by
code of its own, and refuses the file at any other.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.errors import TeacherError

Tensor = npt.NDArray[Any]

_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
}
"""Element types by PyTorch's names of their storages; weights on disk are little-endian."""

_MAX_PICKLE_BYTES = 10_000_000
"""Largest `data.pkl` to read; that of a thousand tensors has 100 kB."""


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict saved with `torch.save` as NumPy arrays by name.

    No code of the file runs: its pickle may only build tensors and dictionaries.

    Raises
    ------
    TeacherError
        if the file cannot be read, is not such a checkpoint, is damaged, or its pickle asks for
        anything else than tensors.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _state_dict(archive)
    except _ForbiddenError as error:
        raise TeacherError(
            f"{path}: its pickle asks for {error}, which weights do not need; nothing was run. "
            "Use the file that the authors published"
        ) from error
    except OSError as error:
        raise TeacherError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # Foreign bytes make pickle and zipfile raise anything.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TeacherError(
            f"{path}: not a PyTorch checkpoint of tensors, or damaged ({reason}); download it again"
        ) from error


class _ForbiddenError(Exception):
    """The name of something that a state dict has no use for."""


@dataclass(frozen=True)
class _Storage:
    values: Tensor


def _state_dict(archive: zipfile.ZipFile) -> dict[str, Tensor]:
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("it holds no data.pkl")
    if archive.getinfo(pickles[0]).file_size > _MAX_PICKLE_BYTES:
        raise ValueError("its data.pkl is too large")
    folder = pickles[0].removesuffix("data.pkl")
    found = _TensorUnpickler(archive, folder).load()
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(value, np.ndarray) for name, value in found.items()
    ):
        raise ValueError("it holds something else than tensors by name")
    return dict(found)


class _TensorUnpickler(pickle.Unpickler):
    """Unpickler to which only tensors and dictionaries exist."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(BytesIO(archive.read(f"{folder}data.pkl")))
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise _ForbiddenError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        """Read a storage: `("storage", element type, key, device, number of elements)`."""
        kind, dtype, key, _, count = pid
        if kind != "storage" or dtype not in _STORAGES.values():
            raise ValueError("it refers to something else than a storage")
        name = f"{self._folder}data/{key}"
        if self._archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed")
        return _Storage(np.frombuffer(self._archive.read(name), dtype=dtype, count=count))


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> Tensor:
    """Cut a tensor of the given shape and strides (in elements) out of its storage, as a copy."""
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides)) < 0 or max(last, prod(shape) - 1) >= len(storage.values):
        raise ValueError("a tensor reaches past its storage")
    values = storage.values[offset:]
    steps = [step * values.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(values, shape, steps, writeable=False).copy()
