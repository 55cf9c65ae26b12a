"""Sizes of layers as vendors' formulas read them."""

import numpy as np
import pytest

from crydistill.device.c_layers import layer_in_c
from crydistill.device.geometry import rounded_up, window_of
from crydistill.tflite.file import read_tflite

WINDOWED = ("AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D")


@pytest.mark.parametrize("student", ["reference_tflite", "residual_tflite", "memory_tflite"])
def test_padding_is_that_of_the_exported_layer(
    student: str, request: pytest.FixtureRequest
) -> None:
    file = read_tflite(request.getfixturevalue(student))
    for position, operator in enumerate(file.operators):
        if operator.name in WINDOWED:
            window, layer = window_of(file, operator), layer_in_c(file, position)
            assert layer is not None
            assert f".pad_top = {window.pad_height},\n" in layer.definitions
            assert f".pad_left = {window.pad_width},\n" in layer.definitions
            assert f".height = {window.filter_height},\n" in layer.definitions
            assert f".dilation_width = {window.dilation_width},\n" in layer.definitions


@pytest.mark.parametrize("student", ["reference_tflite", "residual_tflite", "memory_tflite"])
def test_the_last_output_reads_the_last_padding(
    student: str, request: pytest.FixtureRequest
) -> None:
    file = read_tflite(request.getfixturevalue(student))
    for operator in file.operators:
        if operator.name in WINDOWED:
            w = window_of(file, operator)
            read = (w.out_height - 1) * w.stride_height + w.filter_height
            # With no padding behind, rows may be left over.
            assert w.padded_height == max(read, w.pad_height + w.height)


def test_rounding_up() -> None:
    assert [rounded_up(size, 16) for size in (0, 1, 16, 17)] == [0, 16, 16, 32]
    assert np.all([rounded_up(size, 8) % 8 == 0 for size in range(50)])
