"""Build Google's YAMNet (the FP32 ReLU network) in Keras 3 from its official weight file.

MobileNet v1 on a 96 x 64 log-mel patch: one convolution, thirteen depthwise-separable blocks,
global average pooling, 521 logits whose sigmoids are independent scores. BatchNorm (epsilon 1e-4,
no scale) is folded into the convolutions on loading, which only changes the rounding.

Source: `tensorflow/models/research/audioset/yamnet` (yamnet.py, params.py).
"""

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import WINDOW_FRAMES
from crydistill.errors import TeacherError
from crydistill.taxonomy import CLASSES

BATCH_NORM_EPSILON = 1e-4
STEM_FILTERS = 32
BLOCKS = (
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (2, 1024),
    (1, 1024),
)
"""(stride, filters) of layers 2 to 14."""

Weights = npt.NDArray[np.float32]


def load_yamnet(path: str | Path) -> keras.Model:
    """Build YAMNet with the weights of an HDF5 file in the official `yamnet.h5` layout.

    Returns
    -------
    keras.Model from log-mel patches `[batch, 96, 64]` to logits `[batch, 521]`.

    Raises
    ------
    TeacherError
        if the file is missing or not HDF5, or a tensor is missing or has the wrong shape.
    """
    path = Path(path)
    if not path.is_file():
        raise TeacherError(
            f"{path}: no such weights file; run `crydistill teacher fetch` or use a local file"
        )
    model = _network()
    try:
        with h5py.File(path, "r") as file:
            _fill(model, file, path)
    except OSError as error:
        raise TeacherError(
            f"{path}: not a readable HDF5 file; delete it and run `crydistill teacher fetch`"
        ) from error
    return model


def _network() -> keras.Model:
    patch = keras.Input((WINDOW_FRAMES, MEL_BANDS))
    x = keras.layers.Reshape((WINDOW_FRAMES, MEL_BANDS, 1))(patch)
    x = keras.layers.Conv2D(STEM_FILTERS, 3, 2, "same", activation="relu", name="layer1")(x)
    for number, (stride, filters) in enumerate(BLOCKS, start=2):
        x = keras.layers.DepthwiseConv2D(
            3, stride, "same", activation="relu", name=f"layer{number}_depthwise_conv"
        )(x)
        x = keras.layers.Conv2D(
            filters, 1, activation="relu", name=f"layer{number}_pointwise_conv"
        )(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(patch, keras.layers.Dense(CLASSES, name="logits")(x), name="yamnet")


def _fill(model: keras.Model, file: h5py.File, path: Path) -> None:
    _set(
        model,
        "layer1",
        *_folded(file, path, "layer1/conv/layer1/conv/kernel", "layer1/conv/bn/layer1/conv/bn"),
        path,
    )
    for number in range(2, len(BLOCKS) + 2):
        for kind, kernel in (
            ("depthwise_conv", "depthwise_kernel"),
            ("pointwise_conv", "kernel"),
        ):
            name = f"layer{number}/{kind}"
            weights = _folded(file, path, f"{name}/{name}/{kernel}", f"{name}/bn/{name}/bn")
            _set(model, name.replace("/", "_"), *weights, path)
    head_kernel = _tensor(file, path, "logits/logits/kernel")
    _set(model, "logits", head_kernel, _tensor(file, path, "logits/logits/bias"), path)


def _folded(
    file: h5py.File, path: Path, kernel_key: str, batch_norm: str
) -> tuple[Weights, Weights]:
    """Return a convolution's kernel and bias with the following BatchNorm folded in."""
    kernel = _tensor(file, path, kernel_key).astype(np.float64)
    beta, mean, variance = (
        _tensor(file, path, f"{batch_norm}/{part}").astype(np.float64)
        for part in ("beta", "moving_mean", "moving_variance")
    )
    scale = 1.0 / np.sqrt(variance + BATCH_NORM_EPSILON)
    # A depthwise kernel's channels are its third axis ([3, 3, channels, 1]), else the last.
    channel_scale = scale[:, None] if "depthwise" in kernel_key else scale
    return (kernel * channel_scale).astype(np.float32), (beta - mean * scale).astype(np.float32)


def _tensor(file: h5py.File, path: Path, key: str) -> Weights:
    try:
        return np.asarray(file[f"{key}:0"], dtype=np.float32)
    except KeyError as error:
        raise TeacherError(
            f"{path}: has no tensor {key}:0; it does not have the layout of the official yamnet.h5"
        ) from error


def _set(model: keras.Model, layer: str, kernel: Weights, bias: Weights, path: Path) -> None:
    expected: list[Any] = [tuple(w.shape) for w in model.get_layer(layer).weights]
    found = [kernel.shape, bias.shape]
    if found != expected:
        raise TeacherError(f"{path}: {layer} has shapes {found}, YAMNet's are {expected}")
    model.get_layer(layer).set_weights([kernel, bias])
