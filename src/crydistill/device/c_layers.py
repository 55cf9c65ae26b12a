"""Convert each operator of a `.tflite` to a C struct of `firmware/src/crydistill_engine.h`.

The requantization multipliers are bit-exact with TFLite Micro's: a real factor becomes a 31-bit
multiplier and a shift.

Source: TensorFlow Lite's quantisation specification; the behaviour of TFLite Micro's reference
kernels, to which the tests compare every result.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.device.c_text import array, struct
from crydistill.errors import ModelError
from crydistill.tflite.file import Operator, Tensor, TfliteFile

_INT8 = (-128, 127)
_INT8_RANGE = 255
"""Largest difference between an int8 value and a zero point."""

_INT8_TWICE = 256
"""Largest magnitude of an int8 value plus that of a zero point, which is in the bias."""

_SUM_LIMIT = 2**30
"""Sums are smaller: twice a sum has 32 bits, which the requantization needs."""

_ADD_FRACTION = 2**20
_SAME = 0


@dataclass(frozen=True)
class Layer:
    """One operator in C.

    function : name of its entry in the kernel table
    kernel : the function for that entry, the library's or an adapter's
    definitions : its constants and struct, as C source
    constant_bytes : size of weights, biases, multipliers and shifts
    kind : name of its struct
    fields : the struct's members that are numbers; a mapping is a nested struct
    arrays : the values of those that are pointers
    handover : how it is handed to a vendor's kernel; None if it is not
    """

    function: str
    kernel: str
    definitions: str
    constant_bytes: int
    kind: str
    fields: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]
    handover: "Handover | None" = None


@dataclass(frozen=True)
class Handover:
    """How a layer is handed to a vendor's kernel.

    adapter : beginning of the names of the adapter's functions
    scratch : where its scratch memory is, in bytes from the layer's output
    scratch_bytes : its size; None if the vendor's kernel never asks for any
    """

    adapter: str
    scratch: int
    scratch_bytes: int | None


def layer_in_c(file: TfliteFile, position: int, handover: Handover | None = None) -> Layer | None:
    """Convert operator number `position` to C; None if it computes nothing (RESHAPE).

    Parameters
    ----------
    file : model that `inspect_tflite` has accepted
    handover : to a vendor's kernel; None for the library's own

    Raises
    ------
    ModelError
        if the engine has no kernel for the operator or for this variant of it.
    """
    operator = file.operators[position]
    if operator.name == "RESHAPE":
        return None
    try:
        writer = _WRITERS[operator.name]
    except KeyError:
        raise ModelError(
            f"layer {position} ({operator.name}): the C engine has no kernel for it; "
            f"it has {', '.join(_WRITERS)}"
        ) from None
    return writer(_Step(file, operator, position, handover))


@dataclass(frozen=True)
class _Step:
    file: TfliteFile
    operator: Operator
    position: int
    handover: Handover | None = None

    def input(self, number: int = 0) -> Tensor:
        return self.file.tensors[self.operator.inputs[number]]

    def has(self, number: int) -> bool:
        inputs = self.operator.inputs
        return number < len(inputs) and inputs[number] != -1

    @property
    def output(self) -> Tensor:
        return self.file.tensors[self.operator.outputs[0]]

    def option(self, name: str, default: int = 0) -> int:
        return int(self.operator.options.get(name, default))

    def layer(
        self,
        place: tuple[str, str, str],
        fields: Mapping[str, Any],
        arrays: Mapping[str, "_Array"],
        for_vendor: "Mapping[str, _Array] | None" = None,
    ) -> Layer:
        """Assemble a layer; `place` is its table entry, its kernel and the kind of its struct.

        for_vendor : what a vendor's kernel wants besides; None if its struct has no place for it
        """
        function, kernel, kind = place
        definitions, names, size = self.arrays("", arrays)
        if self.handover is not None:
            kernel = f"{self.handover.adapter}_{function}"
            if for_vendor is not None:
                more, vendor, more_size = self.vendor(self.handover, for_vendor)
                definitions, names, size = definitions + more, {**names, **vendor}, size + more_size
        initialiser = struct({**fields, **names})
        definitions += f"static const struct {kind} layer_{self.position} = {initialiser};\n"
        values = {field: item.values for field, item in arrays.items()}
        return Layer(function, kernel, definitions, size, kind, fields, values, self.handover)

    def vendor(
        self, handover: Handover, arrays: Mapping[str, "_Array"]
    ) -> tuple[str, dict[str, str], int]:
        """Assemble a layer's `struct crydistill_vendor`; as `arrays`."""
        definitions, names, size = self.arrays("vendor_", arrays)
        memory = {"scratch": handover.scratch, "scratch_bytes": handover.scratch_bytes or 0}
        name = f"vendor_{self.position}"
        initialiser = struct({**names, **memory})
        definitions += f"static const struct crydistill_vendor {name} = {initialiser};\n"
        return definitions, {"vendor": f"&{name}"}, size

    def arrays(
        self, prefix: str, arrays: Mapping[str, "_Array"]
    ) -> tuple[str, dict[str, str], int]:
        """Definitions of arrays, their names by field, and their bytes."""
        names = {field: f"{prefix}{field}_{self.position}" for field in arrays}
        definitions = "".join(
            array(item.kind, names[field], item.values, storage=item.storage)
            for field, item in arrays.items()
        )
        return definitions, names, sum(item.values.nbytes for item in arrays.values())


@dataclass(frozen=True)
class _Array:
    kind: str
    values: npt.NDArray[Any]
    storage: str = "static const"


def _weights(tensor: Tensor) -> _Array:
    # SIMD kernels read weights 16 bytes at a time.
    return _Array("int8_t", tensor.values(), "CRYDISTILL_ALIGNED static const")


def _bias(step: _Step) -> npt.NDArray[np.int64]:
    outputs = step.output.shape[-1]
    return step.input(2).values().astype(np.int64) if step.has(2) else np.zeros(outputs, np.int64)


def _network_bias(step: _Step) -> _Array:
    return _Array("int32_t", _bias(step).astype(np.int32))


def _folded_bias(step: _Step, weights_of_channel: npt.NDArray[Any]) -> _Array:
    """Bias minus the input's zero point times the sum of the channel's weights, [outputs, taps].

    Added to the sum of value x weight it gives that of (value - zero point) x weight, exactly.
    `_check_sums` has shown that it fits.
    """
    sums = weights_of_channel.astype(np.int64).sum(axis=1)
    folded = _bias(step) - step.input().zero_points[0] * sums
    return _Array("int32_t", folded.astype(np.int32))


def fixed_point(factor: float) -> tuple[int, int]:
    """Split a positive factor into a 31-bit multiplier and a shift: multiplier / 2^31 x 2^shift."""
    fraction, shift = math.frexp(factor)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return (multiplier, shift) if shift >= -31 else (0, 0)


def _check_sums(step: _Step, worst: npt.NDArray[np.int64], shifts: Iterable[int]) -> None:
    """Refuse a layer in which some input would overflow the engine's 32-bit arithmetic.

    worst : largest magnitude of each output channel's sum
    shifts : of the requantization multipliers; a sum is shifted left before the multiplication
    """
    for channel, (value, shift) in enumerate(zip(worst.tolist(), shifts, strict=True)):
        if max(value, 1) << max(shift, 0) >= _SUM_LIMIT:
            raise ModelError(
                f"layer {step.position} ({step.operator.name}): the sums of channel {channel} can "
                "overflow 32 bits; the file is damaged or not a student"
            )


def _worst_sums(step: _Step, weights_of_channel: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Largest magnitude of bias plus products on the way; `weights_of_channel`: [outputs, taps]."""
    products = np.abs(weights_of_channel.astype(np.int64)).sum(axis=1) * _INT8_TWICE
    return np.asarray(products + np.abs(_bias(step)))


def _conv_2d(step: _Step) -> Layer:
    of_channel = step.input(1).values().reshape(step.output.shape[3], -1)
    return _convolution(step, of_channel, ("conv_2d", "crydistill_conv_2d", "crydistill_conv"))


def _depthwise_conv_2d(step: _Step) -> Layer:
    of_channel = step.input(1).values().reshape(-1, step.output.shape[3]).T
    place = ("depthwise_conv_2d", "crydistill_depthwise_conv_2d", "crydistill_conv")
    return _convolution(step, of_channel, place)


def _convolution(
    step: _Step, weights_of_channel: npt.NDArray[Any], place: tuple[str, str, str]
) -> Layer:
    x, weights, output = step.input(), step.input(1), step.output
    channels = output.shape[3]
    scales = weights.scales if len(weights.scales) > 1 else weights.scales * channels
    factors = [fixed_point(x.scales[0] * scale / output.scales[0]) for scale in scales]
    multipliers, shifts = zip(*factors, strict=True)
    _check_sums(step, _worst_sums(step, weights_of_channel), shifts)
    return step.layer(
        place,
        {
            "shape": _window_shape(step, weights.shape[1], weights.shape[2]),
            "input_zero_point": x.zero_points[0],
            "output": _output(step),
        },
        {
            "weights": _weights(weights),
            "bias": _folded_bias(step, weights_of_channel),
            "multiplier": _Array("int32_t", np.array(multipliers, dtype=np.int32)),
            "shift": _Array("int8_t", np.array(shifts, dtype=np.int8)),
        },
        {
            "bias": _network_bias(step),
            "shift": _Array("int32_t", np.array(shifts, dtype=np.int32)),
        },
    )


def _fully_connected(step: _Step) -> Layer:
    x, weights = step.input(), step.input(1)
    multiplier, shift = fixed_point(x.scales[0] * weights.scales[0] / step.output.scales[0])
    worst = _worst_sums(step, weights.values())
    _check_sums(step, worst, [shift] * len(worst))
    return step.layer(
        ("fully_connected", "crydistill_fully_connected", "crydistill_dense"),
        {
            "inputs": weights.shape[1],
            "outputs": weights.shape[0],
            "input_zero_point": x.zero_points[0],
            "output": _output(step),
            "multiplier": multiplier,
            "shift": shift,
        },
        {"weights": _weights(weights), "bias": _folded_bias(step, weights.values())},
        {"bias": _network_bias(step)},
    )


def _mean(step: _Step) -> Layer:
    x = step.input()
    _, height, width, channels = x.shape
    pixels = height * width
    multiplier, shift = fixed_point(x.scales[0] / step.output.scales[0])
    # The division by the number of pixels is folded into the multiplier, normalised to 31 bits.
    extra = min(pixels.bit_length() - 1, 32, 31 + shift)
    _check_sums(step, np.array([pixels * _INT8_RANGE]), [shift - extra])
    return step.layer(
        ("mean", "crydistill_mean_2d", "crydistill_mean"),
        {
            "pixels": pixels,
            "channels": channels,
            "input_zero_point": x.zero_points[0],
            "output": _output(step),
            "multiplier": (multiplier << extra) // pixels,
            "shift": shift - extra,
        },
        {},
    )


def _average_pool_2d(step: _Step) -> Layer:
    shape = _window_shape(step, step.option("filter_height"), step.option("filter_width"))
    place = ("average_pool_2d", "crydistill_average_pool_2d", "crydistill_pool")
    return step.layer(place, {"shape": shape, "output": _output(step)}, {}, {})


def _add(step: _Step) -> Layer:
    a, b, output = step.input(0), step.input(1), step.output
    twice_larger = 2.0 * max(a.scales[0], b.scales[0])
    factors = [fixed_point(x.scales[0] / twice_larger) for x in (a, b)]
    multiplier, shift = fixed_point(twice_larger / (_ADD_FRACTION * output.scales[0]))
    # Each input's factor is at most a half.
    _check_sums(step, np.array([_INT8_RANGE * _ADD_FRACTION]), [shift])
    return step.layer(
        ("add", "crydistill_add_int8", "crydistill_add"),
        {
            "size": output.size,
            "zero_point": (a.zero_points[0], b.zero_points[0]),
            "multiplier": (factors[0][0], factors[1][0]),
            "shift": (factors[0][1], factors[1][1]),
            "output": _output(step),
            "output_multiplier": multiplier,
            "output_shift": shift,
        },
        {},
    )


def _pad(step: _Step) -> Layer:
    x = step.input()
    batch, rows, columns, channels = step.input(1).values().tolist()
    if any(batch):
        raise ModelError(f"layer {step.position} (PAD): pads the batch; a student has one window")
    _, height, width, depth = x.shape
    return step.layer(
        ("pad", "crydistill_pad_2d", "crydistill_pad"),
        {
            "input_height": height,
            "input_width": width,
            "input_channels": depth,
            "top": rows[0],
            "bottom": rows[1],
            "left": columns[0],
            "right": columns[1],
            "front": channels[0],
            "back": channels[1],
            "value": step.output.zero_points[0],
        },
        {},
    )


def _concatenation(step: _Step) -> Layer:
    # Of batch 1 along axis 1: one after the other in memory.
    place = ("concatenation", "crydistill_concatenate", "crydistill_concatenation")
    return step.layer(place, {"sizes": (step.input(0).size, step.input(1).size)}, {})


def _strided_slice(step: _Step) -> Layer:
    # All but the first entries along axis 1.
    size = step.output.size
    return step.layer(
        ("strided_slice", "crydistill_slice", "crydistill_strided_slice"),
        {"first": step.input().size - size, "size": size},
        {},
    )


_WRITERS: dict[str, Callable[[_Step], Layer]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _average_pool_2d,
    "CONCATENATION": _concatenation,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "MEAN": _mean,
    "PAD": _pad,
    "STRIDED_SLICE": _strided_slice,
}


def _window_shape(step: _Step, height: int, width: int) -> dict[str, int]:
    x, output = step.input().shape, step.output.shape
    strides = step.option("stride_height"), step.option("stride_width")
    dilations = step.option("dilation_height", 1), step.option("dilation_width", 1)
    same = step.option("padding") == _SAME
    return {
        "input_height": x[1],
        "input_width": x[2],
        "input_channels": x[3],
        "output_height": output[1],
        "output_width": output[2],
        "output_channels": output[3],
        "height": height,
        "width": width,
        "stride_height": strides[0],
        "stride_width": strides[1],
        "dilation_height": dilations[0],
        "dilation_width": dilations[1],
        "pad_top": _pad_before(x[1], output[1], height, strides[0], dilations[0]) if same else 0,
        "pad_left": _pad_before(x[2], output[2], width, strides[1], dilations[1]) if same else 0,
    }


def _pad_before(size: int, outputs: int, taps: int, stride: int, dilation: int) -> int:
    """Rows or columns of padding before the first; an odd remainder goes after the last."""
    reach = (outputs - 1) * stride + (taps - 1) * dilation + 1
    return max(0, reach - size) // 2


def _output(step: _Step) -> dict[str, int]:
    smallest, largest = _activation_range(step)
    return {
        "zero_point": step.output.zero_points[0],
        "smallest": smallest,
        "largest": largest,
    }


_REAL_RANGES: dict[int, tuple[float | None, float | None]] = {
    0: (None, None),
    1: (0.0, None),
    2: (-1.0, 1.0),
    3: (0.0, 6.0),
}
"""Ranges of the activation functions NONE, RELU, RELU_N1_TO_1 and RELU6."""


def _activation_range(step: _Step) -> tuple[int, int]:
    low, high = _REAL_RANGES[step.option("activation")]
    smallest = _INT8[0] if low is None else max(_INT8[0], _nearest_step(low, step.output))
    largest = _INT8[1] if high is None else min(_INT8[1], _nearest_step(high, step.output))
    return smallest, largest


def _nearest_step(value: float, tensor: Tensor) -> int:
    """Quantize a real value without clamping; halves round away from zero."""
    quotient = float(np.float32(value) / np.float32(tensor.scales[0]))
    return tensor.zero_points[0] + int(math.copysign(math.floor(abs(quotient) + 0.5), quotient))
