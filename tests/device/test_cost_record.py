"""The record in the package matches this library and the packaged student."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.student_fixtures import manifest_for

from crydistill.device import boards, emulator, tools
from crydistill.device import cost_record as recorded
from crydistill.device.export import export_c
from crydistill.student.manifest import MANIFEST_NAME, TFLITE_NAME, load_manifest
from crydistill.student.packaged import packaged_student
from crydistill.tflite.cost import layer_work
from crydistill.tflite.file import read_tflite

FIRMWARE = Path(__file__).parents[2] / "firmware"
STALE = "stale: crydistill firmware-cost firmware src/crydistill/data/firmware_cost.json"


def cores() -> dict[str, Any]:
    found: dict[str, Any] = recorded.cost_record()["cores"]
    return found


def test_it_is_of_the_packaged_students_layers() -> None:
    work = layer_work(read_tflite((packaged_student() / TFLITE_NAME).read_bytes()))
    for core in cores().values():
        shapes = [{k: v for k, v in x.items() if k != "instructions"} for x in core["layers"]]
        assert shapes == [asdict(layer) for layer in work], STALE


def test_layers_add_up_to_the_network() -> None:
    for core in cores().values():
        total = sum(layer["instructions"] for layer in core["layers"])
        assert total == pytest.approx(core["instructions"]["network_per_window"], rel=0.001)


def test_the_measured_network_is_derived_from_itself() -> None:
    work = layer_work(read_tflite((packaged_student() / TFLITE_NAME).read_bytes()))
    for core in emulator.CORES:
        network, score, vote = recorded.recorded_window(core)
        assert recorded.network_per_window(core, work) == pytest.approx(network, rel=0.02)
        assert 0 < score < network
        assert vote == recorded.vote_per_window(core)


@pytest.mark.parametrize("core", emulator.CORES, ids=lambda core: core.title)
def test_it_is_of_this_library(core: emulator.Core, tmp_path: Path) -> None:
    """Another compiler may differ slightly; the same one gives the same counts."""
    need(core)
    counted = count(core, packaged_student(), tmp_path)
    kept = cores()[core.title]
    same = tools.run(core.compiler, "--version").splitlines()[0] == kept["compiler"]
    for part, expected in kept["instructions"].items():
        # Other weights of the same network clamp other values.
        tolerance = 0.01 if same else 0.15
        assert counted.counts[part] == pytest.approx(expected, rel=tolerance, abs=3), STALE


@pytest.mark.parametrize("core", boards.COUNTED, ids=lambda core: core.title)
@pytest.mark.parametrize("student", ["reference_tflite", "residual_tflite"])
def test_other_networks_are_near_what_is_derived(
    student: str, core: emulator.Core, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    need(core)
    tflite = request.getfixturevalue(student)
    changes: dict[str, Any] = {}
    if student == "residual_tflite":
        changes = {"outputs": ("a", "b", "c", "d"), "cry_outputs": (1,)}
    export_c(tflite, manifest_for(tflite, **changes), tmp_path / "model")
    counted = emulator.count(core, tmp_path / "model", FIRMWARE, tmp_path / "build")
    derived = recorded.network_per_window(core, layer_work(read_tflite(tflite)))
    # A vector that is not full takes as long.
    near = 0.15 if core == emulator.CORTEX_M55 else 0.1
    assert derived == pytest.approx(counted.counts["network_per_window"], rel=near)


def need(core: emulator.Core) -> None:
    if missing := sorted(tool for tool in core.tools if shutil.which(tool) is None):
        pytest.skip(f"needs {', '.join(missing)} (firmware/install-emulators.sh)")


def count(core: emulator.Core, student: Path, folder: Path) -> emulator.Counted:
    tflite, manifest = (student / TFLITE_NAME).read_bytes(), load_manifest(student / MANIFEST_NAME)
    export_c(tflite, manifest, folder / "model")
    return emulator.count(core, folder / "model", FIRMWARE, folder / "build")
