"""From clips to a student with memory, with both real teachers, on the synthetic nursery."""

import json
from pathlib import Path

import numpy as np
import pytest

from crydistill.audio.windows import windows
from crydistill.errors import CorpusError, StoreError
from crydistill.evaluation.scorers import student_networks
from crydistill.experiment.load import load_config
from crydistill.run_directory import RunDirectory
from crydistill.stages.context import Context
from crydistill.stages.run import run_all
from crydistill.stages.score import score
from crydistill.stages.select import select
from crydistill.stages.streams import scored_streams
from crydistill.student.manifest import load_manifest

pytestmark = [pytest.mark.shared, pytest.mark.slow]

CONFIG = """
data:
  train: [{nursery_seed: 1, where: {split: train}}]
  test: [{nursery_seed: 1, where: {split: test}}]
  streams: {streams: 6}
teacher:
  path: SHARED/teacher/yamnet_rebuilt.h5
  memory: SHARED/teacher/efficientat_mn04_as.pt
student:
  architecture: crynet
  options: {stem: 16, stem_kernel: 7, stem_stride: 4, stages: [[32, 2]]}
  outputs: {cry: [/m/0463cq4, /t/dd00002]}
  memory: {windows: 4, embedding: 6, hidden: 8}
training:
  loss: sigmoid_bce
  epochs: 6
  batch_size: 32
  memory: {epochs: 2, length: 12, stretches: 8}
quantization: {calibration_windows: 100}
evaluation: {replicates: 100, episodes: 6}
"""


def opened(directory: Path, *overrides: str) -> Context:
    config = directory / "small.yaml"
    loaded = load_config(config, [f"stores={directory / 'stores'}", *overrides])
    run = RunDirectory(directory / "runs" / loaded.name)
    run.start(loaded)
    said: list[str] = []
    return Context(loaded, run, say=said.append)


@pytest.fixture(scope="module")
def finished(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Context:
    directory = tmp_path_factory.mktemp("memory")
    (directory / "small.yaml").write_text(CONFIG.replace("SHARED", str(shared)))
    made = opened(directory)
    run_all(made)
    return made


def test_the_student_remembers(finished: Context) -> None:
    manifest = load_manifest(finished.run.manifest)
    assert manifest.memory is not None
    assert (manifest.memory.windows, manifest.memory.size) == (4, 6)
    assert manifest.memory_teacher is not None
    assert manifest.memory_teacher.name == "efficientat_mn04_as, 5 s"
    assert set(manifest.presets) == {"sensitive", "balanced", "quiet"}
    alone = json.loads(finished.run.without_memory.read_text())
    assert 0 <= alone["caught_0.25_per_hour"] <= alone["caught_1_per_hour"] <= 1
    selection = json.loads(finished.run.selection.read_text())
    assert selection["stream_windows"] == len(scored_streams(finished).pool)


def test_int8_and_fp32_hear_a_stream_alike(finished: Context) -> None:
    fp32, int8 = student_networks(finished.run.path)
    streams = scored_streams(finished)
    frames = streams.pool.stores[0].frames(streams.pool.clips[0].id)
    patches = windows(np.asarray(frames, dtype=np.float32))
    scores = [network.listener().push(patches) for network in (fp32, int8)]
    assert np.corrcoef(*scores)[0, 1] > 0.98


def test_every_window_of_the_streams_has_both_teachers_scores(finished: Context) -> None:
    streams = scored_streams(finished)
    assert len(streams.files) == 6
    assert len(streams.context) == len(streams.pool)
    assert np.isfinite(streams.context).all()
    cry = streams.pool.cry_scores > 0.5
    assert streams.context[cry].mean() > streams.context[~cry].mean() + 1


def test_the_streams_are_opened_once(finished: Context) -> None:
    assert scored_streams(finished) is scored_streams(finished)


def test_a_second_run_has_nothing_to_do(finished: Context) -> None:
    again = opened(finished.run.path.parents[1])
    run_all(again)
    assert sum("already" in line or "up to date" in line for line in again.say.__self__) >= 5


def test_streams_must_be_scored_before_they_train(finished: Context) -> None:
    others = opened(finished.run.path.parents[1], "data.streams.seed=5", "name=others")
    with pytest.raises(StoreError, match="have not been scored; run `crydistill score"):
        select(others)


def test_the_teacher_with_context_must_be_there(finished: Context) -> None:
    missing = opened(finished.run.path.parents[1], "teacher.memory=nowhere.pt", "name=missing")
    with pytest.raises(CorpusError, match=r"nowhere\.pt: no such teacher file"):
        score(missing)
