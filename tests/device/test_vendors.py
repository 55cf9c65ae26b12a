"""What is handed to vendors' kernels, and the scratch memory it gets."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.student_fixtures import manifest_for
from typer.testing import CliRunner

from crydistill.cli import app
from crydistill.device import vendors
from crydistill.device.c_arena import ArenaPlan, plan_arena
from crydistill.device.export import export_c
from crydistill.device.geometry import Window, window_of
from crydistill.device.library import firmware_directory
from crydistill.device.vendors import OWN, VENDORS, find_vendor
from crydistill.errors import ConfigError
from crydistill.student.manifest import StudentManifest
from crydistill.tflite.file import ALIGNMENT, Operator, TfliteFile, read_tflite

BOTH = pytest.mark.parametrize("kernels", VENDORS)
STUDENTS = pytest.mark.parametrize(
    "student", ["reference_tflite", "residual_tflite", "memory_tflite"]
)


def small_manifest(tflite: bytes) -> StudentManifest:
    return manifest_for(tflite, outputs=("a", "b", "c", "d"), cry_outputs=(1,))


def test_own_kernels_are_no_vendors() -> None:
    assert find_vendor(OWN) is None


def test_an_unknown_vendor_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'ethos' is none of own, cmsis-nn, esp-nn"):
        find_vendor("ethos")


def alive(file: TfliteFile, plan: ArenaPlan, position: int) -> list[tuple[int, int]]:
    """Places of the tensors that an operator reads or writes, and of those that others want later,
    as start and end."""
    wanted = {file.outputs[0]} if position == len(file.operators) - 1 else set()
    made = set(file.inputs)
    for i, operator in enumerate(file.operators):
        if i <= position:
            made.update(operator.outputs)
        if i >= position:
            wanted.update(operator.inputs)
        if i == position:
            wanted.update(operator.outputs)
    return [
        (plan.offsets[index], plan.offsets[index] + file.tensors[index].size)
        for index in made & wanted
        if index in plan.offsets
    ]


@BOTH
@STUDENTS
def test_scratch_memory_overlaps_with_nothing(
    student: str, kernels: str, request: pytest.FixtureRequest
) -> None:
    file, vendor = read_tflite(request.getfixturevalue(student)), VENDORS[kernels]
    sizes = vendor.scratch(file)
    plan = plan_arena(file, sizes)
    assert plan.scratch.keys() == {position for position, size in sizes.items() if size}
    assert plan.scratch
    for position, start in plan.scratch.items():
        end = start + sizes[position]
        assert start % ALIGNMENT == 0
        assert plan.memory_bytes <= start < end <= plan.size
        places = alive(file, plan, position)
        assert places
        for first, last in places:
            assert end <= first or last <= start


@BOTH
@STUDENTS
def test_scratch_memory_costs_nothing_without_vendor(
    student: str, kernels: str, request: pytest.FixtureRequest
) -> None:
    file = read_tflite(request.getfixturevalue(student))
    plan = plan_arena(file)
    assert not plan.scratch
    more = plan_arena(file, VENDORS[kernels].scratch(file))
    assert plan.size <= more.size <= plan.size + max(VENDORS[kernels].scratch(file).values()) + 15


@BOTH
def test_the_exported_student_names_the_adapters_functions(
    kernels: str, residual_tflite: bytes, tmp_path: Path
) -> None:
    made = export_c(residual_tflite, small_manifest(residual_tflite), tmp_path, kernels=kernels)
    adapter = VENDORS[kernels].adapter
    model = (tmp_path / "crydistill_model.c").read_text(encoding="utf-8")
    header = (firmware_directory() / "adapters" / f"{adapter}.h").read_text(encoding="utf-8")
    used = set(re.findall(rf"\b{adapter}_\w+", model))
    assert used == set(re.findall(rf"\b{adapter}_\w+", header))
    assert f'#include "{adapter}.h"\n' in model
    assert f".add = {adapter}_add,\n" in model
    assert ".pad = crydistill_pad_2d,\n" in model
    own = export_c(residual_tflite, small_manifest(residual_tflite), tmp_path)
    assert made.arena_bytes > own.arena_bytes
    assert made.constant_bytes > own.constant_bytes


@BOTH
def test_the_same_student_gives_the_same_files(
    kernels: str, residual_tflite: bytes, tmp_path: Path
) -> None:
    texts = []
    for name in ("a", "b"):
        made = export_c(
            residual_tflite, small_manifest(residual_tflite), tmp_path / name, kernels=kernels
        )
        texts.append([path.read_bytes() for path in made.files])
        longest = max(len(line) for path in made.files for line in path.open(encoding="utf-8"))
        assert longest <= 101
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"channels": 7}, "AVERAGE_POOL_2D"),
        ({"dilation_width": 2}, "CONV_2D"),
        ({"dilation_height": 2}, "DEPTHWISE_CONV_2D"),
    ],
)
def test_what_esp_nn_does_not_compute_stays(
    change: dict[str, int], kind: str, residual_tflite: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pools of other channels than fours, and dilation."""
    file, vendor = read_tflite(residual_tflite), VENDORS["esp-nn"]
    ones = [i for i, operator in enumerate(file.operators) if operator.name == kind]
    plan = plan_arena(file, vendor.scratch(file))
    assert set(ones) <= vendor.handovers(file, plan).keys()

    def changed(file: TfliteFile, operator: Operator) -> Window:
        window = window_of(file, operator)
        return replace(window, **change) if operator.name == kind else window

    monkeypatch.setattr(vendors, "window_of", changed)
    handed = vendor.handovers(file, plan)
    assert not set(ones) & handed.keys()
    assert handed
    assert [line for line in vendor.notes(file) if "stays" in line] == [
        f"layer {position} ({kind}): stays with the C library's own kernel" for position in ones
    ]


def exported(kernels: str, directory: Path, *options: str) -> list[str]:
    words = ["export", "c", str(directory), "--kernels", kernels, *options]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_the_verb_copies_the_adapter_and_prints_what_to_know(tmp_path: Path) -> None:
    """With the packaged student, whose first layer meets a fault of ESP-NN."""
    lines = exported("esp-nn", tmp_path)
    for name in ("crydistill_esp_nn.c", "crydistill_esp_nn.h", "crydistill.c"):
        assert str(tmp_path / name) in lines
        assert (tmp_path / name).is_file()
    assert any("ESP-NN before 1.2.6, layer 0 (CONV_2D)" in line for line in lines)
    assert any("not on a fast path of ESP-NN: 12 outputs, below 16" in line for line in lines)


def test_the_verb_copies_nothing_of_vendors_unasked(tmp_path: Path) -> None:
    exported("own", tmp_path)
    assert not list(tmp_path.glob("*_nn.*"))
    exported("cmsis-nn", tmp_path / "without", "--no-library")
    assert not list((tmp_path / "without").glob("*_nn.*"))


def test_an_unknown_choice_is_a_usage_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", "c", str(tmp_path), "--kernels", "ethos"])
    assert done.exit_code == 2
