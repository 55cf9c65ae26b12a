"""End-to-end runs from audio to report, on the synthetic nursery and on real recordings."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from crydistill.cli import app
from crydistill.corpora.clip import Label
from crydistill.errors import ConfigError, CorpusError
from crydistill.experiment.load import load_config
from crydistill.run_directory import RunDirectory
from crydistill.settings import private_dir
from crydistill.stages.context import Context
from crydistill.stages.evaluate import TAUGHT, evaluate
from crydistill.stages.quantize import quantize
from crydistill.stages.run import run_all
from crydistill.stages.score import score
from crydistill.stages.select import select, train_pool
from crydistill.stages.train import train
from crydistill.student.manifest import load_manifest
from crydistill.student.runtime import TfliteStudent

QUICK = ["training.epochs=2", "evaluation.replicates=100", "quantization.calibration_windows=50"]


def context(directory: Path, *overrides: str, config: Path | None = None) -> Context:
    said: list[str] = []
    loaded = load_config(config, [f"stores={directory / 'stores'}", *QUICK, *overrides])
    run = RunDirectory(directory / "runs" / loaded.name)
    run.start(loaded)
    return Context(loaded, run, say=said.append)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Context:
    made = context(tmp_path_factory.mktemp("nursery"))
    run_all(made)
    return made


def test_every_artefact_is_there(finished: Context) -> None:
    run = finished.run
    for path in (
        run.config, run.selection, run.student_fp32, run.student, run.manifest, run.calibration,
        run.check, run.metrics, run.report, run.training / "history.csv",
    ):  # fmt: skip
        assert path.stat().st_size > 0, path
    assert run.student.stat().st_size <= 101_000


def test_the_three_models_are_judged_side_by_side(finished: Context) -> None:
    metrics = json.loads(finished.run.metrics.read_text())
    assert list(metrics["models"]) == ["teacher", "student FP32", "student INT8"]
    assert metrics["provenance"]["teacher"]["name"].endswith("recorded")
    assert metrics["models"]["teacher"]["clip_scores"]["mean"]["metrics"]["roc_auc"]["value"] > 0.9
    agreement = metrics["models"]["student INT8"]["agreement"]
    assert agreement["kl"]["value"] > 0


def test_the_manifest_is_complete(finished: Context) -> None:
    manifest = load_manifest(finished.run.manifest)
    assert manifest.parameters == 80_713
    assert manifest.activation == "softmax"
    assert manifest.arena is not None
    assert set(manifest.presets) == {"sensitive", "balanced", "quiet"}
    thresholds = [manifest.presets[name].threshold for name in ("sensitive", "balanced", "quiet")]
    assert thresholds == sorted(thresholds)
    assert all(preset.measured_on for preset in manifest.presets.values())


def test_int8_ranges_come_from_training_windows_listed_by_id(finished: Context) -> None:
    with finished.run.calibration.open(newline="") as file:
        rows = list(csv.DictReader(file))
    train = {clip.id for _, clips in finished.splits.train for clip in clips}
    assert len(rows) == 50
    assert {row["clip"] for row in rows} <= train
    assert load_manifest(finished.run.manifest).calibration.windows == 50


def test_int8_and_fp32_say_much_the_same(finished: Context) -> None:
    pool = finished.pool(finished.splits.test)
    indices = np.arange(len(pool))
    patches = pool.patches(indices)
    fp32 = keras.saving.load_model(finished.run.student_fp32).predict(patches[..., None], verbose=0)
    int8 = TfliteStudent.load(finished.run.path).logits(patches)
    assert np.corrcoef(fp32.ravel(), int8.ravel())[0, 1] > 0.99


def test_splits_share_no_group(finished: Context) -> None:
    splits = finished.splits
    groups = [
        {clip.group for _, clips in parts for clip in clips}
        for parts in (splits.train, splits.validation, splits.test)
    ]
    assert all(groups)
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_a_source_that_is_left_out_does_not_train(finished: Context) -> None:
    root = finished.run.path.parents[1]
    alone = {clip.source for clip in train_pool(finished).clips}
    without = context(root, f"selection.leave_out=[{', '.join(alone)}]", "name=without")
    with pytest.raises(CorpusError, match="none of the clips"):
        train_pool(without)
    misspelt = context(root, "selection.leave_out=[nurserie]", "name=misspelt")
    with pytest.raises(ConfigError, match="no training clip has source 'nurserie'; choose from nu"):
        train_pool(misspelt)


HEADED = [
    "name=headed",
    "student.architecture=crynet",
    "student.options={stem: 16, stages: [[16, 1], [32, 2]]}",
    "student.outputs={cry: [/m/0463cq4, /t/dd00002]}",
    "training.loss=sigmoid_bce",
    "training.rival_floor=0.1",
    "training.best_metric=average_precision_top4",
    "selection.hardness=0.5",
]


@pytest.fixture(scope="module")
def cry_headed(finished: Context) -> Context:
    made = context(finished.run.path.parents[1], *HEADED)
    for stage in (select, train, quantize, evaluate):
        stage(made)
    return made


def test_a_student_with_a_cry_head_goes_the_whole_way(cry_headed: Context) -> None:
    manifest = load_manifest(cry_headed.run.manifest)
    assert (manifest.outputs, manifest.cry_outputs) == (("cry",), (0,))
    assert manifest.activation == "sigmoid"
    history = (cry_headed.run.training / "history.csv").read_text().splitlines()
    assert {"val_correlation", "val_average_precision_top4"} <= set(history[0].split(","))


def test_what_it_was_taught_stands_beside_it(cry_headed: Context) -> None:
    """The odds against rivals are evaluated like a model, and differ from the cry score."""
    models = json.loads(cry_headed.run.metrics.read_text())["models"]
    assert list(models) == ["teacher", TAUGHT, "student FP32", "student INT8"]
    correlation = models[TAUGHT]["agreement"]["frame_correlation_cry_windows"]["value"]
    assert 0.3 < correlation < 0.999


def test_an_evaluation_does_without_the_night_where_asked_to(cry_headed: Context) -> None:
    root = cry_headed.run.path.parents[1]
    settings = [f"stores={root / 'stores'}", *QUICK, *HEADED]
    sets = [part for setting in settings for part in ("--set", setting)]
    found = CliRunner().invoke(app, ["evaluate", "--no-night", "--runs", str(root / "runs"), *sets])
    assert found.exit_code == 0, found.output
    assert "the evaluation is up to date" in found.output
    assert not cry_headed.run.night.exists()


def test_qat_of_a_finished_training(cry_headed: Context) -> None:
    """QAT epochs start from the existing student, without training it again."""
    runs = cry_headed.run.path.parent
    shutil.copytree(cry_headed.run.path, runs / "qat")
    before = (runs / "qat/training/last.npz").stat().st_mtime_ns
    made = context(runs.parent, *HEADED, "training.qat={epochs: 1}", "name=qat")
    train(made)
    quantize(made)
    run = made.run
    assert (run.training / "last.npz").stat().st_mtime_ns == before
    assert len((run.training / "qat/history.csv").read_text().splitlines()) == 2
    student = keras.saving.load_model(run.student_fp32)
    assert not any(isinstance(at, keras.layers.BatchNormalization) for at in student.layers)
    ours, theirs = (json.loads(each.run.check.read_text()) for each in (made, cry_headed))
    assert ours["facts"]["ops"] == theirs["facts"]["ops"]
    assert run.student.read_bytes() != cry_headed.run.student.read_bytes()


def test_unfinished_qat_of_a_former_version_is_resumed(cry_headed: Context) -> None:
    runs = cry_headed.run.path.parent
    shutil.copytree(cry_headed.run.path, runs / "former")
    made = context(runs.parent, *HEADED, "training.qat={epochs: 1}", "name=former")
    train(made)
    training, stages = made.run.training, made.run.path / "stages.json"
    finished = (training / "qat/last.npz").stat().st_mtime_ns
    (training / "qat").rename(training / "aware")
    made.run.student_fp32.unlink()
    text = stages.read_text().replace('"QAT started"', '"aware training started"')
    stages.write_text(text)
    train(made)
    assert made.run.student_fp32.exists()
    assert (training / "qat/last.npz").stat().st_mtime_ns == finished
    assert not (training / "aware").exists()


def modified(run: RunDirectory) -> dict[str, int]:
    names = ("student.keras", "student.tflite", "selection.json", "metrics.json", "report.html")
    return {name: (run.path / name).stat().st_mtime_ns for name in names}


def test_asked_again_it_does_nothing(finished: Context) -> None:
    before = modified(finished.run)
    again = context(finished.run.path.parents[1])
    run_all(again)
    assert modified(again.run) == before


def test_a_change_runs_only_what_depends_on_it(finished: Context, tmp_path: Path) -> None:
    before = modified(finished.run)
    changed = context(finished.run.path.parents[1], "quantization.calibration_windows=60")
    run_all(changed)
    after = modified(changed.run)
    assert after["selection.json"] == before["selection.json"]
    assert after["student.keras"] == before["student.keras"]
    assert after["student.tflite"] > before["student.tflite"]
    assert after["metrics.json"] > before["metrics.json"]


def test_a_stage_alone_refuses_what_another_config_made(finished: Context) -> None:
    other = context(finished.run.path.parents[1], "training.weight_decay=0.5")
    with pytest.raises(ConfigError, match="crydistill train"):
        quantize(other)
    with pytest.raises(ConfigError, match="crydistill quantize"):
        evaluate(other)


@pytest.fixture
def tapes(finished: Context, tmp_path: Path) -> Path:
    """The nursery's sounds as the folder of somebody who says nothing about them, and a config."""
    shutil.copytree(finished.run.path.parents[1] / "stores/nursery-0", tmp_path / "tapes")
    listed = (tmp_path / "tapes/clips.csv").read_text()
    (tmp_path / "tapes/clips.csv").write_text(listed.replace("licence", "kept", 1))
    config = tmp_path / "mine.yaml"
    corpora = {
        split: [{"path": str(tmp_path / "tapes"), "where": {"split": split}}]
        for split in ("train", "validation", "test")
    }
    data = {**corpora, "validation": {"corpora": corpora["validation"]}}
    general = {"description": "openly licensed recordings", "teacher": {"recorded": True}}
    config.write_text(yaml.safe_dump({**general, "data": data}))
    return config


def test_nothing_is_said_of_recordings_that_nobody_said(tapes: Path) -> None:
    made = context(tapes.parent, "training.epochs=1", config=tapes)
    run_all(made)
    training = load_manifest(made.run.manifest).training
    assert training.undeclared == {"tapes": 47}
    assert training.licences == {"not stated": 47}
    assert json.loads(made.run.metrics.read_text())["clips"]["undeclared"] == 20
    report = made.run.report.read_text()
    assert "<h1>mine, trained on tapes (split train)</h1>" in report
    assert "Nobody has declared licence and privacy of some of these clips: tapes (47)" in report
    trained = made.run.student_fp32.stat().st_mtime_ns
    # Declared afterwards, in the config: no training again.
    splits = ("train.0", "validation.corpora.0", "test.0")
    stated = [f"data.{at}.{key}" for at in splits for key in ("licence=MIT", "private=false")]
    declared = context(tapes.parent, "training.epochs=1", *stated, config=tapes)
    run_all(declared)
    assert declared.run.student_fp32.stat().st_mtime_ns == trained
    after = load_manifest(declared.run.manifest)
    assert (after.training.licences, after.training.undeclared) == ({"MIT": 47}, {})
    assert json.loads(declared.run.metrics.read_text())["clips"]["undeclared"] == 0
    assert "Nobody has declared" not in declared.run.report.read_text()
    assert all(preset.measured_on for preset in after.presets.values())


def test_private_rows_train_but_are_not_judged_by(tapes: Path) -> None:
    table = tapes.parent / "tapes/clips.csv"
    rows = list(csv.DictReader(table.open(newline="")))

    def mark(split: str) -> None:
        marked = [{**row, "private": "yes" if row["split"] == split else ""} for row in rows]
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(marked[0]))
            writer.writeheader()
            writer.writerows(marked)

    mark("test")
    with pytest.raises(CorpusError, match=r"tapes: .* is private: use it for training"):
        _ = context(tapes.parent, config=tapes).splits
    mark("train")
    made = context(tapes.parent, config=tapes)
    assert all(clip.private for _, clips in made.splits.train for clip in clips)
    corpus = made.config.data.train[0]
    # The scores lie with those of captures, not beside the run.
    assert made.store_directory(corpus).parent == private_dir()
    assert context(tapes.parent).store_directory(corpus).parent == tapes.parent / "stores"


def test_a_group_on_both_sides_is_refused(tmp_path: Path) -> None:
    clips = "path,label,split,group\na.wav,cry,train,tom\nb.wav,noncry,test,tom\n"
    (tmp_path / "clips.csv").write_text(clips)
    config = tmp_path / "mine.yaml"
    config.write_text(
        f"data:\n"
        f"  train: [{{path: {tmp_path}, where: {{split: train}}}}]\n"
        f"  validation: {{corpora: [{{path: {tmp_path}, where: {{split: test}}}}]}}\n"
        f"  test: [{{path: {tmp_path}, where: {{split: test}}}}]\n"
    )
    with pytest.raises(CorpusError, match="group tom is in both train and validation"):
        _ = context(tmp_path, config=config).splits


def test_without_a_teacher_it_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRYDISTILL_CACHE", str(tmp_path / "cache"))
    with pytest.raises(CorpusError, match="crydistill teacher fetch"):
        score(context(tmp_path, "teacher.recorded=false"))


@pytest.mark.slow
def test_killed_in_training_it_goes_on_to_the_same_student(tmp_path: Path) -> None:
    overrides = ["--set", "training.epochs=4", "--set", "evaluation.replicates=100"]
    command = [sys.executable, "-m", "crydistill", "run", *overrides]

    def start(directory: Path) -> subprocess.Popen[bytes]:
        directory.mkdir(exist_ok=True)
        return subprocess.Popen(command, cwd=directory, stderr=subprocess.DEVNULL)

    process = start(tmp_path / "cut")
    state = tmp_path / "cut/runs/nursery/training/last.npz"
    deadline = time.monotonic() + 300
    while not state.exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert start(tmp_path / "cut").wait() == 0
    assert start(tmp_path / "whole").wait() == 0
    cut, whole = (
        (tmp_path / name / "runs/nursery/student.tflite").read_bytes() for name in ("cut", "whole")
    )
    assert cut == whole


@pytest.mark.shared
@pytest.mark.slow
def test_real_recordings_with_the_real_teacher(shared: Path, tmp_path: Path) -> None:
    """A small subset of the real run: 12 categories of one openly licensed source."""
    config = Path(__file__).parents[2] / "configs" / "real.yaml"
    where = "{source: esc10, split: %s}"
    made = context(
        tmp_path,
        f"data.train.0={{path: {shared / 'audio'}, where: {where % 'train'}}}",
        f"data.test.0={{path: {shared / 'audio'}, where: {where % 'dev'}}}",
        f"teacher.path={shared / 'teacher/yamnet_rebuilt.h5'}",
        f"teacher.also=[{shared / 'teacher/yamnet_relu6_int8.tflite'}]",
        "training.epochs=20",
        "training.batch_size=16",
        config=config,
    )
    run_all(made)
    metrics = json.loads(made.run.metrics.read_text())
    aucs = {
        name: model["clip_scores"]["mean"]["metrics"]["roc_auc"]["value"]
        for name, model in metrics["models"].items()
    }
    assert aucs["teacher"] > 0.97
    assert aucs["student INT8"] > 0.75
    assert all(clip.label is not Label.UNLABELLED for _, c in made.splits.test for clip in c)
