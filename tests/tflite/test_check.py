import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tflite.editing import Edit, damaged, edited, structure_bytes

from crydistill.audio.files import read_audio
from crydistill.audio.mel import LogMel, log_mel
from crydistill.audio.windows import windows
from crydistill.errors import CheckFailed, MissingExtraError, ModelError
from crydistill.tflite.check import SIZE_LIMIT, check_tflite, inspect_tflite
from crydistill.tflite.interpreters import Int8, LiteRt, TfliteMicro

needs_tflite_micro = pytest.mark.skipif(
    find_spec("tflite_micro") is None, reason="needs Google's TFLite Micro interpreter"
)


def io(position: int, **changes: object) -> Edit:
    """Change the network's input (0) or output (-1)."""

    def edit(model: object) -> None:
        graph = model.subgraphs[0]  # type: ignore[attr-defined]
        port = graph.tensors[(graph.inputs if position == 0 else graph.outputs)[0]]
        for key, value in changes.items():
            setattr(port, key, value)

    return edit


def test_facts_of_the_reference_student(reference_tflite: bytes, tmp_path: Path) -> None:
    path = tmp_path / "student.tflite"
    path.write_bytes(reference_tflite)
    facts = inspect_tflite(path)
    assert facts == inspect_tflite(reference_tflite)
    assert facts.size_bytes == len(reference_tflite)
    assert facts.macs == sum(layer.macs for layer in facts.layers) == 1_171_072
    assert facts.aligned
    assert facts.min_runtime == "1.14.0"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (io(0, type=0), "input: float32, not int8"),
        (io(-1, type=0), "output: float32, not int8"),
        (io(0, shape=[1, 64, 96, 1]), r"the input has shape \(1, 64, 96, 1\)"),
        (io(-1, shape=[521]), r"the output has shape \(521,\)"),
        (io(-1, shape=[1, 520]), "the file states"),
        (io(0, quantization=None), "0 scales, not one"),
        (lambda m: m.subgraphs[0].inputs.clear(), "0 inputs and 1 outputs"),
        (lambda m: m.subgraphs[0].outputs.append(0), "1 inputs and 2 outputs"),
        (lambda m: m.subgraphs.append(m.subgraphs[0]), "2 subgraphs"),
        (lambda m: setattr(m.operatorCodes[0], "builtinCode", 14), "operator LOGISTIC is not one"),
    ],
)
def test_refuses_what_is_no_student(reference_tflite: bytes, edit: Edit, message: str) -> None:
    def listed(model: object) -> None:
        graph = model.subgraphs[0]  # type: ignore[attr-defined]
        graph.inputs, graph.outputs = list(graph.inputs), list(graph.outputs)
        edit(model)

    with pytest.raises(ModelError, match=message) as caught:
        inspect_tflite(edited(reference_tflite, listed))
    assert "\n" not in str(caught.value)


def test_refuses_oversize(reference_tflite: bytes, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the model: larger than 90,000 bytes"):
        inspect_tflite(reference_tflite, size_limit=90_000)
    path = tmp_path / "large.tflite"
    path.write_bytes(reference_tflite + bytes(SIZE_LIMIT))
    with pytest.raises(ModelError, match=r"large\.tflite: larger than 110,000 bytes"):
        inspect_tflite(path)


def test_reads_no_more_than_the_limit_of_a_huge_file(tmp_path: Path) -> None:
    path = tmp_path / "huge.tflite"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="larger than"):
        inspect_tflite(path)


def test_alignment_can_be_required(reference_tflite: bytes) -> None:
    # Repacked by the stock schema, constants are not aligned.
    loose = edited(reference_tflite, lambda m: setattr(m, "description", "x" * 4))
    assert not inspect_tflite(loose).aligned
    with pytest.raises(ModelError, match="multiples of 16"):
        inspect_tflite(loose, aligned=True)


@pytest.mark.parametrize("name", ["missing.tflite", "."])
def test_unreadable_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        inspect_tflite(tmp_path / name)


@pytest.mark.shared
def test_refuses_the_official_tflite_yamnet(shared: Path) -> None:
    path = shared / "teacher" / "yamnet_relu6_int8.tflite"
    with pytest.raises(ModelError, match="larger than 110,000 bytes"):
        inspect_tflite(path)
    with pytest.raises(ModelError, match=r"operator \w+ is not one of"):
        inspect_tflite(path, size_limit=10_000_000)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(length=st.integers(0, 95_000))
def test_truncated_file_is_refused(reference_tflite: bytes, length: int) -> None:
    with pytest.raises(ModelError):
        inspect_tflite(reference_tflite[:length])


RUN_ALL = """
import sys, pathlib, numpy as np
from crydistill.errors import CrydistillError
from crydistill.tflite.interpreters import Kernels, LiteRt, TfliteMicro
windows = np.arange(96 * 64, dtype=np.uint8).astype(np.int8).reshape(1, 96, 64)
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.tflite")):
    data = path.read_bytes()
    networks = [lambda k=k: LiteRt(data, k) for k in Kernels]
    for network in [*networks, lambda: TfliteMicro(data, 1 << 20)]:
        try:
            network().run(windows)
        except CrydistillError:
            pass
"""


@pytest.mark.parametrize("student", ["residual_tflite", "memory_tflite"])
def test_what_passes_inspection_crashes_no_interpreter(
    student: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    intact: bytes = request.getfixturevalue(student)
    positions = structure_bytes(intact)
    accepted = []
    for seed in range(600):
        data = damaged(intact, positions, seed)
        try:
            inspect_tflite(data)
        except ModelError:
            continue
        accepted.append(data)
    assert len(accepted) > 30
    for number, data in enumerate(accepted):
        (tmp_path / f"{number}.tflite").write_bytes(data)
    # In a subprocess: a native crash would end this one.
    command = [sys.executable, "-c", RUN_ALL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_tflite_micro
def test_report_of_the_reference_student(reference_tflite: bytes, patches: LogMel) -> None:
    report = check_tflite(reference_tflite, patches)
    assert report.windows == 200
    assert report.largest_difference <= 1
    assert report.differing < 0.01
    assert report.arena_bytes == 43_168
    content = json.loads(report.to_json())
    assert content["facts"]["size_bytes"] == len(reference_tflite)
    assert content["arena_bytes"] == 43_168


@needs_tflite_micro
@pytest.mark.shared
def test_device_and_litert_agree_on_real_audio(shared: Path, reference_tflite: bytes) -> None:
    recordings = sorted((shared / "audio" / "dev").rglob("*.opus"))[::40]
    real = np.concatenate([windows(log_mel(read_audio(p).samples)) for p in recordings])
    chosen = real[np.linspace(0, len(real) - 1, 200).astype(int)]
    assert check_tflite(reference_tflite, chosen).largest_difference <= 1


@needs_tflite_micro
def test_check_lists_all_that_failed(reference_tflite: bytes, patches: LogMel) -> None:
    loose = edited(reference_tflite, lambda m: setattr(m, "description", "x" * 4))
    with pytest.raises(CheckFailed) as caught:
        check_tflite(loose, patches[:2], size_limit=1_000, name="mine")
    assert str(caught.value).startswith("mine: ")
    assert "more than 1,000" in str(caught.value)
    assert "multiples of 16" in str(caught.value)


@needs_tflite_micro
def test_check_fails_on_a_foreign_file(patches: LogMel) -> None:
    with pytest.raises(CheckFailed, match=r"not a \.tflite"):
        check_tflite(b"something else", patches)


@needs_tflite_micro
def test_check_fails_where_device_and_litert_disagree(
    monkeypatch: pytest.MonkeyPatch, reference_tflite: bytes, patches: LogMel
) -> None:
    def two_steps_off(self: LiteRt, values: Int8) -> Int8:
        exact = TfliteMicro(reference_tflite, 1 << 20).run(values)
        return np.where(exact > 0, exact - 2, exact + 2).astype(np.int8)

    monkeypatch.setattr(LiteRt, "run", two_steps_off)
    with pytest.raises(CheckFailed, match="differ by 2 steps, more than 1"):
        check_tflite(reference_tflite, patches[:2])


@needs_tflite_micro
def test_check_follows_a_memory_over_a_stream(memory_tflite: bytes, patches: LogMel) -> None:
    report = check_tflite(memory_tflite, patches)
    assert report.largest_difference <= 2
    assert report.largest_memory_difference is not None
    assert report.largest_memory_difference <= 1


@needs_tflite_micro
def test_check_fails_where_memories_part(
    monkeypatch: pytest.MonkeyPatch, memory_tflite: bytes, patches: LogMel
) -> None:
    honest = LiteRt._invoke

    def forgetful(self: LiteRt, inputs: list[Int8]) -> list[Int8]:
        logits, memory = honest(self, inputs)
        return [logits, np.full_like(memory, memory.min())]

    monkeypatch.setattr(LiteRt, "_invoke", forgetful)
    with pytest.raises(CheckFailed, match="steps in the memory, more than 1"):
        check_tflite(memory_tflite, patches[:20])


@needs_tflite_micro
def test_check_forgets_half_way(
    monkeypatch: pytest.MonkeyPatch, memory_tflite: bytes, patches: LogMel
) -> None:
    def forget_at_the_start_only(self: LiteRt) -> None:
        vars(self).setdefault("_memories", self._empty)

    monkeypatch.setattr(LiteRt, "reset", forget_at_the_start_only)
    with pytest.raises(CheckFailed, match="differ by"):
        check_tflite(memory_tflite, patches[:20])


@needs_tflite_micro
def test_check_needs_patches(reference_tflite: bytes, patches: LogMel) -> None:
    with pytest.raises(ValueError, match="at least one patch"):
        check_tflite(reference_tflite, patches[:0])


def test_check_without_tflite_micro(
    monkeypatch: pytest.MonkeyPatch, reference_tflite: bytes, patches: LogMel
) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        check_tflite(reference_tflite, patches)
