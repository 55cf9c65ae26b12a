"""The twin with float32 input and output computes the same as the student."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tests.tflite.running import run_float

from crydistill.errors import ModelError
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.float_io import float_twin
from crydistill.tflite.interpreters import Float32, Kernels, LiteRt, dequantize, quantize

STUDENTS = ("reference_tflite", "residual_tflite", "memory_tflite")


def by_hand(tflite: bytes, patches: Float32, kernels: Kernels = Kernels.REFERENCE) -> Float32:
    facts = inspect_tflite(tflite)
    steps = quantize(patches, facts.input.scale, facts.input.zero_point)
    out = LiteRt(tflite, kernels).run(steps)
    return dequantize(out, facts.output.scale, facts.output.zero_point)


def off_ties(tflite: bytes, patches: Float32) -> Float32:
    """Move values that lie exactly between two steps, where runtimes round differently."""
    scale = np.float32(inspect_tflite(tflite).input.scale)
    ties = np.abs(patches / scale - np.trunc(patches / scale)) == np.float32(0.5)
    return np.where(ties, patches * np.float32(1.0001), patches).astype(np.float32)


@pytest.mark.parametrize("student", STUDENTS)
def test_logits_are_bit_identical(
    student: str, patches: Float32, request: pytest.FixtureRequest
) -> None:
    tflite = request.getfixturevalue(student)
    patches = off_ties(tflite, patches)
    result = run_float(float_twin(tflite), patches)
    assert result.dtype == np.float32
    assert result.tobytes() == by_hand(tflite, patches).tobytes()
    assert np.unique(result).size > 50


def test_values_beyond_the_range_are_clipped_alike(reference_tflite: bytes) -> None:
    patches = np.zeros((3, 96, 64), dtype=np.float32)
    patches[0], patches[1], patches[2] = 1e6, -1e6, np.float32(np.log(0.001))
    result = run_float(float_twin(reference_tflite), patches)
    assert result.tobytes() == by_hand(reference_tflite, patches).tobytes()


def test_ties_are_one_step_apart_at_most(reference_tflite: bytes) -> None:
    facts = inspect_tflite(reference_tflite)
    scale = np.float32(facts.input.scale)
    steps = np.arange(-60, 60, dtype=np.float32) + np.float32(0.5)
    values = np.resize(steps * scale, (1, 96, 64)).astype(np.float32)
    result = run_float(float_twin(reference_tflite), values)
    low = np.floor(values / scale) + facts.input.zero_point
    candidates = [np.clip(low + up, -128, 127).astype(np.int8) for up in (0, 1)]
    even = quantize(values, facts.input.scale, facts.input.zero_point)
    assert np.all((even == candidates[0]) | (even == candidates[1]))
    away = np.where(values > 0, candidates[1], candidates[0])
    found = [
        dequantize(LiteRt(reference_tflite).run(tie), facts.output.scale, facts.output.zero_point)
        for tie in (even, away)
    ]
    assert any(result.tobytes() == expected.tobytes() for expected in found)


def test_everything_between_is_the_students_own(reference_tflite: bytes) -> None:
    ours = schema.ModelT.InitFromPackedBuf(reference_tflite, 0).subgraphs[0]
    twin = schema.ModelT.InitFromPackedBuf(float_twin(reference_tflite), 0).subgraphs[0]
    assert len(twin.operators) == len(ours.operators) + 2
    for inner, own in zip(twin.operators[1:-1], ours.operators, strict=True):
        assert list(inner.inputs) == list(own.inputs)
        assert list(inner.outputs) == list(own.outputs)
    first, last = twin.tensors[twin.inputs[0]], twin.tensors[twin.outputs[0]]
    assert first.type == last.type == schema.TensorType.FLOAT32
    assert (first.name, last.name) == (b"log_mel", b"logits")


def test_a_memory_keeps_its_place(memory_tflite: bytes) -> None:
    twin = schema.ModelT.InitFromPackedBuf(float_twin(memory_tflite), 0).subgraphs[0]
    ports = [*twin.inputs, *twin.outputs]
    assert [len(twin.tensors[i].shape) for i in ports] == [4, 3, 2, 3]
    assert {twin.tensors[i].type for i in ports} == {schema.TensorType.FLOAT32}


def test_twin_is_deterministic_aligned_and_hardly_larger(reference_tflite: bytes) -> None:
    twin = float_twin(reference_tflite)
    assert twin == float_twin(reference_tflite)
    assert len(twin) < len(reference_tflite) + 1_000
    model = schema.Model.GetRootAs(twin, 0)
    for index in range(model.BuffersLength()):
        data = model.Buffers(index).DataAsNumpy()
        if isinstance(data, np.ndarray) and data.size:
            assert (data.ctypes.data - np.frombuffer(twin, np.uint8).ctypes.data) % 16 == 0


def test_the_twin_is_no_student(reference_tflite: bytes) -> None:
    with pytest.raises(ModelError, match="QUANTIZE"):
        inspect_tflite(float_twin(reference_tflite))
    with pytest.raises(ModelError):
        float_twin(reference_tflite[:-500])
