import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.feedback.toys import cries, put, student, toy

from crydistill import atomic
from crydistill.audio.mel import MelStream
from crydistill.audio.windows import windows
from crydistill.detector.clip_folder import LABELS_NAME, ClipLabel
from crydistill.detector.settings import vote_settings
from crydistill.errors import ConfigError, CorpusError, ModelError
from crydistill.feedback.adapt import BEFORE_NAME, adapt, undo, write_adapted
from crydistill.feedback.learn import Figures, Learned, Means
from crydistill.publish.guard import Rule, scan
from crydistill.student.manifest import MANIFEST_NAME, TFLITE_NAME
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.check import check_tflite


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two toys, a cry, a damaged clip and one that nobody reviewed."""
    folder = tmp_path_factory.mktemp("clips")
    for seed in range(2):
        put(folder, f"alert-{seed}.wav", toy(seed), ClipLabel.NOT_A_CRY)
    put(folder, "alert-8.wav", cries()[0], ClipLabel.CRY)
    put(folder, "near-1.wav", toy(3))
    put(folder, "near-3.wav", toy(5)[:18_000], ClipLabel.NOT_A_CRY)
    damaged = put(folder, "near-2.wav", toy(4), ClipLabel.NOT_A_CRY)
    damaged.write_bytes(b"RIFF" + damaged.read_bytes()[100:130])
    return folder


@pytest.fixture(scope="module")
def adapted(reviewed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("adapted") / "student"
    done = adapt(reviewed, student(), out, preset="balanced")
    assert done.learned.means is Means.REFIT
    assert done.clips == {ClipLabel.CRY: 1, ClipLabel.NOT_A_CRY: 2}
    assert sorted(done.unreadable) == ["near-2.wav", "near-3.wav"]
    assert "too short to learn from" in done.unreadable["near-3.wav"]
    return out


def test_an_adapted_student_is_one_like_any_other(adapted: Path) -> None:
    after = TfliteStudent.load(adapted)
    assert replace(after.facts, sha256=student().facts.sha256) == student().facts
    manifest, original = after.manifest, student().manifest
    assert manifest.tflite.sha256 != original.tflite.sha256
    assert manifest.tflite.size_bytes == original.tflite.size_bytes
    assert manifest.adaptation is not None
    assert manifest.adaptation.original_sha256 == original.tflite.sha256
    assert (manifest.adaptation.cries, manifest.adaptation.not_cries) == (1, 2)
    assert manifest.presets["balanced"].threshold == original.presets["balanced"].threshold
    assert manifest.presets["balanced"].recall is None


@pytest.mark.slow
def test_tflite_micro_runs_it_as_litert_does(adapted: Path) -> None:
    patches = windows(MelStream().push(toy(0)))
    check_tflite(adapted / TFLITE_NAME, patches)


def test_it_may_not_be_published(adapted: Path) -> None:
    assert TfliteStudent.load(adapted).manifest.training.private
    findings = scan(adapted / MANIFEST_NAME)
    assert Rule.PRIVATE_MODEL in {finding.rule for finding in findings}
    assert Rule.PRIVATE_MODEL not in {one.rule for one in scan(packaged_student())}


def test_it_lies_outside_repositories(reviewed: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(CorpusError, match="adapted to private sound"):
        adapt(reviewed, student(), tmp_path / "out", preset="balanced")


def test_undoing_puts_the_original_back(adapted: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(adapted, tmp_path / "student"))
    assert undo(out)
    assert (out / TFLITE_NAME).read_bytes() == student().tflite
    assert TfliteStudent.load(out).manifest == student().manifest
    assert not undo(out)


def test_a_run_killed_between_two_files_is_undone_too(adapted: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(adapted, tmp_path / "student"))
    (out / TFLITE_NAME).write_bytes(student().tflite)
    with pytest.raises(ModelError, match="must come from the same run"):
        TfliteStudent.load(out)
    assert undo(out)
    assert TfliteStudent.load(out).manifest == student().manifest


def test_a_first_run_killed_between_two_files_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*arguments: object) -> None:
        raise KeyboardInterrupt

    put(tmp_path / "clips", "alert-1.wav", toy(0))
    out, vote = tmp_path / "out", vote_settings(student().manifest, "balanced")
    figures = Figures(1, 1.0, 1.0, 0, None, None)
    learned = Learned(Means.VOTE, None, vote, figures, figures)
    counts = dict.fromkeys(ClipLabel, 1)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(atomic, "write_bytes", kill)
        write_adapted(out, student(), learned, "balanced", counts, None)
    assert any(out.rglob("*.json"))
    done = adapt(tmp_path / "clips", student(), out, preset="balanced")
    assert done.learned.means is Means.NOTHING


def test_without_labels_nothing_is_written(tmp_path: Path) -> None:
    put(tmp_path / "clips", "alert-1.wav", toy(0))
    done = adapt(tmp_path / "clips", student(), tmp_path / "out", preset="balanced")
    assert done.learned.means is Means.NOTHING
    assert not (tmp_path / "out").exists()


def test_an_adapted_student_is_not_adapted_again(
    adapted: Path, reviewed: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="was adapted already"):
        adapt(reviewed, TfliteStudent.load(adapted), tmp_path / "out", preset="balanced")


def test_nothing_else_is_overwritten(reviewed: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something else"):
        adapt(reviewed, student(), tmp_path, preset="balanced")
    with pytest.raises(ConfigError, match="is a file"):
        adapt(reviewed, student(), tmp_path / "notes.txt", preset="balanced")
    with pytest.raises(ConfigError, match="not written by"):
        undo(tmp_path)


def test_damaged_labels_stop_it(reviewed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(reviewed, tmp_path / "clips"))
    (folder / LABELS_NAME).write_text("clip,label\nalert-1.wav,cr")
    with pytest.raises(ConfigError, match=r"labels\.csv:2"):
        adapt(folder, student(), tmp_path / "out", preset="balanced")


def test_a_student_without_memory_changes_its_threshold(student_dir: Path, tmp_path: Path) -> None:
    """Whatever an untrained student takes for a cry, one of its thresholds silences it."""
    manifest = json.loads((student_dir / MANIFEST_NAME).read_text())
    manifest["presets"] = {"balanced": {"threshold": 0.0, "n": 2, "m": 3, "hold_seconds": 10.0}}
    (student_dir / MANIFEST_NAME).write_text(json.dumps(manifest))
    plain = TfliteStudent.load(student_dir)
    put(tmp_path / "clips", "alert-1.wav", toy(0), ClipLabel.NOT_A_CRY)
    done = adapt(tmp_path / "clips", plain, tmp_path / "out", preset="balanced")
    assert done.learned.means is Means.VOTE
    assert "no memory" in done.learned.why
    after = TfliteStudent.load(tmp_path / "out")
    assert after.tflite == plain.tflite
    assert after.manifest.presets["balanced"].threshold > 0
    assert (tmp_path / "out" / BEFORE_NAME / TFLITE_NAME).read_bytes() == plain.tflite
