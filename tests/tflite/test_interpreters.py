import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crydistill.audio.mel import LogMel
from crydistill.errors import ModelError
from crydistill.tflite.interpreters import (
    Kernels,
    LiteRt,
    TfliteMicro,
    dequantize,
    quantize,
    quiet,
)


def test_quantize_rounds_to_nearest_and_saturates() -> None:
    values = np.array([-100, -0.26, -0.24, 0, 0.24, 0.26, 100], dtype=np.float32)
    np.testing.assert_array_equal(quantize(values, 0.5, 3), [-128, 2, 3, 3, 3, 4, 127])


def test_ties_go_to_the_even_step() -> None:
    values = np.array([0.5, 1.5, -0.5, -1.5], dtype=np.float32)
    np.testing.assert_array_equal(quantize(values, 1.0, 0), [0, 2, 0, -2])


@given(
    step=st.integers(-128, 127),
    scale=st.floats(2**-13, 8, width=32),
    zero_point=st.integers(-128, 127),
)
def test_steps_survive_the_round_trip(step: int, scale: float, zero_point: int) -> None:
    steps = np.array([step], dtype=np.int8)
    assert quantize(dequantize(steps, scale, zero_point), scale, zero_point) == steps


@pytest.mark.parametrize("kernels", list(Kernels))
def test_every_kernel_choice_runs(residual_tflite: bytes, kernels: Kernels) -> None:
    assert LiteRt(residual_tflite, kernels).run(np.zeros((2, 96, 64), np.int8)).shape == (2, 4)


def test_no_windows(residual_tflite: bytes) -> None:
    assert LiteRt(residual_tflite).run(np.zeros((0, 96, 64), np.int8)).shape == (0, 4)


def test_tflite_micro_agrees_with_litert(residual_tflite: bytes, patches: LogMel) -> None:
    pytest.importorskip("tflite_micro", reason="needs Google's TFLite Micro interpreter")
    windows = quantize(patches, 0.06, -10)
    micro = TfliteMicro(residual_tflite, 1 << 20).run(windows).astype(int)
    assert np.abs(micro - LiteRt(residual_tflite).run(windows)).max() <= 1


def test_litert_refusal_is_one_line() -> None:
    with pytest.raises(ModelError, match="LiteRT refuses the model") as caught:
        LiteRt(b"\x1c\0\0\0TFL3" + b"\0" * 100)
    assert "\n" not in str(caught.value)


def test_quiet_hides_native_output_and_restores_it(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        os.write(2, b"hidden")
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"
