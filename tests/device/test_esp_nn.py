"""ESP-NN's formulas against the figures published for the reference student."""

import pytest

from crydistill.device.esp_nn import (
    SCRATCH_HANDLE_BYTES,
    SCRATCH_USERS,
    kernel_path,
    non_persistent_bytes,
    scratch_bytes,
)
from crydistill.tflite.arena import arena_bytes
from crydistill.tflite.file import TfliteFile, read_tflite

ARENA_ON_CORTEX_M7 = 41_748
ARENA_WITH_ESP_NN = 69_180
"""Of the reference student with 521 outputs, as measured on 32 bits and as ESP-NN's own functions
compute it."""


@pytest.fixture(scope="module")
def reference(reference_tflite: bytes) -> TfliteFile:
    return read_tflite(reference_tflite)


def test_arena_of_the_reference_student_is_the_known_one(reference: TfliteFile) -> None:
    planned = non_persistent_bytes(reference, esp_nn=False)
    users = sum(operator.name in SCRATCH_USERS for operator in reference.operators)
    bookkeeping = ARENA_ON_CORTEX_M7 - planned + users * SCRATCH_HANDLE_BYTES
    assert bookkeeping + non_persistent_bytes(reference, esp_nn=True) == ARENA_WITH_ESP_NN


@pytest.mark.parametrize("student", ["reference_tflite", "residual_tflite", "memory_tflite"])
def test_plan_is_the_interpreters(student: str, request: pytest.FixtureRequest) -> None:
    tflite = request.getfixturevalue(student)
    planned = non_persistent_bytes(read_tflite(tflite), esp_nn=False)
    # TFLite Micro's overhead beyond the plan: 1.5 KB plus 0.5 KB per operator.
    beyond = arena_bytes(tflite) - planned
    assert 0 < beyond < 1_500 + 500 * len(read_tflite(tflite).operators)


def test_channels_of_eight_are_off_the_fast_path(reference: TfliteFile) -> None:
    slow = [o for o in reference.operators if not kernel_path(reference, o).fast]
    assert [o.name for o in slow] == ["DEPTHWISE_CONV_2D", "MEAN"]
    assert reference.tensors[slow[0].inputs[0]].shape[-1] == 8


@pytest.mark.parametrize("student", ["residual_tflite", "memory_tflite"])
def test_every_operator_has_scratch_and_path(student: str, request: pytest.FixtureRequest) -> None:
    file = read_tflite(request.getfixturevalue(student))
    for operator in file.operators:
        assert (scratch_bytes(file, operator) > 0) == (operator.name in SCRATCH_USERS)
        assert kernel_path(file, operator).why
