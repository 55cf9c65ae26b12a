"""Results of calibrations' promises as tables for terminal and document, and as a picture.

All are made from `promises.json` alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crydistill import atomic
from crydistill.corpora.folder import where_text
from crydistill.metrics import records
from crydistill.metrics.records import Record, commit_text, estimate_text, number_text
from crydistill.nights.promises import Recipe, Sounds

if TYPE_CHECKING:
    from rich.table import Table

Axes = Any
"""matplotlib ships no types that a strict check could use."""

COLUMNS = (
    "vote", "calibrated on", "method", "promised", "observed: same sounds", "promise held",
    "observed: new sounds", "promise held", "episodes caught",
)  # fmt: skip

_SMALLEST_SHOWN = 0.01
_LINEAR_BELOW = 0.5
"""The picture's rates are logarithmic above and linear below, so that 0 can be shown."""


def terminal_table(record: Record) -> "Table":
    """One row per way to calibrate."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="false alarms per night (8 h)", caption=escape(_caption(record)))
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "method" else "right")
    vote = None
    for cell in record["cells"]:
        if vote not in (None, (cell["n"], cell["m"])):
            table.add_section()
        vote = (cell["n"], cell["m"])
        table.add_row(*(escape(text.replace(" [", "\n[")) for text in _row(cell)))
    return table


def markdown_table(record: Record) -> str:
    """The same for a document, with a caption."""
    rows = [_row(cell) for cell in record["cells"]]
    return f"{records.markdown_table(COLUMNS, rows, text_columns=3)}\n\n{_caption(record)}"


def picture(record: Record, path: str | Path) -> None:
    """Plot every home's observed rate by length of calibration, at the first vote.

    `path` ends in .png or .svg.
    """
    from matplotlib.figure import Figure

    from crydistill.reports.figures import PAPER, decorate

    vote = record["cells"][0]["n"], record["cells"][0]["m"]
    cells = [cell for cell in record["cells"] if (cell["n"], cell["m"]) == vote]
    figure = Figure(figsize=(9, 4.2), layout="constrained", facecolor="white")
    for axes, sounds in zip(figure.subplots(1, 2, sharey=True), Sounds, strict=True):
        decorate(axes, PAPER)
        axes.grid(False, axis="x")
        axes.axhline(
            record["wanted_per_night"], color=PAPER.muted, linewidth=0.9, linestyle=(0, (3, 2))
        )
        for number, recipe in enumerate(Recipe):
            of_recipe = [cell for cell in cells if cell["recipe"] == recipe]
            _draw(axes, of_recipe, sounds, number)
        axes.set_yscale("symlog", linthresh=_LINEAR_BELOW)
        axes.set_ylim(bottom=-0.1)
        lengths = list(dict.fromkeys(cell["hours"] for cell in cells))
        axes.set_xticks(range(len(lengths)), [_length(hours) for hours in lengths])
        axes.set_xlabel("calibration audio", color=PAPER.ink, fontsize=8)
        axes.set_title(sounds.value, loc="left", fontsize=9, fontweight="bold", color=PAPER.ink)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    first = figure.axes[0]
    first.set_ylabel("false alarms per night, observed", color=PAPER.ink, fontsize=8)
    figure.legend(
        *first.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=8,
        title=f"vote {vote[0]} of {vote[1]}; dots: homes, bars: medians; dashed: target",
        title_fontsize=8,
    )
    with atomic.replacing(path) as temporary:
        figure.savefig(temporary, dpi=130)


def _draw(axes: Axes, cells: Sequence[Record], sounds: Sounds, number: int) -> None:
    """Draw one recipe's homes next to the other's, at each length."""
    from crydistill.reports.figures import PAPER

    colour = PAPER.model(number + 1)
    rng = np.random.default_rng(0)
    for place, cell in enumerate(cells):
        homes = np.array(cell["observed"][sounds]["homes"], dtype=np.float64)
        middle = place + (number - 0.5) * 0.36
        axes.plot(
            middle + rng.uniform(-0.11, 0.11, len(homes)),
            homes,
            "o",
            color=colour,
            markersize=3.5,
            alpha=0.55,
            markeredgewidth=0,
            label=cell["recipe"] if place == 0 else None,
        )
        median = float(np.median(homes))
        axes.plot([middle - 0.15, middle + 0.15], [median, median], color=colour, linewidth=2)


def _row(cell: Record) -> list[str]:
    return [
        f"{cell['n']} of {cell['m']}",
        _length(cell["hours"]),
        _method(cell),
        _promised(cell["promised"]),
        *(
            text
            for sounds in Sounds
            for text in (
                estimate_text(cell["observed"][sounds]["mean"], "{:.2f}"),
                number_text(cell["observed"][sounds]["kept"], "{:.0%}"),
            )
        ),
        number_text(cell["caught"]["value"], "{:.0%}"),
    ]


def _method(cell: Record) -> str:
    homes = sum(cell["methods"].values())
    capped = [("capped", cell["capped"])] if cell["capped"] else []
    return ", ".join(
        name if count == homes else f"{name} ({count})"
        for name, count in (*cell["methods"].items(), *capped)
    )


def _promised(promises: Sequence[Mapping[str, float | None]]) -> str:
    """Medians over homes of the promised rate, if any, and of its interval."""
    value, low, high = (_known(one[name] for one in promises) for name in ("value", "low", "high"))
    text = f"{np.median(value):.2g}" if value else "–"
    if not (low and high):
        return text
    return f"{text} [{_bound(float(np.median(low)))}, {_bound(float(np.median(high)))}]"


def _bound(rate: float) -> str:
    if 0 < rate < _SMALLEST_SHOWN:
        return f"<{_SMALLEST_SHOWN}"
    return f"{rate:.2g}" if rate < 100 else f"{rate:.0f}"


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _length(hours: float) -> str:
    return f"{hours:g} h" if hours >= 1 else f"{hours * 60:.0f} min"


def _caption(record: Record) -> str:
    homes, clips, provenance = record["homes"], record["clips"], record["provenance"]
    where = where_text(provenance["where"])
    unusable = f", {clips['unusable']} unusable left out" if clips["unusable"] else ""
    return (
        f"{homes['homes']} homes, each with {homes['clips']} clips (half for calibration) in "
        f"{homes['takes']} takes, from {clips['clips']} clips of {clips['groups']} groups of "
        f"{provenance['corpus']}{f' ({where})' if where else ''}{unusable}; "
        f"{homes['observed_hours']:g} hours observed in each. Target: "
        f"{record['wanted_per_night']:g} per night. Observed: mean over homes with a 95 % "
        f"bootstrap interval over homes. Promise held: share of homes whose number of alerts is "
        f"consistent with the promised interval. Capped: homes whose threshold was lowered to what "
        f"cries can reach. Student {record['student']['name']}; LiteRT's "
        f"{provenance['kernels']} kernels; commit {commit_text(provenance)}."
    )
