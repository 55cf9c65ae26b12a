"""Compare two recipes over their seeds on the same clips by a paired bootstrap over groups.

Every run saves its models' window scores of the test clips. The difference of two recipes is taken
within each bootstrap resample, between the means over their seeds, so that the difficulty that
clips have for both cancels out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.atomic import replacing
from crydistill.errors import ConfigError
from crydistill.evaluation.clips import EvaluatedClips, ModelScores
from crydistill.evaluation.compare import METRICS
from crydistill.metrics.intervals import (
    REPLICATES,
    SIGNED,
    Estimate,
    GroupBootstrap,
    Weights,
)
from crydistill.metrics.ranking import ClipScore, Floats, Ranking, clip_score, ranking_metrics
from crydistill.metrics.records import Record, estimate_text, markdown_table, plain_estimate
from crydistill.npz_file import NOT_NPZ

COMPARED = (
    "roc_auc",
    "average_precision",
    "best_f1",
    "recall_at_fpr_1pct",
    "recall_at_fpr_0.1pct",
)
"""Keys of `compare.METRICS` for the comparison."""


@dataclass(frozen=True, eq=False)
class SavedScores:
    """The window scores that a run's models gave the test clips.

    windows : for each model, the cry score of every window, `[clips]` arrays
    """

    ids: tuple[str, ...]
    labels: npt.NDArray[np.bool_]
    groups: tuple[str, ...]
    windows: dict[str, list[npt.NDArray[np.float32]]]


@dataclass(frozen=True)
class Comparison:
    """One metric of two recipes: means over their seeds, and the paired difference."""

    ours: Estimate
    theirs: Estimate
    difference: Estimate


def save_scores(path: str | Path, clips: EvaluatedClips, models: Sequence[ModelScores]) -> None:
    """Write the window scores of models to an `.npz`."""
    counts = [len(track) for track in models[0].windows]
    scores = {f"model_{m.name}": np.concatenate(m.windows).astype(np.float32) for m in models}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            ids=np.array(clips.ids),
            labels=clips.labels,
            groups=np.array(clips.groups),
            windows=np.array(counts),
            **scores,  # type: ignore[arg-type]
        )


def load_scores(path: str | Path) -> SavedScores:
    """Read what `save_scores` wrote.

    Raises
    ------
    ConfigError
        if the file is missing or damaged.
    """
    try:
        with np.load(path) as saved:
            ends = np.cumsum(saved["windows"])[:-1]
            return SavedScores(
                tuple(saved["ids"].tolist()),
                saved["labels"],
                tuple(saved["groups"].tolist()),
                {n[6:]: np.split(saved[n], ends) for n in saved.files if n.startswith("model_")},
            )
    except NOT_NPZ as error:
        raise ConfigError(
            f"{path}: no window scores ({type(error).__name__}); run `crydistill evaluate` first"
        ) from error


def compare_recipes(
    ours: Sequence[SavedScores],
    theirs: Sequence[SavedScores],
    *,
    model: str,
    their_model: str | None = None,
    how: ClipScore = ClipScore.MEAN,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Compare the seeds of one recipe with those of another by every metric in `COMPARED`.

    Parameters
    ----------
    model : which model of each run
    their_model : which model of the runs in `theirs`, if different: with the same runs on both
        sides, this measures what INT8 costs, or the student's gap to its teacher

    Raises
    ------
    ConfigError
        if the runs were not evaluated on the same clips, or one lacks the model.
    """
    sides = [(run, model) for run in ours] + [(run, their_model or model) for run in theirs]
    first = sides[0][0]
    for number, (run, name) in enumerate(sides, start=1):
        if run.ids != first.ids or not np.array_equal(run.labels, first.labels):
            raise ConfigError(f"run {number} was evaluated on different clips from the first")
        if name not in run.windows:
            raise ConfigError(f"run {number} has no '{name}'; it has {', '.join(run.windows)}")
    rankings = [
        Ranking(
            labels=first.labels,
            scores=np.array([clip_score(track, how) for track in run.windows[name]]),
        )
        for run, name in sides
    ]

    def statistic(weights: Weights) -> Floats:
        metrics = [ranking_metrics(ranked.detections(weights)) for ranked in rankings]
        each = np.stack([np.stack([of_run[key] for key in COMPARED], -1) for of_run in metrics])
        means = each[: len(ours)].mean(axis=0), each[len(ours) :].mean(axis=0)
        return np.concatenate([*means, means[0] - means[1]], axis=-1)

    bootstrap = GroupBootstrap(
        groups=first.groups, labels=first.labels, replicates=replicates, seed=seed
    )
    found = [number.estimate() for number in bootstrap.run(statistic)]
    count = len(COMPARED)
    return {
        key: Comparison(found[n], found[count + n], found[2 * count + n])
        for n, key in enumerate(COMPARED)
    }


def to_json(
    comparison: dict[str, Comparison], ours: str, theirs: str, how: ClipScore = ClipScore.MEAN
) -> dict[str, Any]:
    """Return a comparison as plain values, with the recipes' names."""
    return {
        "ours": ours,
        "theirs": theirs,
        "clip_score": how.value,
        "metrics": {
            key: {name: plain_estimate(value) for name, value in vars(metric).items()}
            for key, metric in comparison.items()
        },
    }


def table(record: Record) -> str:
    """Markdown table of a comparison as returned by `to_json`."""
    columns = ("", record["ours"], record["theirs"], "difference")
    rows = [
        [
            METRICS[key],
            estimate_text(metric["ours"]),
            estimate_text(metric["theirs"]),
            estimate_text(metric["difference"], SIGNED),
        ]
        for key, metric in record["metrics"].items()
    ]
    return (
        f"{markdown_table(columns, rows)}\n\nMeans over seeds; differences are paired within each "
        f"resample of the groups. Clip score: {ClipScore(record['clip_score']).words}."
    )
