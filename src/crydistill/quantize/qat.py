"""Quantization-aware training (QAT): a student with fake quantization where int8 will round.

Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-
only inference": BatchNorm is folded into the convolutions, and in the forward pass weights and
activations are rounded to values that int8 can hold, wherever the converter's file has int8
tensors; gradients pass the rounding unchanged (straight-through estimator).
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from crydistill.errors import ConfigError
from crydistill.student.layers import BatchNorm, Conv, DepthwiseConv
from crydistill.student.rebuild import Call, called, folding, followers, rebuilt
from crydistill.tflite.interpreters import Float32

_ACTIVATION_STEPS = 255
_WEIGHT_STEPS = 127
_SMALLEST = 1e-8
"""Lower bound of a range's width and of a kernel's largest weight, against steps of zero."""

_BATCH = 100


class Rounded(keras.layers.Layer):  # type: ignore[misc]
    """Fake quantization of activations: clipped to a range, rounded to 256 steps, one of them 0."""

    def __init__(self, low: float, high: float, **options: Any) -> None:
        super().__init__(**options)
        self.low, self.high = float(low), float(high)
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        self.step = max(high - low, _SMALLEST) / _ACTIVATION_STEPS
        self._first = round(low / self.step) * self.step
        self._last = self._first + _ACTIVATION_STEPS * self.step

    def call(self, inputs: Any) -> Any:
        clipped = ops.clip(inputs, self._first, self._last)
        return _straight_through(clipped, ops.round(clipped / self.step) * self.step)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "low": self.low, "high": self.high}


class RoundedConv(Conv):
    """A convolution with fake-quantized weights, one scale per filter."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return super().convolution_op(inputs, _rounded(kernel, (0, 1, 2)))


class RoundedDepthwiseConv(DepthwiseConv):
    """A depthwise convolution with fake-quantized weights, one scale per channel."""

    def depthwise_op(self, inputs: Any, kernel: Any) -> Any:
        return super().depthwise_op(inputs, _rounded(kernel, (0, 1, 3)))


class RoundedDense(keras.layers.Dense):  # type: ignore[misc]
    """A dense layer with fake-quantized weights, one scale per output.

    On the device the whole layer has one scale; a student with outputs of its own has one output
    there, whose weights the auxiliary classes must not coarsen in training.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return ops.matmul(inputs, _rounded(self.kernel, (0,))) + self.bias


_ROUNDED = {
    Conv: RoundedConv,
    DepthwiseConv: RoundedDepthwiseConv,
    keras.layers.Dense: RoundedDense,
}

CUSTOM_OBJECTS = {
    layer.__name__: layer for layer in (Rounded, RoundedConv, RoundedDepthwiseConv, RoundedDense)
}
"""For `keras.saving.load_model` to load a QAT checkpoint."""


def fake_quantized(model: keras.Model, patches: Float32) -> keras.Model:
    """Copy a trained student with fake quantization inserted, to train it further.

    Parameters
    ----------
    model : of `crydistill.student`, maps patches `[batch, 96, 64, 1]` to logits
    patches : float32 `[n, 96, 64]`; the activations' ranges are measured on these windows

    Raises
    ------
    ConfigError
        if the model has a layer that this module cannot quantize.
    """
    ranges = _int8_ranges(_rebuilt(model, folding(model)), patches)
    fold = folding(model, _ROUNDED)

    def call(layer: keras.layers.Layer, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        made = fold(layer, inputs)
        if layer.name not in ranges:
            return made
        return Rounded(*ranges[layer.name], name=f"{layer.name}_int8")(made)

    return _rebuilt(model, call)


def without_fake_quantization(model: keras.Model) -> keras.Model:
    """Copy a fake-quantized student into plain Keras layers, without rounding and BatchNorm.

    What QAT has learnt is in the weights; the converter rounds them the same way, with activation
    ranges that it measures again.
    """
    own: dict[Any, Any] = {
        RoundedConv: keras.layers.Conv2D,
        RoundedDepthwiseConv: keras.layers.DepthwiseConv2D,
        RoundedDense: keras.layers.Dense,
    }

    def call(layer: keras.layers.Layer, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        if isinstance(layer, (Rounded, keras.layers.InputLayer)):
            return inputs[0]
        made = own.get(type(layer), type(layer)).from_config(layer.get_config())
        return called(made, inputs, layer.get_weights())

    return _rebuilt(model, call)


def _int8_ranges(folded: keras.Model, patches: Float32) -> dict[str, tuple[float, float]]:
    """Ranges of the int8 tensors between patch and logits, by the layer that outputs them.

    A ReLU is fused into the operator before it; the logits are not rounded, since no layer after
    them could learn to compensate.
    """
    ends = {end.name: end for end in (_operator_end(folded, each) for each in folded.layers[:-1])}
    tensors = [end.output for end in ends.values()]
    found = dict(zip(ends, _ranges(keras.Model(folded.input, tensors), patches), strict=True))
    for name, end in ends.items():
        behind = followers(folded, end)
        if len(behind) == 1 and isinstance(behind[0], keras.layers.Add):
            # TensorFlow's converter widens the range of a tensor used only in a sum to the sum's.
            own, total = found[name], found[_operator_end(folded, behind[0]).name]
            found[name] = min(own[0], total[0]), max(own[1], total[1])
    return found


def _operator_end(folded: keras.Model, layer: keras.layers.Layer) -> keras.layers.Layer:
    """The last layer of the `.tflite` operator that a layer becomes part of."""
    behind = followers(folded, layer)
    return behind[0] if len(behind) == 1 and isinstance(behind[0], keras.layers.ReLU) else layer


def _rebuilt(model: keras.Model, call: Call) -> keras.Model:
    """Build another model by applying `call` to the input and each layer of a model in order."""
    for layer in model.layers[1:]:
        if not isinstance(layer, _KNOWN):
            raise ConfigError(f"training.qat: cannot quantize a {type(layer).__name__} layer")
    source = keras.Input(model.input.shape[1:], name=model.layers[0].name)
    shown = call(model.layers[0], [source])
    (output,) = rebuilt(model, model.input, shown, [model.output], call)
    return keras.Model(source, output, name=model.name)


_KNOWN = (
    Conv,
    DepthwiseConv,
    BatchNorm,
    Rounded,
    keras.layers.ReLU,
    keras.layers.Add,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.Dropout,
    keras.layers.Dense,
)


def _ranges(model: keras.Model, patches: Float32) -> list[tuple[float, float]]:
    """Minimum and maximum of each of a model's outputs."""
    found = [
        [ops.convert_to_numpy(tensor) for tensor in model.predict_on_batch(batch[..., None])]
        for batch in np.split(patches, range(_BATCH, len(patches), _BATCH))
    ]
    return [
        (min(float(part.min()) for part in parts), max(float(part.max()) for part in parts))
        for parts in zip(*found, strict=True)
    ]


def _rounded(kernel: Any, axes: tuple[int, ...]) -> Any:
    """Weights rounded to int8 values, symmetric about zero; `axes` share a scale."""
    kernel = ops.convert_to_tensor(kernel)
    largest = ops.max(ops.abs(kernel), axis=axes, keepdims=True)
    step = ops.stop_gradient(ops.maximum(largest, _SMALLEST) / _WEIGHT_STEPS)
    return _straight_through(kernel, ops.round(kernel / step) * step)


def _straight_through(values: Any, rounded: Any) -> Any:
    """`rounded`, with the gradient of `values` (straight-through estimator, Bengio et al. 2013)."""
    return values + ops.stop_gradient(rounded - values)
