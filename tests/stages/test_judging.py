"""Labels that a teacher with context contradicts."""

import csv
import json
from pathlib import Path

import pytest

from crydistill.corpora.clip import Label
from crydistill.errors import CorpusError, StoreError
from crydistill.experiment.load import load_config
from crydistill.experiment.schema import JudgingConfig
from crydistill.run_directory import RunDirectory
from crydistill.stages.context import Context
from crydistill.stages.judging import contradicted, contradicts, judging_key
from crydistill.stages.score import score
from crydistill.stages.select import select, select_key, train_pool

CONFIG = """
data:
  train: [{path: FOLDER/clips.csv, private: false, where: {split: train}}]
  validation: {corpora: [{nursery_seed: 1, where: {split: test}}]}
  augmentation: {rounds: 1}
  test: [{nursery_seed: 1, where: {split: train}}]
teacher:
  path: SHARED/teacher/yamnet_rebuilt.h5
  judge: SHARED/teacher/efficientat_mn04_as.pt
selection: {positive_above: 0.01, negative_below: 0.01}
"""

SWAPPED = 2
"""So many cries are labelled noncry, and the other way about."""


@pytest.mark.parametrize(
    ("highest", "label", "against"),
    [
        (0.01, Label.CRY, True),
        (0.06, Label.CRY, False),
        (0.2, Label.NONCRY, True),
        (0.05, Label.NONCRY, False),
        (0.0, Label.UNLABELLED, False),
        (1.0, Label.UNLABELLED, False),
    ],
)
def test_what_contradicts_a_label(highest: float, label: Label, *, against: bool) -> None:
    assert contradicts(highest, label, JudgingConfig()) is against


@pytest.fixture
def wrong(shared: Path, tmp_path: Path) -> dict[str, list[str]]:
    """Write a config of real recordings, some of them with the other label; which, by label."""
    with (shared / "audio" / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "esc10"]
    found = {
        label: [row["path"] for row in rows if row["label"] == label][:6]
        for label in ("cry", "noncry")
    }
    other = {"cry": "noncry", "noncry": "cry"}
    swapped: dict[str, list[str]] = {"cry": [], "noncry": []}
    with (tmp_path / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "split", "label", "group"])
        for label, paths in found.items():
            for number, path in enumerate(paths):
                given = other[label] if number < SWAPPED else label
                if number < SWAPPED:
                    swapped[given].append(path)
                table.writerow([shared / "audio" / path, "train", given, path])
    written = CONFIG.replace("SHARED", str(shared)).replace("FOLDER", str(tmp_path))
    (tmp_path / "judged.yaml").write_text(written)
    return swapped


def opened(folder: Path, *overrides: str) -> Context:
    loaded = load_config(folder / "judged.yaml", [f"stores={folder / 'stores'}", *overrides])
    run = RunDirectory(folder / "runs" / loaded.name)
    run.start(loaded)
    return Context(loaded, run)


@pytest.mark.shared
def test_clips_with_a_wrong_label_are_left_out(wrong: dict[str, list[str]], tmp_path: Path) -> None:
    context = opened(tmp_path)
    with pytest.raises(StoreError):
        contradicted(context)
    score(context)
    select(context)
    (against,) = contradicted(context).values()
    for label, paths in wrong.items():
        found = [clip for clip, given in against.items() if given == label]
        assert sorted(Path(clip).name for clip in found) == sorted(Path(p).name for p in paths)
    facts = json.loads(context.run.selection.read_text())
    assert facts["contradicted_labels"] == {"cry": SWAPPED, "noncry": SWAPPED}
    # Varied copies go with their originals.
    clips = [clip.id for clip in train_pool(context).clips]
    assert len(clips) == 2 * (12 - 2 * SWAPPED)
    assert not set(clips) & set(against)

    lenient = opened(tmp_path, "selection.judging.noncry_below=1", "selection.judging.cry_above=0")
    assert not any(contradicted(lenient).values())
    assert select_key(lenient) != select_key(context)


@pytest.mark.shared
def test_without_a_judge_nothing_changes(wrong: dict[str, list[str]], tmp_path: Path) -> None:
    context = opened(tmp_path, "teacher.judge=null")
    assert contradicted(context) == {}
    assert judging_key(context) == []
    missing = opened(tmp_path, f"teacher.judge={tmp_path / 'none.pt'}")
    with pytest.raises(CorpusError, match=r"none\.pt: no such teacher file; set teacher\.judge"):
        contradicted(missing)
