"""EfficientAT's MobileNetV3 in Keras 3, from its authors' checkpoint.

`mn01` to `mn40` are one network in several widths: a convolution, fifteen inverted residual blocks
(some with squeeze-and-excitation over channels), a pointwise convolution, global average pooling
and two dense layers. Kernels and channels are those of the file's tensors; strides and activations
are not in the file and are stated here. BatchNorm (epsilon 1e-3) is folded into the convolutions.

Source: https://github.com/fschmid56/EfficientAT (models/mn); Schmid, Koutini and Widmer, "Efficient
large-scale audio tagging via transformer-to-CNN knowledge distillation", ICASSP 2023; Howard et
al., "Searching for MobileNetV3", ICCV 2019.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from crydistill.teacher.mn_mel import MN_MEL_BANDS

BATCH_NORM_EPSILON = 1e-3
STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1)
"""Stride of each of the fifteen blocks, in time and frequency; the first convolution's is 2."""

FIRST_HARD_SWISH_BLOCK = 6
"""Blocks from this one on (counting from 0) have a hard swish, those before a ReLU."""

_HARD_SWISH = "hard_silu"

Tensors = Mapping[str, npt.NDArray[Any]]


def build_mn(tensors: Tensors) -> keras.Model:
    """Build the network of a state dict.

    Returns
    -------
    keras.Model from normalised log-mel `[batch, frames, 128]` of any length to logits
    `[batch, classes]`.

    Raises
    ------
    KeyError
        naming a tensor that is missing.
    ValueError
        if the tensors' shapes do not fit each other.
    """
    patch = keras.Input((None, MN_MEL_BANDS))
    x = keras.layers.Reshape((-1, MN_MEL_BANDS, 1))(patch)
    x = _convolution(x, tensors, "features.0", 2, _HARD_SWISH)
    for block, stride in enumerate(STRIDES):
        activation = _HARD_SWISH if block >= FIRST_HARD_SWISH_BLOCK else "relu"
        x = _inverted_residual(x, tensors, f"features.{block + 1}.block", stride, activation)
    x = _convolution(x, tensors, f"features.{len(STRIDES) + 1}", 1, _HARD_SWISH)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = _dense(x, tensors, "classifier.2", _HARD_SWISH)
    return keras.Model(patch, _dense(x, tensors, "classifier.5", None), name="mn")


def _inverted_residual(
    inputs: Any, tensors: Tensors, name: str, stride: int, activation: str
) -> Any:
    """Expand (except where the width stays), filter each channel, weigh the channels, project."""
    x, part = inputs, 0
    if tensors[f"{name}.0.0.weight"].shape[-1] == 1:
        x, part = _convolution(x, tensors, f"{name}.0", 1, activation), 1
    x = _convolution(x, tensors, f"{name}.{part}", stride, activation)
    excitation = f"{name}.{part + 1}.conc_se_layers.0"
    if f"{excitation}.fc1.weight" in tensors:
        weights = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
        weights = _dense(weights, tensors, f"{excitation}.fc1", "relu")
        weights = _dense(weights, tensors, f"{excitation}.fc2", "sigmoid")
        x, part = keras.layers.Multiply()([x, weights]), part + 1
    x = _convolution(x, tensors, f"{name}.{part + 1}", 1, None)
    return keras.layers.Add()([x, inputs]) if x.shape[-1] == inputs.shape[-1] and stride == 1 else x


def _convolution(
    inputs: Any, tensors: Tensors, name: str, stride: int, activation: str | None
) -> Any:
    """Convolution `name.0` with BatchNorm `name.1` folded in, zero-padded alike on both sides."""
    kernel, bias = _folded(tensors, name)
    filters, per_group, bands, frames = kernel.shape
    if stride > 1:
        # Padding "same" would put all of an odd number of zeros on one side.
        inputs = keras.layers.ZeroPadding2D((frames // 2, bands // 2))(inputs)
    padding = "valid" if stride > 1 else "same"
    options = {"strides": stride, "padding": padding, "activation": activation}
    # The file has [filters, inputs, bands, frames]; time comes first here.
    if per_group == 1 and inputs.shape[-1] > 1:
        layer = keras.layers.DepthwiseConv2D((frames, bands), **options)
        weights = kernel.transpose(3, 2, 0, 1)
    else:
        layer = keras.layers.Conv2D(filters, (frames, bands), **options)
        weights = kernel.transpose(3, 2, 1, 0)
    outputs = layer(inputs)
    layer.set_weights([weights, bias])
    return outputs


def _folded(tensors: Tensors, name: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    kernel = tensors[f"{name}.0.weight"].astype(np.float64)
    gamma, beta, mean, variance = (
        tensors[f"{name}.1.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    if kernel.ndim != 4 or len(kernel) != gamma.size:
        raise ValueError(f"{name}: a kernel of shape {kernel.shape} for {gamma.size} channels")
    scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    return kernel * scale[:, None, None, None], beta - mean * scale


def _dense(inputs: Any, tensors: Tensors, name: str, activation: str | None) -> Any:
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    layer = keras.layers.Dense(len(weight), activation=activation)
    outputs = layer(inputs)
    layer.set_weights([weight.T, bias])
    return outputs
