"""Results of a robustness run as tables for terminal and document, and as a picture.

All are made from `robustness.json` alone, so that a document can be updated without another run.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crydistill import atomic
from crydistill.evaluation.conditions import Family
from crydistill.metrics.intervals import SIGNED
from crydistill.metrics.records import Record, commit_text, estimate_text, markdown_table

if TYPE_CHECKING:
    from rich.table import Table

Axes = Any
"""matplotlib ships no types that a strict check could use."""

COLUMNS = {
    "auc": "AUC",
    "auc_change": "AUC change",
    "recalibrated": "recall, recalibrated",
    "unchanged": "recall, unchanged",
    "false_alarms": "false alarms/h, unchanged",
}

_FORMS = {"auc_change": SIGNED, "false_alarms": "{:.1f}"}

_PANELS = {
    Family.NOISE: "SNR, dB",
    Family.GAIN: "gain, dB",
    Family.ROOM: "distance, m",
    Family.ELECTRONICS: "",
}
_MEASURES = {"auc": "ROC AUC", "recalibrated": "recall,\nrecalibrated",
             "unchanged": "recall at the\nclean threshold"}  # fmt: skip
_MARKERS = "osD^v"


def terminal_table(record: Record, student: str) -> "Table":
    """One student's figures, one row per condition."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(student), caption=escape(_caption(record)))
    table.add_column("")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    family = None
    for condition, cells in _rows(record, student):
        if family not in (None, condition["family"]):
            table.add_section()
        family = condition["family"]
        table.add_row(condition["name"], *(escape(cell.replace(" [", "\n[")) for cell in cells))
    return table


def markdown_tables(record: Record) -> str:
    """One table per student for a document, with a caption."""
    tables = [
        markdown_table(
            [student, *COLUMNS.values()],
            [[condition["name"], *cells] for condition, cells in _rows(record, student)],
        )
        for student in record["students"]
    ]
    return "\n\n".join([*tables, _caption(record)])


def picture(record: Record, path: str | Path) -> None:
    """Plot every student's metrics over the conditions; `path` ends in .png or .svg."""
    from matplotlib.figure import Figure

    from crydistill.reports.figures import PAPER

    students = list(record["students"])
    rows = [(student, measure) for student in students for measure in _MEASURES]
    figure = Figure(figsize=(11, 1.5 + 1.9 * len(rows)), layout="constrained", facecolor="white")
    grid = figure.subplots(len(rows), len(_PANELS), sharex="col", sharey=True, squeeze=False)
    for axes_of_row, (student, measure) in zip(grid, rows, strict=True):
        for axes, family in zip(axes_of_row, _PANELS, strict=True):
            _draw(axes, record, student, measure, family)
        name = f"{student}\n" if len(students) > 1 else ""
        axes_of_row[0].set_ylabel(f"{name}{_MEASURES[measure]}", color=PAPER.ink, fontsize=8)
    for axes, label in zip(grid[-1], _PANELS.values(), strict=True):
        axes.set_xlabel(label, fontsize=8, color=PAPER.ink)
    grid[0][0].invert_xaxis()
    for axes in grid[0]:
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=7, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    with atomic.replacing(path) as temporary:
        figure.savefig(temporary, dpi=130)


def _draw(axes: Axes, record: Record, student: str, measure: str, family: Family) -> None:
    """Draw one panel: lines over the conditions' values, or separate points if they have none."""
    from crydistill.reports.figures import PAPER, decorate

    decorate(axes, PAPER, size=7)
    pairs = list(zip(record["conditions"], record["students"][student]["conditions"], strict=True))
    clean = pairs[0][1][measure]["value"]
    if clean is not None:
        axes.axhline(clean, color=PAPER.muted, linewidth=0.8, linestyle=(0, (1, 2)))
    of_family = [pair for pair in pairs if pair[0]["family"] == family]
    kinds = list(dict.fromkeys(condition["kind"] for condition, _ in of_family))
    for number, kind in enumerate(kinds):
        points = [(c["value"], v[measure]) for c, v in of_family if c["kind"] == kind]
        if family is Family.ELECTRONICS:
            points = [(number, estimate) for _, estimate in points]
        _draw_line(axes, points, number, kind if len(kinds) > 1 else None, family)
    if family is Family.ELECTRONICS:
        axes.set_xticks(range(len(kinds)), [textwrap.fill(kind, 10) for kind in kinds])
        axes.set_xlim(-0.5, max(len(kinds), 1) - 0.5)
    axes.set_ylim(-0.03, 1.03)


def _draw_line(
    axes: Axes,
    points: Sequence[tuple[float, Mapping[str, float | None]]],
    number: int,
    label: str | None,
    family: Family,
) -> None:
    """Values with their intervals as error bars, joined by lines if they are ordered."""
    from crydistill.reports.figures import PAPER

    known = [(x, e["value"], e["low"], e["high"]) for x, e in points if e["value"] is not None]
    if not known:
        return
    x, value, low, high = zip(*known, strict=True)
    below = [v - (v if bound is None else bound) for v, bound in zip(value, low, strict=True)]
    above = [(v if bound is None else bound) - v for v, bound in zip(value, high, strict=True)]
    axes.errorbar(
        x,
        value,
        # A percentile interval need not contain the value itself.
        yerr=[[max(0.0, b) for b in below], [max(0.0, a) for a in above]],
        color=PAPER.model(number + 1),
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=3.5,
        linewidth=1.3,
        elinewidth=0.6,
        linestyle="none" if family is Family.ELECTRONICS else "-",
        label=None if family is Family.ELECTRONICS else label,
    )


def _rows(record: Record, student: str) -> list[tuple[Record, list[str]]]:
    results = record["students"][student]["conditions"]
    return [
        (condition, [estimate_text(result[key], _FORMS.get(key, "{:.3f}")) for key in COLUMNS])
        for condition, result in zip(record["conditions"], results, strict=True)
    ]


def _caption(record: Record) -> str:
    clips, vote, intervals = record["clips"], record["vote"], record["intervals"]
    hours, rate = clips["negative_hours"], record["false_alarms_per_hour"]
    noise = "; ".join(f"{kind}: {origin}" for kind, origin in record["noise"].items())
    left_out = f", {clips['unreadable']} unreadable left out" if clips["unreadable"] else ""
    return (
        f"{clips['clips']} clips{left_out}, {clips['cries']} cries, {clips['groups']} groups "
        f"({clips['cry_groups']} with cries). Vote {vote['n']} of {vote['m']}; {hours:.2f} hours "
        f"without a cry, in which a rate of {rate:g} per hour allows {int(rate * hours)} false "
        f"alarms. "
        f"Noise from {noise}. 95 % intervals: {intervals['method']}, {intervals['replicates']} "
        f"resamples; LiteRT's {record['provenance']['kernels']} kernels; commit "
        f"{commit_text(record['provenance'])}."
    )
