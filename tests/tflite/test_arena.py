import sys

import pytest

from crydistill.errors import MissingExtraError, ModelError
from crydistill.tflite.arena import HOST_BITS, arena_bytes
from crydistill.tflite.interpreters import TfliteMicro

pytest.importorskip("tflite_micro", reason="needs Google's TFLite Micro interpreter")


@pytest.mark.skipif(HOST_BITS != 64, reason="the figure holds pointers of 64 bits")
def test_reference_student_needs_43168_bytes(reference_tflite: bytes) -> None:
    assert arena_bytes(reference_tflite) == 43_168


@pytest.mark.parametrize("student", ["residual_tflite", "memory_tflite"])
def test_one_byte_less_is_too_little(student: str, request: pytest.FixtureRequest) -> None:
    tflite: bytes = request.getfixturevalue(student)
    enough = arena_bytes(tflite)
    TfliteMicro(tflite, enough)
    with pytest.raises(ModelError, match=rf"arena of {enough - 1:,} bytes"):
        TfliteMicro(tflite, enough - 1)


def test_measuring_is_quiet(capfd: pytest.CaptureFixture[str], residual_tflite: bytes) -> None:
    arena_bytes(residual_tflite)
    assert capfd.readouterr() == ("", "")


def test_without_tflite_micro(monkeypatch: pytest.MonkeyPatch, residual_tflite: bytes) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        arena_bytes(residual_tflite)
