import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.student_fixtures import MEMORY_WINDOWS

from crydistill.audio.mel import LogMel
from crydistill.errors import ModelError
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.interpreters import (
    Int8,
    Kernels,
    LiteRt,
    Network,
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


def test_without_memory_there_is_nothing_to_forget(residual_tflite: bytes) -> None:
    network = LiteRt(residual_tflite)
    network.reset()
    assert network.memory is None


class TestMemory:
    @pytest.fixture(params=[*Kernels, "micro"])
    def network(self, request: pytest.FixtureRequest, memory_tflite: bytes) -> Network:
        if request.param != "micro":
            return LiteRt(memory_tflite, request.param)
        pytest.importorskip("tflite_micro", reason="needs Google's TFLite Micro interpreter")
        return TfliteMicro(memory_tflite, 1 << 20)

    @pytest.fixture
    def stream(self, patches: LogMel, memory_tflite: bytes) -> Int8:
        port = inspect_tflite(memory_tflite).input
        return quantize(patches[:40], port.scale, port.zero_point)

    def test_starts_with_nothing_heard(self, network: Network, memory_tflite: bytes) -> None:
        facts = inspect_tflite(memory_tflite).memory
        assert facts is not None and network.memory is not None
        assert network.memory.shape == facts.shape
        assert set(network.memory.ravel()) == {facts.zero_point}

    def test_is_carried_from_window_to_window_and_from_call_to_call(
        self, network: Network, stream: Int8
    ) -> None:
        whole = network.run(stream)
        memory = network.memory
        network.reset()
        pieces = np.concatenate([network.run(stream[a:b]) for a, b in ((0, 1), (1, 7), (7, 40))])
        np.testing.assert_array_equal(pieces, whole)
        np.testing.assert_array_equal(network.memory, memory)
        network.reset()
        alone = [(network.reset(), network.run(window[None]))[1] for window in stream]
        assert (np.concatenate(alone) != whole).any(axis=1)[1:].all()

    def test_holds_the_embeddings_oldest_first(self, network: Network, stream: Int8) -> None:
        network.run(stream[:4])
        before = network.memory
        network.run(stream[4:5])
        after = network.memory
        assert before is not None and after is not None
        np.testing.assert_array_equal(after[:, :-1], before[:, 1:])

    def test_after_as_many_windows_nothing_of_the_start_is_left(
        self, network: Network, stream: Int8
    ) -> None:
        whole = network.run(stream)
        network.reset()
        late = network.run(stream[10:])
        np.testing.assert_array_equal(late[MEMORY_WINDOWS:], whole[10 + MEMORY_WINDOWS :])
        assert (late[:MEMORY_WINDOWS] != whole[10 : 10 + MEMORY_WINDOWS]).any()

    def test_two_networks_share_none(self, memory_tflite: bytes, stream: Int8) -> None:
        one, other = LiteRt(memory_tflite), LiteRt(memory_tflite)
        expected = one.run(stream[:8])
        one.reset()
        heard = []
        for window, foreign in zip(stream[:8], stream[8:16], strict=True):
            heard.append(one.run(window[None])[0])
            other.run(foreign[None])
        np.testing.assert_array_equal(heard, expected)
