"""Test whether a stream's composition tells crying bouts from others without their sound.

A network with memory could learn how streams are composed in place of how crying sounds. So
classifiers see all that is drawn of a bout except the sound: durations, pauses, level, room, gaps,
place. Their AUC must not be above chance, neither on groups nor on streams that they were not
fitted on. Held-out groups are the fair test of what carries over to other recordings, but push the
AUC of equal distributions below one half (what a group has more of, the others have less of);
held-out streams do not, and give a classifier the chance to learn how long single clips are.

scikit-learn (extra `train`) is imported when the test runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.metrics.intervals import REPLICATES, Estimate, GroupBootstrap, Weights
from crydistill.metrics.ranking import Floats, Ranking, roc_auc
from crydistill.nights.streams import Kind, Placed, StreamPlan

FEATURES = (
    "clips", "seconds", "first_s", "last_s", "shortest_s", "longest_s", "spread_s",
    "shortest_pause_s", "longest_pause_s", "mean_pause_s", "gap_before_s", "gap_after_s",
    "before_s", "after_s", "snr_db", "dry", "room", "place",
)  # fmt: skip
"""Of each bout. `before_s` and `after_s` are the last and first duration of its neighbours."""

_FOLDS = 5

Split = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Indices of the bouts that a classifier is fitted on, and of those that are held out."""


@dataclass(frozen=True, eq=False)
class BoutTable:
    """The bouts of streams as numbers.

    features : `[bouts, len(FEATURES)]`
    cry : whether each cries, `[bouts]`
    groups : group of each bout's first clip
    streams : number of each bout's stream
    """

    features: Floats
    cry: npt.NDArray[np.bool_]
    groups: tuple[str, ...]
    streams: tuple[int, ...]


def bout_table(plans: Sequence[StreamPlan]) -> BoutTable:
    """Tabulate what was drawn of each bout but its sound."""
    rows, cry, groups, streams = [], [], [], []
    for stream, plan in enumerate(plans):
        bouts = _bouts(plan)
        for number, bout in enumerate(bouts):
            before = bouts[number - 1] if number else None
            after = bouts[number + 1] if number + 1 < len(bouts) else None
            rows.append(_row(bout, before, after, plan))
            cry.append(bout[0].kind is Kind.CRY)
            groups.append(bout[0].group)
            streams.append(stream)
    features = np.array(rows, dtype=np.float64)
    return BoutTable(features, np.array(cry, dtype=bool), tuple(groups), tuple(streams))


def tells(
    plans: Sequence[StreamPlan], *, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Estimate]:
    """AUC of each classifier that tells crying bouts from others without their sound.

    Parameters
    ----------
    plans : streams of the same clips, composed with several seeds

    Returns
    -------
    by classifier and what was held out ("gradient boosting, other streams"), with an interval from
    a bootstrap over groups. The composition tells where an interval lies above 0.5.

    Raises
    ------
    ValueError
        if there is only one stream, or fewer than five groups with crying or without.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = bout_table(plans)
    splits = {"other groups": _by_group(table, seed), "other streams": _by_stream(table)}
    classifiers = {
        "logistic regression": make_pipeline(
            StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1_000)
        ),
        "gradient boosting": HistGradientBoostingClassifier(
            max_iter=50, max_leaf_nodes=15, class_weight="balanced", random_state=seed
        ),
    }
    return {
        f"{name}, {what}": _auc(table, _held_out_scores(one, table, split), replicates, seed)
        for name, one in classifiers.items()
        for what, split in splits.items()
    }


def _bouts(plan: StreamPlan) -> list[list[Placed]]:
    heard = [item for item in plan.placed if item.kind is not Kind.BED]
    return [list(items) for _, items in groupby(heard, key=lambda item: item.bout)]


def _row(
    bout: Sequence[Placed],
    before: Sequence[Placed] | None,
    after: Sequence[Placed] | None,
    plan: StreamPlan,
) -> list[float]:
    lengths = [_seconds(item.stop - item.start) for item in bout]
    pauses = [_seconds(other.start - one.stop) for one, other in pairwise(bout)] or [-1.0]
    start, stop, room = bout[0].start, bout[-1].stop, bout[0].room
    return [
        len(bout), sum(lengths), lengths[0], lengths[-1], min(lengths), max(lengths),
        float(np.std(lengths)), min(pauses), max(pauses), float(np.mean(pauses)),
        _seconds(start - (before[-1].stop if before else 0)),
        _seconds((after[0].start if after else plan.samples) - stop),
        _seconds(before[-1].stop - before[-1].start) if before else -1.0,
        _seconds(after[0].stop - after[0].start) if after else -1.0,
        bout[0].snr_db or 0.0, room is None, -1 if room is None else room, start / plan.samples,
    ]  # fmt: skip


def _seconds(samples: int) -> float:
    return samples / SAMPLE_RATE


def _by_group(table: BoutTable, seed: int) -> list[Split]:
    from sklearn.model_selection import StratifiedGroupKFold

    for cry in (True, False):
        found = {name for name, of in zip(table.groups, table.cry, strict=True) if of == cry}
        if len(found) < _FOLDS:
            raise ValueError(f"{len(found)} groups of bouts with cry {cry}; {_FOLDS} are needed")
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    return list(folds.split(table.features, table.cry, table.groups))


def _by_stream(table: BoutTable) -> list[Split]:
    streams = np.array(table.streams)
    if streams.max(initial=0) == 0:
        raise ValueError("one stream; several are needed to hold one out")
    return [
        (np.flatnonzero(streams != held_out), np.flatnonzero(streams == held_out))
        for held_out in range(streams.max() + 1)
    ]


def _held_out_scores(classifier: Any, table: BoutTable, splits: Sequence[Split]) -> Floats:
    """Score of each bout by a classifier that was not fitted on it."""
    scores = np.zeros(len(table.cry))
    for fitted, held_out in splits:
        classifier.fit(table.features[fitted], table.cry[fitted])
        scores[held_out] = classifier.predict_proba(table.features[held_out])[:, 1]
    return scores


def _auc(table: BoutTable, scores: Floats, replicates: int, seed: int) -> Estimate:
    ranking = Ranking(labels=table.cry, scores=scores)
    bootstrap = GroupBootstrap(
        groups=table.groups, labels=table.cry, replicates=replicates, seed=seed
    )

    def auc(weights: Weights) -> Floats:
        return roc_auc(ranking.detections(weights))[:, None]

    return bootstrap.run(auc)[0].estimate()
