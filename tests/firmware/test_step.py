"""`crydistill_step`: the same results as `crydistill_push`, however work and samples alternate."""

import subprocess
from pathlib import Path

import pytest
from tests.firmware.programs import (
    Emulated,
    Gaps,
    Pcm,
    Program,
    build,
    make,
    need,
    need_machine,
    need_sanitizer,
    scene,
    under_qemu,
    words_of,
)
from tests.student_fixtures import manifest_for, synthetic_patches

from crydistill.detector.vote import VoteSettings
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.cost import layer_costs
from crydistill.tflite.file import read_tflite
from crydistill.tflite.interpreters import quantize

EASILY = VoteSettings(threshold=0.002, n=1, m=2, hold_seconds=0.96)
"""Raises alerts on what the untrained students say."""

GAPS = [(1, 2), (40_000, 5), (40_000, 12_345), (95_001, 70_000)]
"""One before anything, two in one place, one of several windows."""


def said(program: Program, mode: str, pcm: Pcm, seed: int, gaps: Gaps = ()) -> bytes:
    return program.run(mode, pcm.tobytes(), seed, *words_of(EASILY, gaps))


@pytest.mark.parametrize("what", ["patches", "logits", "windows"])
@pytest.mark.parametrize("gaps", [(), GAPS], ids=["whole", "gaps"])
def test_steps_in_any_order_change_no_byte(what: str, gaps: Gaps, sanitized: Program) -> None:
    """The seed draws ring, slices, pieces and steps, and in a quarter of them no backlog."""
    pcm = scene(8, seed=2)
    whole = said(sanitized, what, pcm, 0, gaps)
    assert len(whole) > 0
    for seed in range(8):
        assert said(sanitized, f"stepped-{what}", pcm, seed, gaps) == whole


@pytest.mark.parametrize("gaps", [(), GAPS], ids=["whole", "gaps"])
def test_steps_of_a_student_with_memory_change_no_byte(
    gaps: Gaps, sanitized_with_memory: Program
) -> None:
    pcm = scene(12, seed=5)
    for what in ("logits", "windows"):
        whole = said(sanitized_with_memory, what, pcm, 0, gaps)
        for seed in range(6):
            assert said(sanitized_with_memory, f"stepped-{what}", pcm, seed, gaps) == whole


@pytest.mark.parametrize("gaps", [(), GAPS], ids=["whole", "gaps"])
def test_pushes_that_outrun_the_steps_catch_up(gaps: Gaps, sanitized: Program) -> None:
    """Few steps between pushes: these finish a network that is still at work when they must."""
    pcm = scene(8, seed=3)
    whole = said(sanitized, "windows", pcm, 0, gaps)
    for seed in range(6):
        assert said(sanitized, "backlog-windows", pcm, seed, gaps) == whole


def test_steps_under_emulation_change_no_byte(emulated: Emulated) -> None:
    pcm = scene(4, seed=6)
    for what in ("patches", "logits", "windows"):
        whole = said(emulated, what, pcm, 0, GAPS[:2])
        for seed in range(2):
            assert said(emulated, f"stepped-{what}", pcm, seed, GAPS[:2]) == whole


@pytest.mark.parametrize("student", ["student_tflite", "residual_tflite", "memory_tflite"])
def test_parts_of_any_size_change_no_byte_and_are_no_larger(
    student: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """No part has more products than it may, but for a single row."""
    need("make", "gcc")
    need_sanitizer("gcc", "address,undefined", tmp_path)
    tflite = request.getfixturevalue(student)
    facts = inspect_tflite(tflite)
    outputs = facts.output.shape[-1]
    names = tuple(f"class {i}" for i in range(outputs))
    manifest = manifest_for(tflite, outputs=names, cry_outputs=(0,))
    program = build("all", tflite, manifest, tmp_path, CC="gcc")
    make("parts", MODEL=str(tmp_path / "model"), BUILD=str(tmp_path), CC="gcc")
    patches = quantize(synthetic_patches()[:3], facts.input.scale, facts.input.zero_point)
    (tmp_path / "patches").write_bytes(patches.tobytes())
    expected = program.network(patches, outputs).tobytes()
    largest_layer = max(layer.macs for layer in layer_costs(read_tflite(tflite)))
    counts = []
    for work in (1, 5_000, 65_536, 10**9):
        command = [tmp_path / "parts", tmp_path / "patches", str(work)]
        done = subprocess.run(command, capture_output=True, check=True, timeout=300)
        assert done.stdout == expected
        largest, row, parts = map(int, done.stderr.split())
        assert largest <= max(work, row)
        assert row < largest_layer
        counts.append(parts)
    operators = sum(facts.ops.values()) - facts.ops.get("RESHAPE", 0)
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 4 * operators
    assert counts[-1] == operators


@pytest.mark.parametrize("core", ["m0", "m4"])
def test_no_step_takes_long(core: str, student_tflite: bytes, tmp_path: Path) -> None:
    """Executed instructions of the longest step, against those of a whole network."""
    need_machine(core)
    build(f"cost-{core}", student_tflite, manifest_for(student_tflite), tmp_path)
    whole = counts_of(core, tmp_path / f"cost-{core}.elf")["network_per_window"]
    make(f"steps-{core}", MODEL=str(tmp_path / "model"), BUILD=str(tmp_path))
    steps = counts_of(core, tmp_path / f"steps-{core}.elf")
    assert steps["windows"] == 2
    assert steps["slices"] > 15
    assert steps["slice"] < whole / 10
    assert steps["slice"] * steps["slices"] > whole
    # A frame of the front end is the other thing that a step may do.
    assert 0 < steps["frame"] < whole / 4


def counts_of(core: str, binary: Path) -> dict[str, int]:
    words = under_qemu(core, counting=True)(binary, [])
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {part: int(count) for part, count in lines}
