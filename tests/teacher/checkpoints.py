"""Write PyTorch checkpoints without PyTorch: a zip of raw storages and a pickle made by hand."""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

Tensors = dict[str, npt.NDArray[np.float32]]

BLOCKS = 15
WITH_EXCITATION = (3, 4, 5, 10, 11, 12, 13, 14)
FIVE_BY_FIVE = (3, 4, 5, 12, 13, 14)


def write_checkpoint(path: Path, tensors: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """Write what `torch.save` writes of a state dict of float32 tensors."""
    body = b"".join(
        _text(name) + _tensor(key, value) for key, (name, value) in enumerate(tensors.items())
    )
    write_pickle(path, b"\x80\x02}(" + body + b"u.", list(tensors.values()))


def write_pickle(path: Path, content: bytes, storages: list[npt.NDArray[np.float32]]) -> None:
    """Write a checkpoint with any pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")
        for key, values in enumerate(storages):
            archive.writestr(f"archive/data/{key}", values.astype("<f4").tobytes())


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _ints(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def _tensor(key: int, value: npt.NDArray[np.float32]) -> bytes:
    strides = tuple(step // value.itemsize for step in value.strides)
    return tensor_opcodes(key, value.size, 0, value.shape, strides)


def tensor_opcodes(
    key: int, size: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> bytes:
    """Opcodes of `torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, False, {})`."""
    storage = (
        b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(str(key)) + _text("cpu")
        + b"J" + struct.pack("<i", size) + b"tQ"
    )  # fmt: skip
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"J" + struct.pack("<i", offset)
        + _ints(shape) + _ints(strides) + b"\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def tiny_mn(classes: int = 527, *, channels: int = 8, hidden: int = 128) -> Tensors:
    """Random weights of a network laid out like EfficientAT's, with few channels."""
    random = np.random.default_rng(5)
    tensors: Tensors = {}

    def put(name: str, *shape: int, scale: float = 1.0) -> None:
        tensors[name] = random.normal(0.0, scale, shape).astype(np.float32)

    def convolution(name: str, filters: int, inputs: int, size: int) -> None:
        put(f"{name}.0.weight", filters, inputs, size, size, scale=1.2 * (inputs * size**2) ** -0.5)
        for part in ("bias", "running_mean"):
            put(f"{name}.1.{part}", filters, scale=0.2)
        for part in ("weight", "running_var"):
            tensors[f"{name}.1.{part}"] = random.uniform(0.7, 1.3, filters).astype(np.float32)

    convolution("features.0", channels, 1, 3)
    for block in range(BLOCKS):
        name, part = f"features.{block + 1}.block", 0
        wide = channels if block == 0 else 2 * channels
        if block:
            convolution(f"{name}.0", wide, channels, 1)
            part = 1
        convolution(f"{name}.{part}", wide, 1, 5 if block in FIVE_BY_FIVE else 3)
        if block in WITH_EXCITATION:
            part += 1
            for layer, rows, columns in (("fc1", 8, wide), ("fc2", wide, 8)):
                put(f"{name}.{part}.conc_se_layers.0.{layer}.weight", rows, columns, scale=0.3)
                put(f"{name}.{part}.conc_se_layers.0.{layer}.bias", rows)
        convolution(f"{name}.{part + 1}", channels, wide, 1)
    convolution(f"features.{BLOCKS + 1}", 2 * channels, channels, 1)
    for layer, rows, columns in ((2, hidden, 2 * channels), (5, classes, hidden)):
        put(f"classifier.{layer}.weight", rows, columns, scale=0.3 * columns**-0.5)
        put(f"classifier.{layer}.bias", rows)
    return tensors
