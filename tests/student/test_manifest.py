import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crydistill.errors import ModelError
from crydistill.student.manifest import (
    Arena,
    FrontEnd,
    Int8Calibration,
    Memory,
    ModelFile,
    Port,
    Provenance,
    StudentManifest,
    TeacherInfo,
    ThresholdPreset,
    TrainingData,
    load_manifest,
    save_manifest,
    sha256_of_ids,
)
from crydistill.student.packaged import packaged_student

texts = st.text(max_size=20)
sha256s = st.text("0123456789abcdef", min_size=64, max_size=64)
counts = st.integers(0, 2**40)
positive = st.floats(1e-9, 1e9)


@st.composite
def presets(draw: st.DrawFn) -> ThresholdPreset:
    m = draw(st.integers(1, 30))
    return ThresholdPreset(
        threshold=draw(st.floats(0, 2)),
        n=draw(st.integers(1, m)),
        m=m,
        hold_seconds=draw(st.floats(0, 1e4)),
        recall=draw(st.none() | st.floats(0, 1)),
        false_alarms_per_hour=draw(st.none() | st.floats(0, 1e4)),
        measured_on=draw(st.text(min_size=1)),
    )


@st.composite
def manifests(draw: st.DrawFn) -> StudentManifest:
    names = draw(st.none() | st.lists(texts, min_size=1, max_size=30))
    outputs = 521 if names is None else len(names)
    indices = st.lists(st.integers(0, outputs - 1), min_size=1, max_size=5, unique=True)
    zero_points = st.integers(-128, 127)
    return StudentManifest(
        name=draw(st.text(min_size=1)),
        architecture=draw(texts),
        tflite=ModelFile(sha256=draw(sha256s), size_bytes=draw(st.integers(1, 2**31))),
        front_end=FrontEnd(),
        input=Port(shape=(1, 96, 64, 1), scale=draw(positive), zero_point=draw(zero_points)),
        output=Port(shape=(1, outputs), scale=draw(positive), zero_point=draw(zero_points)),
        memory=draw(
            st.none()
            | st.builds(
                Memory.of,
                shape=st.tuples(st.just(1), st.integers(1, 99), st.integers(1, 99)),
                scale=positive,
                zero_point=zero_points,
            )
        ),
        activation=draw(st.sampled_from(["softmax", "sigmoid"])),
        outputs="yamnet-521" if names is None else tuple(names),
        cry_outputs=tuple(draw(indices)),
        ops=draw(st.dictionaries(texts, counts, max_size=5)),
        macs=draw(counts),
        parameters=draw(counts),
        arena=draw(
            st.none()
            | st.builds(
                Arena,
                size_bytes=st.integers(1, 2**31),
                tflite_micro=texts,
                host_bits=st.sampled_from([32, 64]),
            )
        ),
        presets=draw(st.dictionaries(texts, presets(), max_size=3)),
        training=TrainingData(
            summary=draw(texts),
            licences=draw(st.dictionaries(texts, counts, max_size=3)),
            private=draw(st.booleans()),
        ),
        teacher=TeacherInfo(name=draw(texts), sha256=draw(sha256s)),
        calibration=Int8Calibration(
            corpus=draw(texts),
            split=draw(texts),
            windows=draw(st.integers(1, 2**31)),
            ids_sha256=draw(sha256s),
        ),
        provenance=Provenance(
            package_version=draw(texts),
            git_commit=draw(st.none() | texts),
            config_sha256=draw(sha256s),
            seed=draw(counts),
        ),
        minimum_runtimes=draw(st.dictionaries(texts, texts, max_size=3)),
    )


@given(manifests())
def test_json_round_trip(manifest: StudentManifest) -> None:
    assert StudentManifest.model_validate_json(manifest.model_dump_json()) == manifest


@given(manifest=manifests())
def test_file_round_trip(
    tmp_path_factory: pytest.TempPathFactory, manifest: StudentManifest
) -> None:
    path = tmp_path_factory.mktemp("manifest") / "student.json"
    save_manifest(path, manifest)
    assert load_manifest(path) == manifest


@given(st.binary(max_size=200))
def test_any_bytes_give_one_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("manifest") / "student.json"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        load_manifest(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(colour="red"), "colour: "),
        (lambda m: m["input"].update(colour="red"), "input.colour: "),
        (lambda m: m.pop("macs"), "macs: "),
        (lambda m: m.update(format_version=3), "format_version: "),
        (lambda m: m["tflite"].update(sha256="12"), "tflite.sha256: "),
        (lambda m: m.update(activation="relu"), "activation: "),
        (lambda m: m.update(cry_outputs=[521]), "cry_outputs"),
        (lambda m: m.update(cry_outputs=[19, 19]), "cry_outputs"),
        (lambda m: m.update(cry_outputs=[]), "cry_outputs: "),
        (lambda m: m.update(outputs=["cry", "other"]), "outputs names 2 classes"),
        (lambda m: m["input"].update(scale=0), "input.scale: "),
        (lambda m: m["presets"]["default"].update(n=10), "n is 10"),
        (lambda m: m["presets"]["default"].update(recall=0.9), "measured_on"),
        (lambda m: m["presets"]["default"].update(threshold=-1), "presets.default.threshold: "),
    ],
)
def test_fault_is_named_with_file_and_field(
    student_dir: Path, change: Change, message: str
) -> None:
    path = student_dir / "student.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError) as caught:
        load_manifest(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        load_manifest(tmp_path / "student.json")


def test_ids_fingerprint_depends_on_order_and_on_where_ids_end() -> None:
    prints = {sha256_of_ids(ids) for ids in (["a", "b"], ["b", "a"], ["ab"], ["a"], [])}
    assert len(prints) == 5


def test_light_modules_import_no_tensorflow() -> None:
    code = (
        "import sys, crydistill.student.manifest, crydistill.student.runtime;"
        "heavy = {'tensorflow', 'keras', 'tflite_micro', 'h5py'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_undeclared_also_of_manifests_from_before_it_was_said() -> None:
    declared = TrainingData(summary="tapes: 12 clips", licences={"MIT": 12}, private=False)
    assert declared.all_undeclared == {}
    former = declared.model_copy(update={"licences": {"MIT": 5, "not stated": 7}})
    assert former.all_undeclared == {"tapes": 7}
    named = former.model_copy(update={"undeclared": {"attic": 9}})
    assert named.all_undeclared == {"attic": 9}


def test_the_packaged_manifest_reads_and_writes_the_same_bytes(tmp_path: Path) -> None:
    path = packaged_student() / "student.json"
    manifest = load_manifest(path)
    assert manifest.training.all_undeclared == {}
    save_manifest(tmp_path / "student.json", manifest)
    assert (tmp_path / "student.json").read_bytes() == path.read_bytes()


class TestMemory:
    MEMORY = Memory.of((1, 12, 16), 0.1, -128)

    def with_memory(self, **changes: Any) -> dict[str, Any]:
        content = load_manifest(packaged_student() / "student.json").model_dump(mode="json")
        memory = {**self.MEMORY.model_dump(mode="json"), **changes}
        return {**content, "format_version": 2, "memory": memory}

    def test_says_what_a_caller_has_to_know(self) -> None:
        assert self.MEMORY.port == Port(shape=(1, 12, 16), scale=0.1, zero_point=-128)
        assert self.MEMORY.warm_up_windows == 12
        assert self.MEMORY.warm_up_seconds == 5.76
        assert (self.MEMORY.start, self.MEMORY.gap) == ("zero_point", "reset")

    def test_version_2_is_that_of_students_with_memory(self, tmp_path: Path) -> None:
        content = self.with_memory()
        manifest = StudentManifest.model_validate(content)
        assert manifest.format_version == 2
        save_manifest(tmp_path / "student.json", manifest)
        assert load_manifest(tmp_path / "student.json") == manifest
        del content["format_version"]
        assert StudentManifest.model_validate(content) == manifest

    def test_a_manifest_without_memory_is_written_as_before(self, tmp_path: Path) -> None:
        content = self.with_memory() | {"format_version": 1}
        del content["memory"]
        save_manifest(tmp_path / "student.json", StudentManifest.model_validate(content))
        assert json.loads((tmp_path / "student.json").read_text()) == content

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"format_version": 1}, "format_version 1 does not go with a memory"),
            ({"memory": None}, "format_version 2 does not go without memory"),
            ({"format_version": 3}, "format_version"),
        ],
    )
    def test_another_version_is_refused(
        self, tmp_path: Path, changes: dict[str, Any], message: str
    ) -> None:
        (tmp_path / "student.json").write_text(json.dumps(self.with_memory() | changes))
        with pytest.raises(ModelError, match=message):
            load_manifest(tmp_path / "student.json")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"warm_up_windows": 11}, "the warm-up of 12 windows is 5.76 s"),
            ({"warm_up_seconds": 6.0}, "the warm-up of 12 windows is 5.76 s"),
            ({"gap": "keep"}, "gap"),
            ({"start": "random"}, "start"),
            ({"windows": 0}, "windows"),
            ({"zero_point": 128}, "zero_point"),
            ({"length": 3}, "length"),
        ],
    )
    def test_what_a_caller_would_run_wrongly_is_refused(
        self, tmp_path: Path, changes: dict[str, Any], message: str
    ) -> None:
        (tmp_path / "student.json").write_text(json.dumps(self.with_memory(**changes)))
        with pytest.raises(ModelError, match=message):
            load_manifest(tmp_path / "student.json")
