"""An evaluation as text, every number with its interval, for the report."""

from collections.abc import Sequence
from dataclasses import dataclass

from crydistill.evaluation.compare import (
    DIFFERENCES,
    METRICS,
    Evaluation,
    ModelEvaluation,
    ScoreEvaluation,
)
from crydistill.metrics.intervals import SIGNED, UNDEFINED
from crydistill.metrics.ranking import ClipScore

THRESHOLDS = {
    "validation": "validation",
    "best_f1": "hindsight",
    "fpr_1pct": "FPR 1 %",
}
"""Thresholds of a clip score and their titles."""


@dataclass(frozen=True)
class Section:
    """A part of the summary: rows of a title and one cell per model."""

    heading: str
    rows: Sequence[tuple[str, Sequence[str]]]


def summary_rows(evaluation: Evaluation) -> list[Section]:
    """Format every metric, threshold, difference and agreement as text."""
    models = list(evaluation.models.values())
    sections = [
        Section(f"Clip score: {how.words}", _score_rows([m.by_score[how] for m in models]))
        for how in ClipScore
    ]
    return [
        *sections,
        Section(f"Agreement with {evaluation.reference}", _agreement_rows(models)),
    ]


def _score_rows(judged: Sequence[ScoreEvaluation]) -> list[tuple[str, list[str]]]:
    rows = [(title, [str(j.metrics[key]) for j in judged]) for key, title in METRICS.items()]
    rows += [
        (f"Δ {METRICS[key]}", [j.differences.get(key, UNDEFINED).text(SIGNED) for j in judged])
        for key in DIFFERENCES
    ]
    rows += [
        (f"Threshold: {title}", [_threshold_text(j.thresholds.get(key)) for j in judged])
        for key, title in THRESHOLDS.items()
    ]
    return rows


def _threshold_text(threshold: float | None) -> str:
    return str(UNDEFINED) if threshold is None else f"{threshold:.4g}"


def _agreement_rows(models: Sequence[ModelEvaluation]) -> list[tuple[str, list[str]]]:
    agreements = [model.agreement for model in models]
    return [
        (title, [str(getattr(a, field)) if a else str(UNDEFINED) for a in agreements])
        for field, title in (
            ("correlation_cries", "Frame correlation, cries"),
            ("correlation_cry_windows", "Frame correlation, cries pooled"),
            ("correlation", "Frame correlation, all"),
            ("kl", "KL per window, nats"),
        )
    ]
