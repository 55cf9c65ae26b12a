"""The few figures of a run that matter most, for the end of `crydistill run`; 80 columns wide.

They are read from the run's files, so that they are there also when nothing had to be run again.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from crydistill.evaluation.compare import METRICS
from crydistill.json_file import read_json
from crydistill.metrics.enough import TOO_LITTLE, clips_missing
from crydistill.metrics.ranking import ClipScore
from crydistill.metrics.records import estimate_text, number_text
from crydistill.reports.night_tables import alarms_text, caught_text, groups_of, read_night
from crydistill.roles import Role

if TYPE_CHECKING:
    from rich.table import Table

ROWS = (
    "roc_auc",
    "average_precision",
    "recall_at_fpr_1pct",
    "recall_at_fpr_0.1pct",
    "f1_at_validation",
    "recall_at_validation",
)
_SHOWN = (Role.TEACHER, Role.INT8)
_HINT = "run `crydistill evaluate` again"


def clip_table(metrics: Path) -> "Table":
    """Tabulate how teacher and INT8 student rank the test clips, with intervals.

    Parameters
    ----------
    metrics : `metrics.json` of a run
    """
    record = read_json(metrics, _HINT)
    clips = record["clips"]
    title = f"{clips['clips']} test clips, {clips['cries']} cries, {clips['groups']} groups"
    if reason := clips_missing(
        clips["cries"], clips["cry_groups"], clips["groups"] - clips["cry_groups"]
    ):
        return _too_little(title, reason)
    table = _table(title)
    table.add_column("mean of a clip's windows")
    for name in _SHOWN:
        table.add_column(name, justify="right")
    judged = [record["models"][name]["clip_scores"][ClipScore.MEAN]["metrics"] for name in _SHOWN]
    for key in ROWS:
        table.add_row(METRICS[key], *(_text(one[key], "{:.3f}") for one in judged))
    return table


def night_table(night: Path) -> "Table":
    """Tabulate what the presets did on the night of a run.

    Parameters
    ----------
    night : `night.json` of a run
    """
    record = read_night(night)
    hours = record["night"]["hours"]
    table = _table(f"a night of {hours:.1f} h, {record['night']['episodes']} episodes of crying")
    table.add_column("preset")
    for column in ("threshold", "false alarms/h", "episodes caught", "delay s"):
        table.add_column(column, justify="right")
    for model in record["models"].values():
        for name, figures in model["presets"].items():
            table.add_row(
                name,
                f"{figures['settings']['threshold']:.4f}",
                alarms_text(figures, "false_alarms_per_hour", "{:.1f}"),
                caught_text(figures, groups_of(record)),
                number_text(figures["delay_s"]["median"], "{:.1f}"),
            )
    return table


def sizes(metrics: Path) -> str:
    """Say in one line how much memory the student takes.

    Parameters
    ----------
    metrics : `metrics.json` of a run
    """
    provenance = read_json(metrics, _HINT)["provenance"]
    arena = provenance["arena_bytes"]
    working = "" if arena is None else f", {arena:,} bytes of working memory"
    return f"student.tflite: {provenance['student']['size_bytes']:,} bytes{working}"


def _table(title: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(title=title, title_justify="left", box=SIMPLE_HEAD)


def _too_little(title: str, reason: str) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False)
    table.add_row(f"{TOO_LITTLE}: {reason}")
    return table


def _text(estimate: dict[str, float | None], form: str) -> str:
    from rich.markup import escape

    return escape(estimate_text(estimate, form))
