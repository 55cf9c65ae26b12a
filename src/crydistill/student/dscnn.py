"""The reference student: a depthwise-separable CNN of 80,713 parameters.

A 3x3 stride-2 convolution with 8 filters, four depthwise-separable blocks, global average pooling,
dense logits. Convolutions have no bias and are followed by BatchNorm (with scale) and ReLU. Padding
is SAME and every stride-2 layer sees an even height and width, which older ESP-NN kernels need.

Source: the published system description, "tiny student (DS-CNN)"; the block is that of MobileNet
v1 (Howard et al., 2017).
"""

import keras

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import WINDOW_FRAMES
from crydistill.student.layers import BatchNorm, Conv, DepthwiseConv
from crydistill.taxonomy import CLASSES

STEM_FILTERS = 8
BLOCKS = ((1, 16), (2, 32), (2, 64), (2, 128))
"""(stride, filters) of the depthwise-separable blocks."""


def dscnn(outputs: int = CLASSES) -> keras.Model:
    """Build the reference student.

    Parameters
    ----------
    outputs : number of logits

    Returns
    -------
    keras.Model from log-mel patches `[batch, 96, 64, 1]` to logits `[batch, outputs]`; it also
    accepts `[batch, 96, 64]` and adds the last axis itself.
    """
    patch = keras.Input((WINDOW_FRAMES, MEL_BANDS, 1), name="log_mel")
    x = Conv(STEM_FILTERS, 3, 2, "same", use_bias=False, name="stem")(patch)
    x = _norm_relu(x, "stem")
    for number, (stride, filters) in enumerate(BLOCKS, start=1):
        depthwise, pointwise = f"block{number}_depthwise", f"block{number}_pointwise"
        x = DepthwiseConv(3, stride, "same", use_bias=False, name=depthwise)(x)
        x = _norm_relu(x, depthwise)
        x = Conv(filters, 1, use_bias=False, name=pointwise)(x)
        x = _norm_relu(x, pointwise)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(patch, keras.layers.Dense(outputs, name="logits")(x), name="dscnn")


def _norm_relu(x: keras.KerasTensor, layer: str) -> keras.KerasTensor:
    x = BatchNorm(name=f"{layer}_norm")(x)
    return keras.layers.ReLU(name=f"{layer}_relu")(x)
