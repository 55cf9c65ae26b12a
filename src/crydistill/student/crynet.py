"""CryNet: a small residual network of depthwise-separable blocks.

Where the reference student spends five sixths of its parameters on 521 outputs, this one spends
them on features. It downsamples the patch three to four times before it widens, because early
feature maps cost memory and late ones parameters. Channels are multiples of 16 and every stride-2
layer sees an even height and width, which ESP-NN's fast kernels need. The only operators are
convolutions, additions, a mean and a dense layer.

Sources: the block is that of MobileNet v1 (Howard et al. 2017) with the shortcut of ResNet (He et
al. 2016) around blocks that keep their shape.
"""

from collections.abc import Sequence

import keras

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import WINDOW_FRAMES
from crydistill.student.layers import BatchNorm, Conv, DepthwiseConv
from crydistill.taxonomy import CLASSES

NORM_MOMENTUM = 0.9
"""With Keras's default of 0.99 the moving averages lag hundreds of steps behind the weights."""


def crynet(
    outputs: int = CLASSES,
    stem: int = 16,
    stem_kernel: int = 3,
    stem_stride: int = 2,
    stages: Sequence[Sequence[int]] = ((32, 2), (64, 3), (128, 3)),
    kernel: int = 3,
    dropout: float = 0.0,
) -> keras.Model:
    """Build the network.

    Parameters
    ----------
    outputs : number of logits
    stem, stem_kernel, stem_stride : filters, height and width, and stride of the first convolution
    stages : filters and number of blocks of each stage; its first block has stride 2
    kernel : height and width of the depthwise kernels
    dropout : fraction of the pooled features dropped in training, 0 to 1

    Returns
    -------
    keras.Model from log-mel patches `[batch, 96, 64, 1]` to logits `[batch, outputs]`.
    """
    patch = keras.Input((WINDOW_FRAMES, MEL_BANDS, 1), name="log_mel")
    x = Conv(stem, stem_kernel, stem_stride, "same", use_bias=False, name="stem")(patch)
    x = _relu(_norm(x, "stem"), "stem")
    for stage, (filters, blocks) in enumerate(stages, start=1):
        for block in range(1, blocks + 1):
            x = _block(x, filters, 2 if block == 1 else 1, kernel, f"stage{stage}_block{block}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(patch, keras.layers.Dense(outputs, name="logits")(x), name="crynet")


def _block(
    x: keras.KerasTensor, filters: int, stride: int, kernel: int, name: str
) -> keras.KerasTensor:
    shortcut = x if stride == 1 and x.shape[-1] == filters else None
    x = DepthwiseConv(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise")(x)
    x = _relu(_norm(x, f"{name}_depthwise"), f"{name}_depthwise")
    x = Conv(filters, 1, use_bias=False, name=f"{name}_pointwise")(x)
    x = _norm(x, f"{name}_pointwise")
    if shortcut is not None:
        x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return _relu(x, name)


def _norm(x: keras.KerasTensor, layer: str) -> keras.KerasTensor:
    return BatchNorm(momentum=NORM_MOMENTUM, name=f"{layer}_norm")(x)


def _relu(x: keras.KerasTensor, layer: str) -> keras.KerasTensor:
    return keras.layers.ReLU(name=f"{layer}_relu")(x)
