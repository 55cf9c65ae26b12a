import math
from typing import Any

import numpy as np
import pytest
from tests.tflite.editing import Edit, edited, operator, tensor

from crydistill.errors import ModelError
from crydistill.tflite.file import OPERATOR_KINDS, read_tflite
from crydistill.tflite.operators import RULES, check_operators


def check(tflite: bytes) -> None:
    check_operators(read_tflite(tflite))


def option(name: str, key: str, value: object) -> Edit:
    return lambda m: setattr(operator(m, name).builtinOptions, key, value)


def scales(name: str, position: int, values: list[float]) -> Edit:
    def edit(model: object) -> None:
        quantization = tensor(model, name, position).quantization
        quantization.scale = values
        quantization.zeroPoint = [0] * len(values)

    return edit


def shape(name: str, position: int, value: list[int]) -> Edit:
    return lambda m: setattr(tensor(m, name, position), "shape", value)


def drop_bias(name: str) -> Edit:
    return lambda m: setattr(operator(m, name), "inputs", [*operator(m, name).inputs[:2], -1])


def constant(name: str, position: int, values: list[int]) -> Edit:
    def edit(model: object) -> None:
        data = np.array(values, np.int32).tobytes()
        model.buffers[tensor(model, name, position).buffer].data = list(data)  # type: ignore[attr-defined]

    return edit


def far_apart(model: object) -> None:
    scales("ADD", 1, [1e3])(model)
    scales("ADD", 2, [1e-5])(model)


def swap_operators(model: object) -> None:
    steps = model.subgraphs[0].operators  # type: ignore[attr-defined]
    steps[1], steps[2] = steps[2], steps[1]


def test_every_readable_operator_has_a_rule() -> None:
    assert set(RULES) == {kind.name for kind in OPERATOR_KINDS.values()}


def test_accepts_what_the_converter_writes(
    reference_tflite: bytes, residual_tflite: bytes, memory_tflite: bytes
) -> None:
    check(reference_tflite)
    check(residual_tflite)
    check(memory_tflite)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (option("CONV_2D", "strideW", 0), "stride 0"),
        (option("CONV_2D", "strideH", -1), "stride -1"),
        (
            option("CONV_2D", "strideH", 1),
            r"computes shape \(1, 96, 32, 8\), the file states \(1, 48",
        ),
        (option("CONV_2D", "dilationHFactor", 0), "dilation 0"),
        (option("CONV_2D", "padding", 2), "padding of kind 2"),
        (option("CONV_2D", "fusedActivationFunction", 4), "activation function of kind 4"),
        (option("CONV_2D", "quantizedBiasType", 4), "bias of type 4"),
        (option("DEPTHWISE_CONV_2D", "depthMultiplier", 2), "8 filters for 8 channels"),
        (option("FULLY_CONNECTED", "weightsFormat", 1), "shuffled"),
        (option("AVERAGE_POOL_2D", "filterWidth", 0), "pooling window out of range"),
        (option("AVERAGE_POOL_2D", "strideW", 0), "stride 0"),
        (drop_bias("CONV_2D"), "no bias"),
        (drop_bias("DEPTHWISE_CONV_2D"), "no bias"),
        (scales("CONV_2D", 1, [0.1]), "differ in their scales"),
        (scales("CONV_2D", 1, [0.1] * 7), "7 weight scales for 8"),
        (scales("CONV_2D", 1, [math.nan] * 8), "not positive"),
        (scales("CONV_2D", 1, [0.0] * 8), "not positive"),
        (scales("CONV_2D", 1, [1e9] * 8), "requantizes by a factor"),
        (scales("CONV_2D", 2, [1.0] * 8), "bias has scale 1, not input x weight"),
        (scales("CONV_2D", 3, [0.0]), "a result has the scale 0"),
        (scales("CONV_2D", 3, [math.nan]), "a result has the scale nan"),
        (scales("CONV_2D", 3, [0.1, 0.1]), "2 scales, not one"),
        (scales("FULLY_CONNECTED", 1, [0.1] * 4), "per-channel weight scales"),
        (far_apart, "too far apart"),
        (scales("AVERAGE_POOL_2D", 1, [0.5]), "share scale and zero point"),
        (scales("RESHAPE", 2, [0.5]), "share scale and zero point"),
        (constant("PAD", 1, [0, 0, -1, 1, 1, 1, 0, 0]), "pads by"),
        (constant("PAD", 1, [0, 0, 1, 2, 1, 1, 0, 0]), r"computes shape \(1, 99, 66, 1\)"),
        (constant("RESHAPE", 1, [1, 8, -1, -1]), "to the shape"),
        (constant("RESHAPE", 1, [0, 8, 8, 2]), "to the shape"),
        (constant("RESHAPE", 1, [1, 8, 8, 4]), "to the shape|from"),
        (constant("RESHAPE", 1, [1, 8, -8, -2]), "computes shape"),
        (lambda m: setattr(tensor(m, "ADD", 0), "type", 2), "int32, not int8"),
        (lambda m: setattr(tensor(m, "ADD", 0).quantization, "zeroPoint", [200]), "not an int8"),
        (lambda m: setattr(operator(m, "ADD"), "inputs", operator(m, "ADD").inputs[:1]), "1 input"),
        (
            lambda m: setattr(operator(m, "PAD"), "inputs", [operator(m, "PAD").inputs[1]] * 2),
            "const",
        ),
        (
            lambda m: setattr(operator(m, "PAD"), "outputs", operator(m, "PAD").inputs[:1]),
            "overwrit",
        ),
        (lambda m: m.subgraphs[0].operators.pop(1), "not computed yet"),
        (lambda m: m.subgraphs[0].operators.pop(), "no operator computes the output"),
        (swap_operators, "not computed yet"),
    ],
)
def test_refuses_what_a_runtime_would_trip_over(
    residual_tflite: bytes, edit: Edit, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        check(edited(residual_tflite, edit))


@pytest.mark.parametrize("axes", [[1, 3], [1, 1], [2, 9]])
def test_refuses_a_mean_that_is_no_global_pool(reference_tflite: bytes, axes: list[int]) -> None:
    with pytest.raises(ModelError, match="not a global average pool"):
        check(edited(reference_tflite, constant("MEAN", 1, axes)))


def test_accepts_a_dense_layer_without_bias(residual_tflite: bytes) -> None:
    check(edited(residual_tflite, drop_bias("FULLY_CONNECTED")))


def test_accepts_one_weight_scale_for_all_channels(residual_tflite: bytes) -> None:
    def edit(model: object) -> None:
        weight = tensor(model, "CONV_2D", 1).quantization
        bias = tensor(model, "CONV_2D", 2).quantization
        for quantization in (weight, bias):
            quantization.scale = quantization.scale[:1]
            quantization.zeroPoint = quantization.zeroPoint[:1]

    check(edited(residual_tflite, edit))


def ending_at(end: list[int]) -> Edit:
    """The slice's end in numbers rather than by its mask."""

    def edit(model: Any) -> None:
        constant("STRIDED_SLICE", 2, end)(model)
        option("STRIDED_SLICE", "endMask", 0)(model)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (option("CONCATENATION", "axis", 2), "along axis 2"),
        (option("CONCATENATION", "axis", -2), "along axis -2"),
        (option("CONCATENATION", "fusedActivationFunction", 1), "activation function"),
        (scales("CONCATENATION", 0, [0.5]), "share scale and zero point"),
        (shape("CONCATENATION", 0, [1, 24]), r"joins the shapes \(1, 24\)"),
        (shape("CONCATENATION", 0, [2, 4, 6]), r"joins the shapes \(2, 4, 6\)"),
        (shape("CONCATENATION", 0, [1, 5, 6]), r"computes shape \(1, 6, 6\)"),
        (
            lambda m: setattr(operator(m, "CONCATENATION"), "inputs", [0]),
            "has 1 inputs",
        ),
        (
            lambda m: operator(m, "CONCATENATION").inputs.reverse(),
            r"joins the shapes \(1, 1, 6\) and \(1, 4, 6\)",
        ),
        (option("STRIDED_SLICE", "shrinkAxisMask", 2), "option shrink_axis_mask"),
        (option("STRIDED_SLICE", "ellipsisMask", 1), "option ellipsis_mask"),
        (option("STRIDED_SLICE", "newAxisMask", 1), "option new_axis_mask"),
        (option("STRIDED_SLICE", "offset", True), "option offset"),
        (option("STRIDED_SLICE", "beginMask", 7), r"keeps \[0, 0, 0\] to"),
        (option("STRIDED_SLICE", "beginMask", 16), "mask of 16"),
        (ending_at([1, 5, 6]), None),
        (ending_at([1, 5, 5]), r"to \[1, 5, 5\] of"),
        (option("STRIDED_SLICE", "endMask", 1), r"to \[1, 0, 0\] of"),
        (constant("STRIDED_SLICE", 1, [0, 2, 0]), r"keeps \[0, 2, 0\] to"),
        (constant("STRIDED_SLICE", 1, [0, -4, 0]), r"keeps \[0, -4, 0\] to"),
        (constant("STRIDED_SLICE", 1, [9, 1, -9]), None),
        (constant("STRIDED_SLICE", 3, [1, 0, 1]), "strides"),
        (constant("STRIDED_SLICE", 3, [1, 2, 1]), "strides"),
        (constant("STRIDED_SLICE", 3, [1, -1, 1]), "strides"),
        (scales("STRIDED_SLICE", -1, [0.5]), "share scale and zero point"),
        (shape("STRIDED_SLICE", -1, [1, 4, 5]), "the file states"),
        (
            lambda m: setattr(operator(m, "STRIDED_SLICE"), "inputs", [0]),
            "has 1 inputs",
        ),
    ],
)
def test_a_memory_is_moved_on_and_nothing_else(
    memory_tflite: bytes, edit: Edit, message: str | None
) -> None:
    def listed(model: object) -> None:
        joining = operator(model, "CONCATENATION")
        joining.inputs = list(joining.inputs)
        edit(model)

    if message is None:  # says the same in other words
        check(edited(memory_tflite, listed))
    else:
        with pytest.raises(ModelError, match=message):
            check(edited(memory_tflite, listed))
