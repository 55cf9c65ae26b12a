"""Count a student's multiply-accumulates (MACs) and weights, layer by layer."""

from dataclasses import dataclass

from crydistill.tflite.file import Operator, TfliteFile


@dataclass(frozen=True)
class LayerCost:
    """Cost of one operator per window.

    operator : TensorFlow Lite's name
    output_shape : shape of its output
    macs : multiply-accumulates of a convolution or matrix product; additions, pooling and
        requantization count 0
    weights : number of its weights and biases
    """

    operator: str
    output_shape: tuple[int, ...]
    macs: int
    weights: int


def layer_costs(file: TfliteFile) -> tuple[LayerCost, ...]:
    """Cost of each operator, in execution order."""
    return tuple(_layer_cost(file, operator) for operator in file.operators)


@dataclass(frozen=True)
class LayerWork:
    """Quantities that determine an operator's run time in the C library.

    macs : as in `LayerCost`
    rows : rows of a filter's taps that a convolution of more than one tap collects, over all
        positions of the output
    outputs : elements of the output
    reads : elements of the intermediate tensors that it reads
    """

    operator: str
    macs: int
    rows: int
    outputs: int
    reads: int


def layer_work(file: TfliteFile) -> tuple[LayerWork, ...]:
    """Work of each operator that computes anything, in execution order."""
    layers = zip(file.operators, layer_costs(file), strict=True)
    return tuple(_work(file, op, cost.macs) for op, cost in layers if op.name != "RESHAPE")


def _work(file: TfliteFile, operator: Operator, macs: int) -> LayerWork:
    outputs = file.tensors[operator.outputs[0]].size
    inputs = [file.tensors[index] for index in operator.inputs if index != -1]
    rows = _rows(outputs, inputs[1].shape) if "CONV" in operator.name else 0
    reads = sum(tensor.size for tensor in inputs if tensor.data is None)
    return LayerWork(operator.name, macs, rows, outputs, reads)


def _rows(outputs: int, filters: tuple[int, ...]) -> int:
    count, height, width, channels = filters
    positions = outputs // (count if count > 1 else channels)
    return 0 if (height, width) == (1, 1) else positions * height


def total_macs(layers: tuple[LayerCost, ...]) -> int:
    """Multiply-accumulates per window."""
    return sum(layer.macs for layer in layers)


def _layer_cost(file: TfliteFile, operator: Operator) -> LayerCost:
    output = file.tensors[operator.outputs[0]]
    if operator.name not in _TAPS:
        return LayerCost(operator.name, output.shape, 0, 0)
    weights, *bias = (file.tensors[index] for index in operator.inputs[1:] if index != -1)
    taps = _TAPS[operator.name](weights.shape)
    size = sum(tensor.size for tensor in (weights, *bias))
    return LayerCost(operator.name, output.shape, output.size * taps, size)


_TAPS = {
    "CONV_2D": lambda shape: shape[1] * shape[2] * shape[3],
    "DEPTHWISE_CONV_2D": lambda shape: shape[1] * shape[2],
    "FULLY_CONNECTED": lambda shape: shape[1],
}
"""Multiplications per output element, from the shape of the weights."""
