"""An evaluation as text, every number with its interval, for terminals and the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crydistill.evaluation.compare import (
    DIFFERENCES,
    METRICS,
    Evaluation,
    ModelEvaluation,
    ScoreEvaluation,
)
from crydistill.metrics.enough import TOO_LITTLE
from crydistill.metrics.intervals import LEVEL, SIGNED, UNDEFINED
from crydistill.metrics.ranking import ClipScore

if TYPE_CHECKING:
    from rich.table import Table

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


def summary_table(evaluation: Evaluation) -> "Table":
    """Tabulate metrics with intervals, one row per metric and one column per model.

    Of clips too few to compare models on (`metrics.enough`), only say so.
    """
    from rich.markup import escape
    from rich.table import Table

    title = (
        f"{len(evaluation.clips)} clips, {evaluation.cries} cries, "
        f"{evaluation.cry_groups + evaluation.other_groups} groups"
    )
    if evaluation.too_little:
        table = Table(title=title, show_header=False)
        table.add_row(f"{TOO_LITTLE}: {evaluation.too_little}")
        return table
    table = Table(
        title=title,
        caption=f"{LEVEL:.0%} intervals from {evaluation.replicates} bootstrap resamples of "
        f"groups; Δ: minus {escape(evaluation.reference)}",
    )
    table.add_column("")
    for name in evaluation.models:
        table.add_column(escape(name), justify="right")
    # More than two numbers with their intervals do not fit side by side in 80 columns.
    gap = " " if len(evaluation.models) <= 2 else "\n"
    for section in summary_rows(evaluation):
        table.add_row(escape(section.heading), style="bold")
        for title, cells in section.rows:
            table.add_row(title, *(escape(cell.replace(" [", f"{gap}[")) for cell in cells))
        table.add_section()
    return table


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
