from pathlib import Path

import numpy as np
import pytest
from tests.npz_files import damaged_npz, npy

from crydistill.corpora.clip import Clip, Label
from crydistill.errors import ConfigError
from crydistill.evaluation.clips import EvaluatedClips, ModelScores
from crydistill.evaluation.paired import (
    COMPARED,
    SavedScores,
    compare_recipes,
    load_scores,
    save_scores,
    table,
    to_json,
)
from crydistill.metrics.ranking import ClipScore, Ranking, roc_auc

CLIPS = EvaluatedClips.from_clips(
    [
        Clip(f"c{n}", Path("x"), Label.CRY if n % 4 == 0 else Label.NONCRY, group=f"g{n // 2}")
        for n in range(160)
    ]
)


def saved(path: Path, noise: float, seed: int, clips: EvaluatedClips = CLIPS) -> SavedScores:
    rng = np.random.default_rng(seed)
    tracks = [(label + noise * rng.standard_normal(3)).astype(np.float32) for label in clips.labels]
    save_scores(path, clips, [ModelScores("m", tracks), ModelScores("other", tracks)])
    return load_scores(path)


def test_scores_come_back(tmp_path: Path) -> None:
    tracks = [np.arange(1 + n % 3, dtype=np.float32) for n in range(len(CLIPS))]
    save_scores(tmp_path / "s.npz", CLIPS, [ModelScores("student INT8", tracks)])
    found = load_scores(tmp_path / "s.npz")
    assert found.ids == CLIPS.ids and found.groups == CLIPS.groups
    np.testing.assert_array_equal(found.labels, CLIPS.labels)
    for ours, theirs in zip(found.windows["student INT8"], tracks, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_better_recipe_is_told_apart(tmp_path: Path) -> None:
    good = [saved(tmp_path / f"g{n}", 0.5, n) for n in range(2)]
    bad = [saved(tmp_path / f"b{n}", 2.0, 10 + n) for n in range(3)]
    found = compare_recipes(good, bad, model="m", replicates=200)
    assert tuple(found) == COMPARED
    auc = found["roc_auc"]
    by_hand = [
        float(
            roc_auc(
                Ranking(
                    labels=CLIPS.labels, scores=[t.mean() for t in run.windows["m"]]
                ).detections()
            )
        )
        for run in good
    ]
    assert auc.ours.value == pytest.approx(np.mean(by_hand))
    assert auc.difference.value == pytest.approx(auc.ours.value - auc.theirs.value)
    assert 0 < auc.difference.low < auc.difference.high
    assert "| ROC AUC |" in table(to_json(found, "good", "bad"))


def test_the_same_recipe_differs_by_nothing(tmp_path: Path) -> None:
    runs = [saved(tmp_path / f"g{n}", 0.5, n) for n in range(2)]
    for metric in compare_recipes(runs, runs, model="m", replicates=100).values():
        assert metric.difference.value == 0


def test_two_models_of_one_recipe_are_compared_over_its_seeds(tmp_path: Path) -> None:
    runs = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        clear = [
            (label + 0.3 * rng.standard_normal(5)).astype(np.float32) for label in CLIPS.labels
        ]
        vague = [track + rng.standard_normal(5).astype(np.float32) for track in clear]
        models = [ModelScores("teacher", clear), ModelScores("student", vague)]
        save_scores(tmp_path / f"{seed}", CLIPS, models)
        runs.append(load_scores(tmp_path / f"{seed}"))
    options = {"model": "student", "their_model": "teacher", "replicates": 100}
    found = compare_recipes(runs, runs, how=ClipScore.MAX, **options)
    assert found["roc_auc"].difference.high < 0
    text = table(to_json(found, "student of it", "teacher of it", ClipScore.MAX))
    assert "|  | student of it | teacher of it | difference |" in text
    assert "Clip score: max of windows." in text
    with pytest.raises(ConfigError, match="run 3 has no 'nobody'"):
        compare_recipes(runs, runs, model="student", their_model="nobody")


def test_faults_are_told(tmp_path: Path) -> None:
    run = saved(tmp_path / "a", 0.5, 0)
    with pytest.raises(ConfigError, match="run 1 has no 'x'; it has m, other"):
        compare_recipes([run], [run], model="x")
    fewer = EvaluatedClips.from_clips(
        [Clip("z", Path("x"), Label.CRY, "g"), Clip("y", Path("x"), Label.NONCRY, "h")]
    )
    with pytest.raises(ConfigError, match="run 2 was evaluated on different clips"):
        compare_recipes([run], [saved(tmp_path / "b", 0.5, 0, fewer)], model="m")
    for number, data in enumerate([b"nothing", npy(), *damaged_npz()]):
        (tmp_path / f"broken-{number}").write_bytes(data)
    for path in (*(path.name for path in tmp_path.glob("broken-*")), "missing"):
        with pytest.raises(ConfigError, match=f"{path}: no window scores"):
            load_scores(tmp_path / path)
