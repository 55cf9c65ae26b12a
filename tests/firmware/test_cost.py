"""Instructions counted under emulation: `firmware/emulator/cost.c`."""

from pathlib import Path

import pytest
from tests.firmware.programs import build, need_machine, under_qemu
from tests.student_fixtures import manifest_for

from crydistill.tflite.check import inspect_tflite

SUMS_AND_PRODUCTS_PER_FRAME = 11_000
"""About, of all sizes, as firmware/src/crydistill_mel.c counts them."""


def test_every_layer_of_a_student_with_memory_is_counted(
    memory_tflite: bytes, tmp_path: Path
) -> None:
    need_machine("m4")
    command = under_qemu("m4", counting=True)
    program = build("cost-m4", memory_tflite, manifest_for(memory_tflite), tmp_path, command)
    lines = [line.split() for line in program.run("", b"").decode().splitlines()]
    layers = [part for part, _ in lines if part.startswith("layer_")]
    ops = inspect_tflite(memory_tflite).ops
    assert len(layers) == sum(ops.values()) - ops["RESHAPE"]
    cost = {part: int(count) for part, count in lines}
    # Some dozen bytes are copied.
    assert 0 < cost["layer_concatenation"] + cost["layer_strided_slice"] < 2_000


@pytest.mark.parametrize("core", ["m4", "m7"])
def test_counts_are_exact_and_plausible(core: str, student_tflite: bytes, tmp_path: Path) -> None:
    need_machine(core)
    command = under_qemu(core, counting=True)
    manifest = manifest_for(student_tflite)
    program = build(f"cost-{core}", student_tflite, manifest, tmp_path, command)
    printed = program.run("", b"").decode()
    assert program.run("", b"").decode() == printed
    lines = [line.split() for line in printed.splitlines()]
    cost = {part: int(count) for part, count in lines if not part.startswith("layer_")}
    layers = [int(count) for part, count in lines if part.startswith("layer_")]
    facts = inspect_tflite(student_tflite)
    macs = facts.macs
    assert len(layers) == sum(facts.ops.values())
    assert sum(layers) == pytest.approx(cost["network_per_window"], rel=0.001)
    # With SMLAD. A good part of the small network is depthwise layers and rounding.
    assert 1.5 * macs < cost["network_per_window"] < 8 * macs
    arithmetic = 100 * SUMS_AND_PRODUCTS_PER_FRAME
    assert 2 * arithmetic < cost["front_end_per_second"] < 6 * arithmetic
    assert cost["score_per_window"] < 100_000
    # The reference student's score is a softmax of 521 outputs.
    assert cost["softmax_of_521"] == pytest.approx(cost["score_per_window"], rel=0.02)
    assert 0 < cost["sigmoid_of_1"] < 100
    assert cost["vote_per_window"] < 500
