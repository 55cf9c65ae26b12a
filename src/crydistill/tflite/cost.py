"""The arithmetic a student costs: multiply-accumulates and constants by layer."""

from dataclasses import dataclass

from crydistill.tflite.file import Operator, TfliteFile


@dataclass(frozen=True)
class LayerCost:
    """What one operator costs per window.

    operator : TensorFlow Lite's name
    output_shape : of its result
    macs : multiply-accumulates of its convolution or product; sums, pools and rescaling count 0
    weights : elements of its weights and bias
    """

    operator: str
    output_shape: tuple[int, ...]
    macs: int
    weights: int


def layer_costs(file: TfliteFile) -> tuple[LayerCost, ...]:
    """Cost of each operator, in the order they run."""
    return tuple(_layer_cost(file, operator) for operator in file.operators)


@dataclass(frozen=True)
class LayerWork:
    """What makes an operator of the C library slow.

    macs : as `LayerCost` counts them
    inner_loops : loops over neighbouring pixels' channels that a convolution starts
    outputs : elements of the result
    reads : elements of the intermediate results that it reads
    """

    operator: str
    macs: int
    inner_loops: int
    outputs: int
    reads: int


def layer_work(file: TfliteFile) -> tuple[LayerWork, ...]:
    """Work of each operator that computes anything, in the order they run."""
    layers = zip(file.operators, layer_costs(file), strict=True)
    return tuple(_work(file, op, cost.macs) for op, cost in layers if op.name != "RESHAPE")


def _work(file: TfliteFile, operator: Operator, macs: int) -> LayerWork:
    outputs = file.tensors[operator.outputs[0]].size
    inputs = [file.tensors[index] for index in operator.inputs if index != -1]
    # The C kernel takes a row of a filter at once (spread taps, which no student has, one by one).
    rows = inputs[1].shape[1] if operator.name == "CONV_2D" else 1
    reads = sum(tensor.size for tensor in inputs if tensor.data is None)
    return LayerWork(operator.name, macs, outputs * rows, outputs, reads)


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
"""Products per output element, from the shape of the weights."""
