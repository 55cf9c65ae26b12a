"""The figures of one recipe's runs of several seeds, for the end of `crydistill run --seeds`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crydistill.evaluation.compare import METRICS
from crydistill.json_file import read_json
from crydistill.reports.essentials import ROWS
from crydistill.reports.run_tables import metric_of, over_seeds, seed_count
from crydistill.reports.training_tables import SHOWN, SHOWN_OF_NIGHTS, read_training
from crydistill.roles import Role
from crydistill.run_directory import RunDirectory

if TYPE_CHECKING:
    from rich.table import Table

Figures = Callable[[Path], Mapping[str, float | None]]
"""Reads a run's figures, by title."""


def evaluated(run: Path) -> dict[str, float | None]:
    """How the INT8 student of an evaluated run ranks the test clips."""
    model = read_json(RunDirectory(run).metrics, "run it again")["models"][Role.INT8]
    return {METRICS[key]: metric_of(model, key)["value"] for key in ROWS}


def trained(run: Path) -> dict[str, float | None]:
    """Validation metrics of a trained run's best epoch."""
    config, history, best = read_training(RunDirectory(run))
    found = history[best] if best is not None else {}
    titles = SHOWN_OF_NIGHTS if config.student.memory else SHOWN
    return {title: found.get(f"val_{key}") for key, title in titles.items()}


def seeds_table(runs: Sequence[Path], figures: Figures) -> "Table":
    """Tabulate the mean of each figure with its 95 % interval over seeds, and the extremes."""
    from rich.table import Table

    found = [figures(run) for run in runs]
    table = Table(title=f"{seed_count(len(runs))}; mean [95 % interval over seeds]")
    table.add_column("validation" if figures is trained else "INT8 student, test clips")
    for column in ("mean", "lowest", "highest"):
        table.add_column(column, justify="right")
    for title in found[0]:
        values = [value for one in found if (value := one.get(title)) is not None]
        if len(values) == len(found):
            row = (over_seeds(values).text(), f"{min(values):.3f}", f"{max(values):.3f}")
            table.add_row(title, *row)
    return table
