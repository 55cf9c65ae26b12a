import json
import shutil
from pathlib import Path

import pytest
from tests.student_fixtures import (
    EMBEDDING,
    MEMORY_WINDOWS,
    manifest_for,
    seeded_model,
    synthetic_patches,
)
from typer.testing import CliRunner

from crydistill.cli import app
from crydistill.device.boards import COUNTED
from crydistill.device.c_arena import plan_arena
from crydistill.device.emulated import count_instructions
from crydistill.device.export import export_c
from crydistill.device.profile import profile_student
from crydistill.errors import ConfigError, ModelError
from crydistill.quantize.int8 import quantize_ptq
from crydistill.student.manifest import Port, save_manifest
from crydistill.student.packaged import packaged_student
from crydistill.tflite.file import read_tflite

FIRMWARE = Path(__file__).parents[2] / "firmware"


def need_tools() -> None:
    tools = {"arm-none-eabi-size"} | {tool for core in COUNTED for tool in core.tools}
    if missing := sorted(tool for tool in tools if shutil.which(tool) is None):
        pytest.skip(f"needs {', '.join(missing)} (firmware/install-emulators.sh)")


def test_totals_are_the_models(student_dir: Path, tmp_path: Path) -> None:
    found = profile_student(student_dir)
    assert found.macs == sum(layer.macs for layer in found.layers)
    weights = sum(layer.weight_bytes for layer in found.layers)
    assert 0.8 * found.size_bytes < weights < found.size_bytes
    tflite = (student_dir / "student.tflite").read_bytes()
    exported = export_c(tflite, manifest_for(tflite), tmp_path / "c")
    assert found.memory.library == exported.arena_bytes
    assert found.memory.library_constants == exported.constant_bytes
    assert found.layers[0].input_bytes == 96 * 64
    for before, after in zip(found.layers, found.layers[1:], strict=False):
        assert after.input_bytes == before.output_bytes


def test_what_is_remembered_is_part_of_the_arena(memory_tflite: bytes, tmp_path: Path) -> None:
    (tmp_path / "student.tflite").write_bytes(memory_tflite)
    save_manifest(tmp_path / "student.json", manifest_for(memory_tflite))
    memory = profile_student(tmp_path).memory
    assert memory.remembered == MEMORY_WINDOWS * EMBEDDING
    assert memory.library == plan_arena(read_tflite(memory_tflite)).size
    shown = CliRunner().invoke(app, ["profile", str(tmp_path)])
    assert "remembered between windows" in shown.output


def test_memory_is_ordered(student_dir: Path) -> None:
    memory = profile_student(student_dir).memory
    assert memory.remembered == 0
    assert memory.tflite_micro is not None
    assert memory.esp_nn is not None
    assert memory.planned < memory.tflite_micro < memory.esp_nn


def test_known_faults_of_vendors_kernels_are_named() -> None:
    """The packaged student's first layer meets one."""
    shown = CliRunner().invoke(app, ["profile"])
    assert "Known fault: ESP-NN before 1.2.6, layer 0 (CONV_2D)" in shown.output
    (line,) = profile_student(packaged_student()).kernel_faults
    assert "https://github.com/espressif/esp-nn/issues/31" in line


def test_json_holds_everything_and_no_nan(student_dir: Path) -> None:
    plain = json.loads(profile_student(student_dir).to_json(), parse_constant=pytest.fail)
    assert plain["latency"]["assumptions_esp_nn"]
    assert plain["latency"]["esp_nn"]["low"] < plain["latency"]["plain"]["high"]
    assert {board["board"] for board in plain["boards"]} >= {"ESP32-S3", "nRF52840", "RP2040"}
    assert not any(counts["measured"] for counts in plain["instructions"].values())


def test_a_sigmoid_student_with_named_outputs(tmp_path: Path) -> None:
    tflite = quantize_ptq(seeded_model(outputs=5), synthetic_patches())
    names = ("cry", "speech", "music", "cat", "other")
    manifest = manifest_for(tflite, activation="sigmoid", outputs=names, cry_outputs=(0,))
    (tmp_path / "student.tflite").write_bytes(tflite)
    save_manifest(tmp_path / "student.json", manifest)
    found = profile_student(tmp_path)
    assert found.outputs == 5
    assert found.activation == "sigmoid"
    # One exponential instead of 521.
    assert found.latency.instructions.score < 200
    assert "esp_nn" in json.loads(found.to_json())["memory"]


def test_a_student_that_is_not_its_manifests_is_refused(student_dir: Path) -> None:
    tflite = (student_dir / "student.tflite").read_bytes()
    save_manifest(
        student_dir / "student.json",
        manifest_for(tflite, input=Port(shape=(1, 96, 64, 1), scale=0.5, zero_point=0)),
    )
    with pytest.raises(ModelError, match="input"):
        profile_student(student_dir)


def test_counting_needs_the_sources(student_dir: Path, tmp_path: Path) -> None:
    need_tools()
    with pytest.raises(ConfigError, match=r"emulator/cost\.c"):
        profile_student(student_dir, firmware=tmp_path)


def test_counting_needs_the_tools(student_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="qemu-system-arm"):
        profile_student(student_dir, firmware=FIRMWARE)


def test_counted_instructions_are_near_the_scaled_ones(student_dir: Path) -> None:
    need_tools()
    tflite = (student_dir / "student.tflite").read_bytes()
    counted = count_instructions(tflite, manifest_for(tflite), FIRMWARE, COUNTED)
    assert counted.flash_bytes > len(tflite) * 0.8
    scaled = profile_student(student_dir).instructions
    assert counted.instructions.keys() == scaled.keys()
    for core, instructions in counted.instructions.items():
        assert instructions.measured
        assert instructions.network == pytest.approx(scaled[core].network, rel=0.2)
        assert instructions.front_end == pytest.approx(scaled[core].front_end, rel=0.2)


def test_the_verb_prints_tables_and_json(student_dir: Path) -> None:
    shown = CliRunner().invoke(app, ["profile", str(student_dir)])
    assert shown.exit_code == 0, shown.exception
    for words in ("Layers", "depthwise 48x32x8", "(model)", "measured", "nRF52840", "fast end"):
        assert words in shown.output
    printed = CliRunner().invoke(app, ["profile", str(student_dir), "--json"])
    assert json.loads(printed.output)["macs"] == 1_171_072
