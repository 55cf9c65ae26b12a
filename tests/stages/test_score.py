"""The first stage in shards: downstream finds them, and refuses sets that are not complete."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.teacher.scored import LoudnessTeacher

from crydistill.errors import ConfigError, CorpusError, StoreError
from crydistill.experiment.load import load_config
from crydistill.run_directory import RunDirectory
from crydistill.settings import private_dir
from crydistill.stages.context import Context
from crydistill.stages.score import Division, score
from crydistill.stages.select import select, train_pool
from crydistill.stages.streams import scored_streams
from crydistill.teacher.load import load_teacher
from crydistill.teacher.scores import ScoreStore
from crydistill.teacher.shards import shards_of
from crydistill.teacher.work import TeacherFiles


class CryTeacher(LoudnessTeacher):
    """Hears cries in what is loud, so that there is something to select."""

    def logits(self, recordings: Sequence[object]) -> list[np.ndarray]:
        return [3 * rows + 4 for rows in super().logits(recordings)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    rows = []
    for number in range(30):
        loud = number % 2
        noise = np.random.default_rng(number).standard_normal(16_000 + 4_000 * (number % 5))
        soundfile.write(folder / f"{number}.wav", (0.2 if loud else 0.001) * noise, 16_000)
        split = ("train", "train", "train", "test", "dev")[number % 5]
        rows.append([f"{number}.wav", "cry" if loud else "noncry", f"g{number}", split])
    with (folder / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "group", "split"], *rows])
    return folder


@pytest.fixture(autouse=True)
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for a network, so that no test needs one."""
    monkeypatch.setenv("CRYDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(TeacherFiles, "load", lambda _: CryTeacher())
    path = tmp_path / "teacher.h5"
    path.write_bytes(b"stands in")
    return path


def opened(folder: Path, *overrides: str, name: str = "x", private: bool = False) -> Context:
    config = folder / f"{name}.yaml"
    sounds = folder / "sounds"
    train = {"path": str(sounds), "where": {"split": "train"}}
    evaluated = [{"path": str(sounds), "where": {"split": split}} for split in ("dev", "test")]
    if private:
        captured = {"path": str(folder / "home"), "private": True}
    data = {
        "train": [train, captured] if private else [train],
        "validation": {"corpora": evaluated[:1]},
        "test": evaluated[1:],
    }
    # Scores cannot be of the file, since its fingerprint is the stand-in's.
    config.write_text(json.dumps({"data": data, "teacher": {"path": str(folder / "teacher.h5")}}))
    loaded = load_config(config, [f"stores={folder / name}", *overrides])
    run = RunDirectory(folder / "runs" / name)
    run.start(loaded)
    said: list[str] = []
    return Context(loaded, run, say=said.append)


def selected(context: Context) -> dict[str, object]:
    select(context)
    found: dict[str, object] = json.loads(context.run.selection.read_text())
    return found


@pytest.mark.parametrize("frames", ["keep", "recompute"])
@pytest.mark.parametrize("rounds", [0, 2])
def test_shards_select_what_the_whole_selects(
    corpus: Path, tmp_path: Path, rounds: int, frames: str
) -> None:
    overrides = (f"data.augmentation.rounds={rounds}",)
    whole = opened(tmp_path, *overrides, name="whole")
    score(whole)
    overrides = (*overrides, f"scores.frames={frames}")
    for number in range(3):
        score(opened(tmp_path, *overrides, name="sharded"), Division(3, number))
    kept = {path.stat().st_size > 0 for path in (tmp_path / "sharded").rglob("frames.f16")}
    assert kept == {frames == "keep"}
    sharded = opened(tmp_path, *overrides, name="sharded")
    assert selected(sharded) == selected(whole)
    ours, theirs = train_pool(sharded), train_pool(whole)
    assert [clip.id for clip in ours.clips] == [clip.id for clip in theirs.clips]
    drawn = np.random.default_rng(0).permutation(len(ours))
    assert np.array_equal(ours.patches(drawn), theirs.patches(drawn))
    assert np.array_equal(ours.logits(drawn), theirs.logits(drawn))


def test_an_incomplete_set_is_refused_and_completed(corpus: Path, tmp_path: Path) -> None:
    context = opened(tmp_path)
    score(context, Division(4, 1))
    assert context.say.__self__[-1].startswith("sounds, shard-001-of-004: ")
    with pytest.raises(StoreError, match=r"shards 0, 2, 3 of 4 are missing; `crydistill score CO"):
        select(opened(tmp_path))
    with pytest.raises(StoreError, match="divided into 4 shards; go on with --shards 4"):
        score(opened(tmp_path), Division(8, 1))
    score(opened(tmp_path))
    assert shards_of(context.store_directory(context.config.data.train[0])) == 4
    assert selected(opened(tmp_path))["clips"] == 18


def test_a_store_that_was_scored_whole_stays_as_it_is(corpus: Path, tmp_path: Path) -> None:
    context = opened(tmp_path)
    score(context)
    directory = context.store_directory(context.config.data.train[0])
    before = sorted(path.name for path in directory.iterdir())
    score(opened(tmp_path), Division(4, 0))
    assert sorted(path.name for path in directory.iterdir()) == before
    extra = np.random.default_rng(99).standard_normal(20_000)
    soundfile.write(corpus / "99.wav", 0.1 * extra, 16_000)
    with (corpus / "clips.csv").open("a") as file:
        file.write("99.wav,cry,g99,train\n")
    score(opened(tmp_path), Division(2))
    assert len(ScoreStore(directory)) == 31
    assert selected(opened(tmp_path))["clips"] == 19


def test_what_cannot_be_read_is_left_out_of_its_shard(corpus: Path, tmp_path: Path) -> None:
    (corpus / "3.wav").write_bytes(b"not audio")
    said = []
    for number in range(2):
        context = opened(tmp_path)
        score(context, Division(2, number))
        said += context.left_out
    assert len(said) == 1
    assert "3.wav" in said[0]
    context = opened(tmp_path)
    score(context)
    assert context.left_out == said
    for path in corpus.glob("*.wav"):
        path.write_bytes(b"not audio")
    with pytest.raises(CorpusError, match="none of the 30 clips could be read"):
        score(opened(tmp_path, name="none"), Division(2))


def test_reduced_logits_have_stores_and_keys_of_their_own(corpus: Path, tmp_path: Path) -> None:
    whole, reduced = opened(tmp_path), opened(tmp_path, "scores.logits=12")
    score(whole)
    score(reduced, Division(2))
    assert whole.store_directory(whole.config.data.train[0]).name == "sounds-" + (
        reduced.store_directory(whole.config.data.train[0]).name.removeprefix("sounds-")
    ).removesuffix("-top12")
    assert whole.data_key(whole.splits.train) != reduced.data_key(reduced.splits.train)
    ours, theirs = train_pool(reduced), train_pool(whole)
    assert np.array_equal(ours.cry_scores, theirs.cry_scores)


def test_private_shards_lie_outside_the_work_tree(corpus: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for number in range(4):
        noise = np.random.default_rng(number).standard_normal(20_000)
        soundfile.write(home / f"{number}.wav", 0.1 * noise, 16_000)
    context = opened(tmp_path, private=True)
    score(context, Division(2))
    (store,) = private_dir().iterdir()
    assert shards_of(store) == 2
    assert not any("home" in path.name for path in context.config.stores.iterdir())
    (tmp_path / "cache" / ".git").mkdir(parents=True)
    with pytest.raises(CorpusError, match="the scores of private recordings must not lie in a git"):
        score(opened(tmp_path, private=True), Division(2))


@pytest.mark.parametrize(("shards", "shard"), [(None, 0), (4, 4), (4, -1)])
def test_a_shard_that_does_not_exist(shards: int | None, shard: int) -> None:
    with pytest.raises(ConfigError, match=f"--shard {shard}: "):
        Division(shards, shard)


def test_the_stand_in_is_no_teacher(teacher: Path) -> None:
    with pytest.raises(Exception, match="neither HDF5 weights"):
        load_teacher(teacher)


@pytest.mark.slow
@pytest.mark.shared
def test_streams_are_scored_in_shards_by_both_teachers(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real teachers
    monkeypatch.setenv("CRYDISTILL_CACHE", str(tmp_path / "cache"))
    nursery = {"nursery_seed": 1}
    weights = shared / "teacher"
    settings = {
        "data": {
            "train": [{**nursery, "where": {"split": "train"}}],
            "test": [{**nursery, "where": {"split": "test"}}],
            "streams": {"streams": 3},
        },
        "teacher": {
            "path": str(weights / "yamnet_rebuilt.h5"),
            "memory": str(weights / "efficientat_mn04_as.pt"),
        },
        "student": {
            "architecture": "crynet",
            "options": {"stem": 16, "stem_kernel": 7, "stem_stride": 4, "stages": [[32, 2]]},
            "outputs": {"cry": ["/m/0463cq4", "/t/dd00002"]},
            "memory": {"windows": 4, "embedding": 6, "hidden": 8},
        },
        "training": {"loss": "sigmoid_bce"},
    }
    (tmp_path / "memory.yaml").write_text(json.dumps(settings))

    def context(name: str) -> Context:
        loaded = load_config(tmp_path / "memory.yaml", [f"stores={tmp_path / name}"])
        said: list[str] = []
        return Context(loaded, RunDirectory(tmp_path / "runs"), say=said.append)

    score(context("whole"))
    for pass_ in range(2):
        for number in range(2):
            sharded = context("sharded")
            score(sharded, Division(2, number))
            waits = any("run the same commands again" in line for line in sharded.say.__self__)
            assert waits == (pass_ == number == 0)
    ours, theirs = scored_streams(context("sharded")), scored_streams(context("whole"))
    assert [file.clip.id for file in ours.files] == [file.clip.id for file in theirs.files]
    everything = np.arange(len(theirs.pool))
    assert np.array_equal(ours.pool.patches(everything), theirs.pool.patches(everything))
    # Batches are of other recordings together, which moves the last bits.
    np.testing.assert_allclose(ours.context, theirs.context, atol=0.02)
    np.testing.assert_allclose(
        ours.pool.logits(everything), theirs.pool.logits(everything), atol=0.03
    )
