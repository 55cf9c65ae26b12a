import re

import pytest
from tests.student_fixtures import (  # noqa: F401 - fixtures
    memory_model,
    memory_tflite,
    patches,
    reference_model,
    reference_tflite,
    residual_model,
    residual_tflite,
    student_dir,
)

from crydistill.tflite.interpreters import TfliteMicro


def non_persistent_bytes(tflite: bytes, capfd: pytest.CaptureFixture[str]) -> int:
    """Part of TFLite Micro's arena for intermediate tensors, as printed by TFLite Micro."""
    runtime = pytest.importorskip(
        "tflite_micro.python.tflite_micro.runtime",
        reason="needs Google's TFLite Micro interpreter",
    )
    TfliteMicro(tflite, 1 << 20)
    runtime.Interpreter.from_bytes(tflite, arena_size=1 << 20).print_allocations()
    printed = "".join(capfd.readouterr())
    head = re.search(r"Arena allocation head (\d+) bytes", printed)
    assert head is not None, printed
    return int(head[1])
