"""Compute exact ranking metrics of clip scores, fast enough for the bootstrap.

Scores are sorted once (`Ranking`); the numbers of cries and non-cries at or above each distinct
score (`Detections`) then follow from cumulative sums, for one set of clip weights or for thousands
at once. Every metric is a function of those counts and works along their last axis.

A clip is detected when its score >= threshold, as in the detector. Tied scores are one threshold.
A metric whose denominator is empty (no cries, no non-cries, nothing detected) is NaN here and
`null` in JSON; one replicate without cries must not abort the other 999.

Sources: Fawcett, "An introduction to ROC analysis" (2006), for the trapezoidal ROC AUC that counts
a tie as one half; scikit-learn's `average_precision_score` for the sum without interpolation;
Martin et al., "The DET curve in assessment of detection task performance" (1997).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]
"""Counts: integers, or floats where the weights are floats."""


TOP_WINDOWS = 4
"""Windows that `ClipScore.TOP4` averages: at a hop of 0.48 s, about 2.4 s of sound."""


FPR_BOUND = 0.01
"""False-positive rate at which recall is reported and slices are evaluated."""

STRICT_FPR_BOUND = 0.001
"""The stricter false-positive rate."""


class ClipScore(StrEnum):
    """How the window scores of a clip are pooled into one score.

    MEAN : mean of all windows; pauses between bouts of crying lower it
    TOP4 : mean of the four highest, or of all if there are fewer
    MAX : the highest
    """

    MEAN = "mean"
    TOP4 = "top4"
    MAX = "max"

    @property
    def words(self) -> str:
        """Description, such as "mean of the 4 highest windows"."""
        if self is ClipScore.TOP4:
            return f"mean of the {TOP_WINDOWS} highest windows"
        return f"{self} of windows"


def clip_score(window_scores: npt.ArrayLike, how: ClipScore) -> float:
    """Score of a clip from the scores of its windows, `[windows]`.

    Raises
    ------
    ValueError
        if there are no windows.
    """
    scores = np.asarray(window_scores, dtype=np.float64)
    if scores.size == 0:
        raise ValueError("a clip without windows has no score")
    if how is ClipScore.MAX:
        return float(scores.max())
    counted = np.sort(scores)[-TOP_WINDOWS:] if how is ClipScore.TOP4 else scores
    return float(counted.mean())


@dataclass(frozen=True)
class Detections:
    """Counts of detections at one or many thresholds; the arrays broadcast against each other.

    thresholds : clips with score >= threshold are detected; +inf detects nothing
    true_positives, false_positives : (weighted) numbers of detected cries and non-cries
    positives, negatives : (weighted) numbers of all cries and non-cries
    """

    thresholds: Floats
    true_positives: Numbers
    false_positives: Numbers
    positives: Numbers
    negatives: Numbers

    @property
    def recall(self) -> Floats:
        """Fraction of the cries that are detected; NaN without cries."""
        return ratio(self.true_positives, self.positives)

    @property
    def false_positive_rate(self) -> Floats:
        """Fraction of the non-cries that are detected; NaN without non-cries."""
        return ratio(self.false_positives, self.negatives)

    @property
    def precision(self) -> Floats:
        """Fraction of the detected clips that are cries; NaN where nothing is detected."""
        return ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall; 0 where nothing is detected, NaN without cries."""
        denominator = self.true_positives + self.false_positives + self.positives
        return ratio(2 * self.true_positives, np.where(self.positives > 0, denominator, 0))

    def at(self, index: npt.NDArray[np.intp]) -> "Detections":
        """Select one threshold per row; `index` has the counts' shape without the last axis."""

        def pick(values: Numbers) -> Numbers:
            return np.take_along_axis(values, index[..., None], axis=-1)[..., 0]

        return Detections(
            self.thresholds[index],
            pick(self.true_positives),
            pick(self.false_positives),
            self.positives[..., 0],
            self.negatives[..., 0],
        )


class Ranking:
    """The scores of labelled clips, sorted once.

    Parameters
    ----------
    labels : [n], true for cries
    scores : [n], finite or infinite, higher for cries

    Attributes
    ----------
    thresholds : [k + 1], +inf and then the k distinct scores, descending

    Raises
    ------
    ValueError
        if labels and scores differ in length, are empty, or a score is NaN.

    Examples
    --------
    >>> ranking = Ranking(labels=[1, 1, 0, 0], scores=[0.9, 0.4, 0.4, 0.1])
    >>> ranking.thresholds.tolist()
    [inf, 0.9, 0.4, 0.1]
    >>> ranking.detections().recall.tolist()
    [0.0, 0.5, 1.0, 1.0]
    >>> ranking.detections().false_positive_rate.tolist()
    [0.0, 0.0, 0.5, 1.0]
    """

    def __init__(self, *, labels: npt.ArrayLike, scores: npt.ArrayLike) -> None:
        label = np.asarray(labels, dtype=bool)
        score = np.asarray(scores, dtype=np.float64)
        if label.ndim != 1 or label.shape != score.shape or label.size == 0:
            raise ValueError(
                f"labels and scores must be 1-D and equally long: {label.shape=} {score.shape=}"
            )
        if np.isnan(score).any():
            raise ValueError(f"score {int(np.flatnonzero(np.isnan(score))[0])} is NaN")
        order = np.argsort(-score, kind="stable")
        label, score = label[order], score[order]
        last_of_tie = np.flatnonzero(np.append(score[1:] != score[:-1], True))
        self.thresholds: Floats = np.concatenate([[np.inf], score[last_of_tie]])
        self._positives, self._negatives = order[label], order[~label]
        self._positives_above = np.concatenate([[0], np.cumsum(label)[last_of_tie]])
        self._negatives_above = np.concatenate([[0], np.cumsum(~label)[last_of_tie]])
        self._clips = len(order)

    def detections(self, weights: Numbers | None = None) -> Detections:
        """Count detections at every threshold.

        Parameters
        ----------
        weights : weight of each clip, `[..., n]`; 1 each if None

        Returns
        -------
        Detections of shape `[..., k + 1]`; recall and false-positive rate rise along the last axis.
        """
        if weights is None:
            weights = np.ones(self._clips, dtype=np.int64)
        true_positives = _running_sum(weights, self._positives)
        false_positives = _running_sum(weights, self._negatives)
        return Detections(
            self.thresholds,
            true_positives[..., self._positives_above],
            false_positives[..., self._negatives_above],
            true_positives[..., -1:],
            false_positives[..., -1:],
        )


def roc_auc(detections: Detections) -> Floats:
    """Area under the ROC curve: P(cry scores above non-cry) + half of P(tie)."""
    true, false = detections.true_positives, detections.false_positives
    doubled = (np.diff(false) * (true[..., 1:] + true[..., :-1])).sum(axis=-1)
    return ratio(doubled, 2 * detections.positives[..., 0] * detections.negatives[..., 0])


def average_precision(detections: Detections) -> Floats:
    """Precision averaged over the cries in descending order of score, not interpolated."""
    gained = np.diff(detections.true_positives)
    # Where no cry is gained, precision may be 0/0; its weight is 0.
    precision = np.nan_to_num(detections.precision[..., 1:])
    return ratio((gained * precision).sum(axis=-1), detections.positives[..., 0])


def best_f1(detections: Detections) -> Detections:
    """Find the threshold of the highest F1; the highest threshold if there are several."""
    return detections.at(np.argmax(detections.f1, axis=-1))


def at_threshold(detections: Detections, threshold: float) -> Detections:
    """Count detections at a threshold chosen elsewhere, such as on validation clips."""
    reached = int(np.searchsorted(-detections.thresholds, -threshold, side="right")) - 1
    rows = detections.true_positives.shape[:-1]
    return detections.at(np.full(rows, max(reached, 0), dtype=np.intp))


def at_false_positive_rate(detections: Detections, bound: float) -> Detections:
    """Find the operating point of highest recall whose false-positive rate is <= `bound`.

    Of several thresholds with that recall, the highest is taken. Rates are not interpolated: with
    fewer than 1 / bound non-cries, none may be detected. Without non-cries, nothing is detected.
    """
    allowed = (detections.false_positive_rate <= bound).sum(axis=-1)
    last = np.maximum(allowed - 1, 0)[..., None]
    true = detections.true_positives
    most = np.take_along_axis(true, last, axis=-1)
    return detections.at(np.argmax(true == most, axis=-1))


def recall_at_false_positive_rate(detections: Detections, bound: float) -> Floats:
    """Highest recall at a false-positive rate <= `bound`; NaN without cries or non-cries."""
    point = at_false_positive_rate(detections, bound)
    return np.where(point.negatives > 0, point.recall, np.nan)


def roc_curve(detections: Detections) -> tuple[Floats, Floats]:
    """False-positive rate and recall at every threshold, from (0, 0) to (1, 1)."""
    return detections.false_positive_rate, detections.recall


def precision_recall_curve(detections: Detections) -> tuple[Floats, Floats]:
    """Recall and precision at every threshold that detects anything, by rising recall."""
    return detections.recall[..., 1:], detections.precision[..., 1:]


def det_curve(detections: Detections) -> tuple[Floats, Floats]:
    """False-positive rate and miss rate at every threshold, from (0, 1) to (1, 0)."""
    return detections.false_positive_rate, 1.0 - detections.recall


def ranking_metrics(detections: Detections) -> dict[str, Floats]:
    """Metrics that need no threshold chosen elsewhere, by name.

    Examples
    --------
    >>> detections = Ranking(labels=[1, 1, 0, 0], scores=[0.9, 0.4, 0.4, 0.1]).detections()
    >>> for name, value in ranking_metrics(detections).items():
    ...     print(f"{name}: {value:.3f}")
    roc_auc: 0.875
    average_precision: 0.833
    recall_at_fpr_1pct: 0.500
    recall_at_fpr_0.1pct: 0.500
    best_f1: 0.800
    best_f1_precision: 0.667
    best_f1_recall: 1.000
    best_f1_fpr: 0.500
    """
    best = best_f1(detections)
    return {
        "roc_auc": roc_auc(detections),
        "average_precision": average_precision(detections),
        "recall_at_fpr_1pct": recall_at_false_positive_rate(detections, FPR_BOUND),
        "recall_at_fpr_0.1pct": recall_at_false_positive_rate(detections, STRICT_FPR_BOUND),
        "best_f1": best.f1,
        "best_f1_precision": best.precision,
        "best_f1_recall": best.recall,
        "best_f1_fpr": best.false_positive_rate,
    }


def ratio(numerator: Numbers, denominator: Numbers) -> Floats:
    """Divide; NaN where the denominator is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def _running_sum(weights: Numbers, columns: npt.NDArray[np.intp]) -> Numbers:
    """Cumulative sum of the weights over the columns, starting at 0."""
    total = np.zeros((*weights.shape[:-1], len(columns) + 1), dtype=weights.dtype)
    np.cumsum(weights[..., columns], axis=-1, out=total[..., 1:])
    return total
