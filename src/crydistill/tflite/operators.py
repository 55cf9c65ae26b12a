"""Check each operator of a `.tflite` against rules under which all runtimes agree.

A rule takes one operator, refuses what would crash LiteRT or TFLite Micro (a stride of 0 divides by
zero, a scale of 0 aborts the process) or what they interpret differently, and returns the shape of
the output. Quantisation follows TensorFlow Lite's specification: activations int8 with
one scale, convolution weights int8 symmetric with one scale per output channel or one in all, bias
int32 with scale input x weight.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crydistill.errors import ModelError
from crydistill.tflite.file import Operator, Tensor, TfliteFile

Shape = tuple[int, ...]

_SAME, _VALID = 0, 1
_BIAS_TYPES = (0, 2)
"""Not stated, or int32."""

_ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}

_SMALLEST_SCALE = 1e-6
_LARGEST_SCALE = 1e6
"""Limits of an activation's scale: beyond them, it was not calibrated on audio."""

_LARGEST_MULTIPLIER = 2.0**15
_BIAS_SCALE_TOLERANCE = 0.01
_LARGEST_STEP = 64
"""Largest stride, dilation, padding or pooling window; no larger than the patch."""

_LARGEST_TENSOR = 1 << 20
"""Elements of one intermediate tensor: a megabyte, more than any target can spare."""


def check_operators(file: TfliteFile) -> None:
    """Check that the operators lead from input to output and obey their rules.

    Raises
    ------
    ModelError
        naming the first operator at fault.
    """
    ready = set(file.inputs) | {i for i, t in enumerate(file.tensors) if t.data is not None}
    for position, operator in enumerate(file.operators):
        try:
            _check(file, operator, ready)
        except ModelError as error:
            raise ModelError(f"operator {position} ({operator.name}): {error}") from None
        ready.update(operator.outputs)
    if not set(file.outputs) <= ready:
        raise ModelError("no operator computes the output")


def check_activation(tensor: Tensor) -> None:
    """Check that a computed tensor is int8 with one plausible scale and zero point.

    Raises
    ------
    ModelError
        naming the fault.
    """
    _require(tensor.data is None, "is a constant where an activation is expected")
    _require(tensor.type == "int8", f"{tensor.type}, not int8")
    _require(len(tensor.scales) == 1, f"a result has {len(tensor.scales)} scales, not one")
    _require(
        _SMALLEST_SCALE <= tensor.scales[0] <= _LARGEST_SCALE,
        f"a result has the scale {tensor.scales[0]:g}",
    )
    _require(-128 <= tensor.zero_points[0] <= 127, "a zero point is not an int8")
    _require(tensor.size <= _LARGEST_TENSOR, f"a result has shape {tensor.shape}")


def _check(file: TfliteFile, operator: Operator, ready: set[int]) -> None:
    _require(all(i in ready for i in operator.inputs if i != -1), "an input is not computed yet")
    _require(len(operator.outputs) == 1, "must have one output")
    _require(operator.outputs[0] not in ready, "overwrites a tensor")
    step = _Step(file, operator)
    check_activation(step.output)
    shape = RULES[operator.name](step)
    _require(
        shape == step.output.shape, f"computes shape {shape}, the file states {step.output.shape}"
    )


@dataclass(frozen=True)
class _Step:
    """An operator together with its file, for access to its tensors."""

    file: TfliteFile
    operator: Operator

    @property
    def output(self) -> Tensor:
        return self.file.tensors[self.operator.outputs[0]]

    def option(self, name: str) -> Any:
        return self.operator.options[name]

    def has(self, position: int) -> bool:
        inputs = self.operator.inputs
        return position < len(inputs) and inputs[position] != -1

    def input(self, position: int) -> Tensor:
        _require(self.has(position), f"input {position} is missing")
        return self.file.tensors[self.operator.inputs[position]]

    def activation(self, position: int = 0) -> Tensor:
        tensor = self.input(position)
        check_activation(tensor)
        return tensor

    def constant(self, position: int, kind: str) -> Tensor:
        tensor = self.input(position)
        _require(tensor.data is not None, f"input {position} is not a constant")
        _require(tensor.type == kind, f"input {position} is {tensor.type}, not {kind}")
        return tensor

    def takes(self, fewest: int, most: int) -> None:
        count = len(self.operator.inputs)
        _require(fewest <= count <= most, f"has {count} inputs")


def _conv_2d(step: _Step) -> Shape:
    x, weights = _image(step), step.constant(1, "int8")
    _require(len(weights.shape) == 4, f"weights of shape {weights.shape}")
    filters, height, width, channels = weights.shape
    _require(channels == x.shape[3], f"weights for {channels} channels on {x.shape[3]}")
    _require(step.has(2), "has no bias, which LiteRT requires")
    _check_weights(step, x, weights, filters, axis=0)
    return (*_output_shape(step, x, height, width), filters)


def _depthwise_conv_2d(step: _Step) -> Shape:
    x, weights = _image(step), step.constant(1, "int8")
    _require(len(weights.shape) == 4 and weights.shape[0] == 1, f"weights of shape {weights.shape}")
    _, height, width, filters = weights.shape
    multiplier = step.option("depth_multiplier")
    _require(filters == x.shape[3] * multiplier, f"{filters} filters for {x.shape[3]} channels")
    _require(step.has(2), "has no bias, which TFLite Micro requires")
    _check_weights(step, x, weights, filters, axis=3)
    return (*_output_shape(step, x, height, width), filters)


def _fully_connected(step: _Step) -> Shape:
    x, weights = step.activation(), step.constant(1, "int8")
    _require(len(weights.shape) == 2, f"weights of shape {weights.shape}")
    units, inputs = weights.shape
    _require(x.size == inputs, f"weights for {inputs} inputs on shape {x.shape}")
    _require(len(x.shape) == 2 or not step.option("keep_dims"), f"keeps the shape {x.shape}")
    _require(len(weights.scales) == 1, "per-channel weight scales, which older TFLM misreads")
    _require(step.option("weights_format") == 0, "weights in a shuffled format")
    _check_weights(step, x, weights, units, axis=0)
    return (1, units)


def _mean(step: _Step) -> Shape:
    step.takes(2, 2)
    x, axes = step.activation(), step.constant(1, "int32")
    _require(len(x.shape) == 4, f"input of shape {x.shape}")
    _require(sorted(axes.values().ravel().tolist()) == [1, 2], "is not a global average pool")
    _require(len(axes.shape) == 1, "its axes are not a list")
    _check_multiplier(x.scales[0] / step.output.scales[0])
    batch, _, _, channels = x.shape
    return (batch, 1, 1, channels) if step.option("keep_dims") else (batch, channels)


def _average_pool_2d(step: _Step) -> Shape:
    step.takes(1, 1)
    x = _image(step)
    _require_same_quantization(x, step.output)
    _check_activation_function(step)
    height, width = step.option("filter_height"), step.option("filter_width")
    _require(
        1 <= height <= _LARGEST_STEP and 1 <= width <= _LARGEST_STEP,
        "a pooling window out of range",
    )
    return (*_output_shape(step, x, height, width), x.shape[3])


def _reshape(step: _Step) -> Shape:
    step.takes(1, 2)
    x = step.activation()
    _require_same_quantization(x, step.output)
    target = step.option("new_shape")
    if step.has(1):
        shape = step.constant(1, "int32")
        _require(len(shape.shape) == 1, "its shape is not a list")
        target = tuple(shape.values().tolist())
    unknown = [i for i, size in enumerate(target) if size == -1]
    known = math.prod(size for size in target if size != -1)
    _require(len(unknown) <= 1 and known > 0 and x.size % known == 0, f"to the shape {target}")
    resolved = tuple(x.size // known if size == -1 else size for size in target)
    _require(math.prod(resolved) == x.size, f"from {x.shape} to {target}")
    return resolved


def _add(step: _Step) -> Shape:
    step.takes(2, 2)
    a, b = step.activation(0), step.activation(1)
    _check_activation_function(step)
    _require(a.shape == b.shape, f"adds the shapes {a.shape} and {b.shape}")
    # The runtimes keep the sum with 20 fractional bits before requantization, and abort beyond.
    ratio = 2 * max(a.scales[0], b.scales[0]) / (2**20 * step.output.scales[0])
    _require(ratio < 1, "scales of inputs and output are too far apart")
    return a.shape


def _concatenation(step: _Step) -> Shape:
    """Append the newest embedding to those of the windows before it."""
    step.takes(2, 2)
    past, newest = step.activation(0), step.activation(1)
    _require(step.option("axis") == 1, f"joins along axis {step.option('axis')}")
    _require(step.option("activation") == 0, "has an activation function")
    fits = len(past.shape) == 3 and newest.shape == (1, 1, past.shape[2]) and past.shape[0] == 1
    _require(fits, f"joins the shapes {past.shape} and {newest.shape}")
    for tensor in (past, newest):
        _require_same_quantization(tensor, step.output)
    return (1, past.shape[1] + 1, past.shape[2])


def _strided_slice(step: _Step) -> Shape:
    """Drop the oldest embedding."""
    step.takes(4, 4)
    x = step.activation()
    _require_same_quantization(x, step.output)
    _require(len(x.shape) == 3 and x.shape[0] == 1, f"input of shape {x.shape}")
    _require(x.shape[1] > 1, "nothing is left of its input")
    for name in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask", "offset"):
        _require(not step.option(name), f"has the option {name}")
    begin, end, strides = (_three(step, position) for position in (1, 2, 3))
    _require(strides == [1, 1, 1], f"has the strides {strides}")
    begin = _unmasked(begin, step.option("begin_mask"), (0, 0, 0))
    end = _unmasked(end, step.option("end_mask"), x.shape)
    _require((begin, end) == ([0, 1, 0], list(x.shape)), f"keeps {begin} to {end} of {x.shape}")
    return (1, x.shape[1] - 1, x.shape[2])


def _three(step: _Step, position: int) -> list[int]:
    tensor = step.constant(position, "int32")
    _require(tensor.shape == (3,), f"input {position} has shape {tensor.shape}, not (3,)")
    return [int(value) for value in tensor.values()]


def _unmasked(values: list[int], mask: int, full: Shape) -> list[int]:
    """Bounds of a slice, with `full` where a bit of the mask says that a bound is not stated."""
    _require(0 <= mask < 8, f"has a mask of {mask}")
    return [full[i] if mask >> i & 1 else value for i, value in enumerate(values)]


def _pad(step: _Step) -> Shape:
    step.takes(2, 2)
    x, padding = _image(step), step.constant(1, "int32")
    _require_same_quantization(x, step.output)
    _require(padding.shape == (4, 2), f"paddings of shape {padding.shape}")
    values = padding.values().tolist()
    _require(all(0 <= n <= _LARGEST_STEP for row in values for n in row), f"pads by {values}")
    return tuple(
        size + before + after for size, (before, after) in zip(x.shape, values, strict=True)
    )


RULES: dict[str, Callable[[_Step], Shape]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _average_pool_2d,
    "CONCATENATION": _concatenation,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "MEAN": _mean,
    "PAD": _pad,
    "RESHAPE": _reshape,
    "STRIDED_SLICE": _strided_slice,
}


def _image(step: _Step) -> Tensor:
    x = step.activation()
    _require(len(x.shape) == 4 and x.shape[0] == 1, f"input of shape {x.shape}")
    return x


def _output_shape(step: _Step, x: Tensor, height: int, width: int) -> tuple[int, int, int]:
    """Batch, height and width after sliding a `height` x `width` window over `x`."""
    return (
        1,
        _output_length(step, x.shape[1], height, "height"),
        _output_length(step, x.shape[2], width, "width"),
    )


def _output_length(step: _Step, size: int, window: int, axis: str) -> int:
    padding, stride = step.option("padding"), int(step.option(f"stride_{axis}"))
    dilation = step.operator.options.get(f"dilation_{axis}", 1)
    _require(padding in (_SAME, _VALID), f"padding of kind {padding}")
    _require(1 <= stride <= _LARGEST_STEP, f"stride {stride}")
    _require(1 <= dilation <= _LARGEST_STEP, f"dilation {dilation}")
    reach = 0 if padding == _SAME else (window - 1) * dilation
    return -(-(size - reach) // stride)


def _check_weights(step: _Step, x: Tensor, weights: Tensor, outputs: int, axis: int) -> None:
    """Check weights, bias and their scales."""
    step.takes(2, 3)
    _check_activation_function(step)
    bias_type = step.operator.options.get("bias_type", 0)
    _require(bias_type in _BIAS_TYPES, f"bias of type {bias_type}")
    channels = len(weights.scales)
    _require(channels in (1, outputs), f"{channels} weight scales for {outputs} channels")
    _require(channels == 1 or weights.axis == axis, f"weight scales along axis {weights.axis}")
    _require(not any(weights.zero_points), "weights are not symmetric")
    _require(
        all(math.isfinite(s) and s > 0 for s in weights.scales), "a weight scale is not positive"
    )
    _check_multiplier(x.scales[0] * max(weights.scales) / step.output.scales[0])
    if step.has(2):
        _check_bias(step.constant(2, "int32"), x, weights, outputs)


def _check_bias(bias: Tensor, x: Tensor, weights: Tensor, outputs: int) -> None:
    _require(bias.shape == (outputs,), f"bias of shape {bias.shape} for {outputs} channels")
    _require(len(bias.scales) == len(weights.scales), "bias and weights differ in their scales")
    _require(not any(bias.zero_points), "bias has a zero point")
    for bias_scale, weight_scale in zip(bias.scales, weights.scales, strict=True):
        product = x.scales[0] * weight_scale
        fits = math.isclose(bias_scale, product, rel_tol=_BIAS_SCALE_TOLERANCE)
        _require(fits, f"bias has scale {bias_scale:g}, not input x weight, {product:g}")


def _check_activation_function(step: _Step) -> None:
    kind = step.option("activation")
    _require(kind in _ACTIVATIONS, f"activation function of kind {kind}")


def _require_same_quantization(x: Tensor, y: Tensor) -> None:
    same = x.scales == y.scales and x.zero_points == y.zero_points
    _require(same, "input and output must share scale and zero point")


def _check_multiplier(multiplier: float) -> None:
    _require(multiplier < _LARGEST_MULTIPLIER, f"requantizes by a factor of {multiplier:g}")


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ModelError(otherwise)
