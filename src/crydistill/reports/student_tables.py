"""Compare students by cost on a device and ranking of clips, with their Pareto front.

Made from the records of runs, over the seeds of each experiment, INT8 students only. A student is
on the front if no other is at least as cheap and ranks at least as well.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crydistill import atomic
from crydistill.evaluation.compare import METRICS
from crydistill.metrics.records import Record, markdown_table, number_text
from crydistill.reports.run_tables import (
    COST_TITLES,
    TEACHER,
    metric_of,
    read_seeds,
    spread_text,
)
from crydistill.roles import Role

SHOWN = ("roc_auc", "average_precision", "recall_at_fpr_1pct")
"""Keys of `compare.METRICS` in the table."""

PLOTTED = "average_precision"

COSTS = {
    "size_bytes": (1e3, "size of the .tflite, kB"),
    "macs": (1e6, "million multiply-accumulates per window"),
}
"""Costs on the picture's x axes: unit and title."""

Axes = Any
"""matplotlib ships no types that a strict check could use."""


@dataclass(frozen=True)
class ZooStudent:
    """An experiment's INT8 student over its seeds.

    parameters, macs, arena_bytes : None in records that lack them; all costs are the first seed's
    metrics : those in `SHOWN`, one value per seed
    teacher, taught : name of the teacher, and its value of `PLOTTED` on the same clips
    """

    name: str
    parameters: int | None
    size_bytes: int
    arena_bytes: int | None
    macs: int | None
    metrics: dict[str, list[float]]
    teacher: str
    taught: float

    @property
    def plotted(self) -> float:
        return statistics.fmean(self.metrics[PLOTTED])


def read_zoo(names: Sequence[str], records: Path) -> list[ZooStudent]:
    """Read experiments, smallest student first.

    Raises
    ------
    ConfigError
        if one has no record.
    """
    students = [_student(name, read_seeds(records, name)) for name in names]
    return sorted(students, key=lambda student: student.size_bytes)


def zoo_table(names: Sequence[str], records: Path) -> str:
    """Tabulate experiments: `<!-- zoo: NAME NAME ... -->` of `reports.documents`.

    Raises
    ------
    ConfigError
        if one has no record.
    """
    students = read_zoo(names, records)
    columns = ["INT8 student", "seeds", "parameters", *COST_TITLES.values()]
    rows = [
        [
            student.name,
            str(len(student.metrics[PLOTTED])),
            *(
                number_text(cost, "{:,}")
                for cost in (student.parameters, *(getattr(student, key) for key in COST_TITLES))
            ),
            *(spread_text(values) for values in student.metrics.values()),
        ]
        for student in students
    ]  # fmt: skip
    best = front([(student.size_bytes, student.plotted) for student in students])
    return (
        markdown_table([*columns, *(METRICS[key] for key in SHOWN)], rows)
        + "\n\nMean over seeds ± standard deviation between seeds; clip score: mean over windows. "
        f"Pareto front of bytes and average precision: "
        f"{', '.join(students[number].name for number in best)}. Arena: measured in TFLite Micro."
    )


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the Pareto front of points (cost, value), cheapest first.

    Of equal points, the first.
    """
    chosen: list[int] = []
    for number in sorted(range(len(points)), key=lambda n: (points[n][0], -points[n][1])):
        if not chosen or points[number][1] > points[chosen[-1]][1]:
            chosen.append(number)
    return chosen


def picture(students: Sequence[ZooStudent], path: str | Path) -> None:
    """Plot the metric over each cost, with the front; `path` ends in .png or .svg."""
    from matplotlib.figure import Figure

    from crydistill.reports.figures import PAPER, decorate

    teachers = {student.teacher: student.taught for student in students}
    figure = Figure(figsize=(9, 3.8), layout="constrained", facecolor="white")
    for axes, cost in zip(figure.subplots(1, 2, sharey=True), COSTS, strict=True):
        decorate(axes, PAPER, size=7)
        unit, title = COSTS[cost]
        costs = [getattr(student, cost) for student in students]
        _draw(axes, students, [None if each is None else each / unit for each in costs])
        for value in teachers.values():
            axes.axhline(value, color=PAPER.muted, linewidth=0.9, linestyle=(0, (3, 2)))
        axes.set_xlabel(title, color=PAPER.ink, fontsize=8)
    first = figure.axes[0]
    first.set_ylabel(METRICS[PLOTTED], color=PAPER.ink, fontsize=8)
    for name, value in teachers.items():
        first.annotate(
            name if len(teachers) > 1 else TEACHER, (0.99, value), fontsize=7, color=PAPER.muted,
            xycoords=("axes fraction", "data"), xytext=(0, 2), textcoords="offset points",
            ha="right",
        )  # fmt: skip
    with atomic.replacing(path) as temporary:
        figure.savefig(temporary, dpi=130)


def _student(name: str, seeds: Sequence[Record]) -> ZooStudent:
    provenance, models = seeds[0]["provenance"], [seed["models"] for seed in seeds]
    return ZooStudent(
        name,
        provenance.get("parameters"),
        provenance["student"]["size_bytes"],
        provenance.get("arena_bytes"),
        provenance.get("macs"),
        {key: [metric_of(model[Role.INT8], key)["value"] for model in models] for key in SHOWN},
        provenance["teacher"]["name"],
        metric_of(models[0][TEACHER], PLOTTED)["value"],
    )


def _draw(axes: Axes, students: Sequence[ZooStudent], costs: Sequence[float | None]) -> None:
    """Seeds as dots, their means as bars, and the front through the means."""
    from crydistill.reports.figures import PAPER

    known = [
        (cost, one.plotted) for one, cost in zip(students, costs, strict=True) if cost is not None
    ]
    best = [known[number] for number in front(known)]
    axes.step(
        *np.array(best).reshape(-1, 2).T, where="post", color=PAPER.grid, linewidth=2, zorder=1
    )
    for number, (student, cost) in enumerate(zip(students, costs, strict=True), start=1):
        if cost is None:
            continue
        colour, values = PAPER.model(number), student.metrics[PLOTTED]
        axes.plot([cost] * len(values), values, "o", color=colour, markersize=3, alpha=0.5)
        axes.plot(cost, student.plotted, "_", color=colour, markersize=16, markeredgewidth=2)
        axes.annotate(
            student.name, (cost, student.plotted), xytext=(10, 4), textcoords="offset points",
            fontsize=8, color=PAPER.ink,
        )  # fmt: skip
    # Room for the name of the most expensive one.
    axes.set_xlim(0, 1.25 * max((cost for cost, _ in known), default=1))
