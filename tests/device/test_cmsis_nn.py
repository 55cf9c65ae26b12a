"""CMSIS-NN's sizes of scratch memory, worked out by hand from its documentation."""

from dataclasses import replace

import pytest

from crydistill.device import cmsis_nn
from crydistill.device.cmsis_nn import SCRATCH_USERS, is_row, scratch_bytes
from crydistill.device.geometry import Window, window_of
from crydistill.tflite.file import Operator, TfliteFile, read_tflite


def sizes(tflite: bytes, name: str) -> list[int]:
    file = read_tflite(tflite)
    return [scratch_bytes(file, operator) for operator in file.operators if operator.name == name]


def test_convolutions(residual_tflite: bytes) -> None:
    # 3x3 on one channel, 1x1 on 8, 3x3 on 2. With Helium four columns in whole registers of 16
    # bytes; with DSP instructions and Arm's compiler two pixels of a 1x1 in 16 bits.
    assert sizes(residual_tflite, "CONV_2D") == [4 * 16, 2 * 8 * 2, 4 * 32]


def test_depthwise_convolutions(residual_tflite: bytes) -> None:
    # With Helium blocks of 124 channels, four taps columns at a time.
    assert sizes(residual_tflite, "DEPTHWISE_CONV_2D") == [4 * 124 * 9]


def test_pools(residual_tflite: bytes) -> None:
    # With DSP instructions a sum of 32 bits for each channel.
    assert sizes(residual_tflite, "AVERAGE_POOL_2D") == [4 * 8, 4 * 8]


@pytest.mark.parametrize("student", ["reference_tflite", "residual_tflite", "memory_tflite"])
def test_nothing_else_has_scratch(student: str, request: pytest.FixtureRequest) -> None:
    file = read_tflite(request.getfixturevalue(student))
    for operator in file.operators:
        assert (scratch_bytes(file, operator) > 0) == (operator.name in SCRATCH_USERS)


def changed(
    monkeypatch: pytest.MonkeyPatch, tflite: bytes, name: str, **sizes: int
) -> tuple[int, Window]:
    """Scratch memory of the first operator of a kind, with another geometry."""
    file = read_tflite(tflite)
    operator = next(operator for operator in file.operators if operator.name == name)
    window = replace(window_of(file, operator), **sizes)

    def other(file: TfliteFile, operator: Operator) -> Window:
        return window

    monkeypatch.setattr(cmsis_nn, "window_of", other)
    return scratch_bytes(file, operator), window


def test_a_depthwise_layer_of_many_channels(
    monkeypatch: pytest.MonkeyPatch, residual_tflite: bytes
) -> None:
    """With DSP instructions its filter in 16 bits, which is then more than Helium's blocks."""
    found, _ = changed(monkeypatch, residual_tflite, "DEPTHWISE_CONV_2D", channels=512, filters=512)
    assert found == 2 * 512 * 9


def test_a_depthwise_layer_of_one_channel_becomes_a_convolution(
    monkeypatch: pytest.MonkeyPatch, residual_tflite: bytes
) -> None:
    found, _ = changed(monkeypatch, residual_tflite, "DEPTHWISE_CONV_2D", channels=1, filters=6)
    assert found == 4 * 16 + 9 * 6


def test_other_depth_multipliers_have_none(
    monkeypatch: pytest.MonkeyPatch, residual_tflite: bytes
) -> None:
    found, _ = changed(monkeypatch, residual_tflite, "DEPTHWISE_CONV_2D", channels=4, filters=8)
    assert found == 0


def test_a_row_needs_its_padded_ends(
    monkeypatch: pytest.MonkeyPatch, residual_tflite: bytes
) -> None:
    row = {
        "height": 1,
        "filter_height": 1,
        "filter_width": 8,
        "out_height": 1,
        "channels": 16,
        "pad_height": 0,
        "pad_width": 40,
        "stride_width": 1,
    }
    found, window = changed(monkeypatch, residual_tflite, "CONV_2D", **row)
    assert is_row(window)
    assert found == (8 + 40) * 16 > 4 * 8 * 16
