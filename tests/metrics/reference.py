"""Slow, obvious versions of the metrics: loops over clips and thresholds, nothing shared with src.

Each takes labels and scores as plain lists; a clip with weight 2 is listed twice.
"""

from collections.abc import Sequence
from itertools import product

Labels = Sequence[bool]
Scores = Sequence[float]


def counts_at(labels: Labels, scores: Scores, threshold: float) -> tuple[int, int]:
    """Number of detected cries and of detected non-cries."""
    detected = [label for label, score in zip(labels, scores, strict=True) if score >= threshold]
    return sum(detected), len(detected) - sum(detected)


def thresholds(scores: Scores) -> list[float]:
    """All distinct thresholds, highest first: nothing detected, then each distinct score."""
    return [float("inf"), *sorted(set(scores), reverse=True)]


def mean_of_highest(scores: Scores, count: int) -> float:
    """Mean of the `count` highest scores, or of all if there are fewer."""
    left, taken = list(scores), []
    while left and len(taken) < count:
        taken.append(left.pop(left.index(max(left))))
    return sum(taken) / len(taken)


def roc_auc(labels: Labels, scores: Scores) -> float:
    cries = [score for label, score in zip(labels, scores, strict=True) if label]
    others = [score for label, score in zip(labels, scores, strict=True) if not label]
    won = sum((cry > other) + 0.5 * (cry == other) for cry, other in product(cries, others))
    return won / (len(cries) * len(others))


def average_precision(labels: Labels, scores: Scores) -> float:
    total, cries_before = 0.0, 0
    for threshold in thresholds(scores)[1:]:
        cries, others = counts_at(labels, scores, threshold)
        total += (cries - cries_before) * cries / (cries + others)
        cries_before = cries
    return total / sum(labels)


def f1(labels: Labels, scores: Scores, threshold: float) -> float:
    cries, others = counts_at(labels, scores, threshold)
    missed = sum(labels) - cries
    return 2 * cries / (2 * cries + others + missed)


def best_f1(labels: Labels, scores: Scores) -> tuple[float, float]:
    """The best F1 and the highest threshold that has it."""
    return max((f1(labels, scores, threshold), threshold) for threshold in thresholds(scores))


def recall_at_false_positive_rate(labels: Labels, scores: Scores, bound: float) -> float:
    negatives = len(labels) - sum(labels)
    recalls = []
    for threshold in thresholds(scores):
        cries, others = counts_at(labels, scores, threshold)
        if others / negatives <= bound:
            recalls.append(cries / sum(labels))
    return max(recalls)
