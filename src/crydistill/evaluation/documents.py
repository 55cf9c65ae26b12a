"""Tables in documents, written by a command from what runs recorded.

A document holds marked blocks:

    <!-- results: real -->
    ... replaced ...
    <!-- end -->

`results: NAME` tabulates one run, every model beside the others. `series: NAME NAME ...` tabulates
the INT8 students of several experiments, a row each, over all seeds recorded of them. The figures
come from `NAME.json` (or `NAME-seed0.json`, `NAME-seed1.json` ...) in a folder of records, which
`add_record` fills from a run's `metrics.json`. `paired: NAME` says how two recipes differ.
`night: NAME` (in short: `night-summary: NAME`), `robustness: NAME` and `promises: NAME` tabulate
what the verbs of these names found.
"""

import json
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from crydistill import atomic
from crydistill.errors import ConfigError
from crydistill.evaluation import paired, promises, promises_page, robustness, robustness_page
from crydistill.evaluation.compare import METRICS
from crydistill.evaluation.nighttables import (
    NIGHT_NAME,
    add_night,
    night_summary,
    night_table,
)

HEADLINE = (
    "roc_auc",
    "average_precision",
    "best_f1",
    "f1_at_validation",
    "fpr_at_validation",
    "recall_at_fpr_1pct",
    "recall_at_fpr_0.1pct",
)
"""Metrics of the clip score that documents show, of all in `compare.METRICS`."""

AGREEMENT = {
    "frame_correlation_cries": "Frame correlation with the teacher, mean over cries",
    "frame_correlation_cry_windows": "Frame correlation with the teacher, windows of cries pooled",
    "kl": "KL from the teacher per window, nats",
}

_CLIP_SCORE = "mean"
_STUDENT = "student INT8"
_BLOCK = re.compile(
    r"<!-- (results|series|paired|night|night-summary|robustness|promises): "
    r"([A-Za-z0-9._ -]+?) -->\n"
    r".*?<!-- end -->",
    re.DOTALL,
)

Record = dict[str, Any]


def add_record(run: str | Path, records: str | Path, name: str) -> Path:
    """Copy what documents need of a run's `metrics.json` into the folder of records.

    Raises
    ------
    ConfigError
        if the run has not been evaluated, or holds anything private.
    """
    # A run holds both; a folder that only `crydistill night` wrote has no metrics.
    if not (Path(run) / "metrics.json").is_file() and (Path(run) / NIGHT_NAME).is_file():
        return add_night(run, records, name)
    trials = [Path(run) / name for name in (robustness.RESULT_NAME, promises.RESULT_NAME)]
    trial = next((path for path in trials if path.is_file()), None)
    metrics = _read(trial or Path(run) / "metrics.json", "evaluate the run first")
    if metrics["clips"]["private"]:
        raise ConfigError(
            f"{run}: was evaluated on private clips; its figures may not be published"
        )
    for model in metrics.get("models", {}).values():
        for judged in model["clip_scores"].values():
            del judged["slices"], judged["source_auc"]
    path = Path(records) / f"{name}.json"
    atomic.write_text(path, json.dumps(metrics, indent=1) + "\n")
    return path


def update_document(path: str | Path, records: str | Path) -> bool:
    """Write the tables of a document anew; return whether anything changed.

    Raises
    ------
    ConfigError
        if a block names a record that is not there.
    """
    text = Path(path).read_text(encoding="utf-8")
    tables: dict[str, Callable[[Sequence[str], Path], str]] = {
        "results": _results_table,
        "series": _series_table,
        "night": night_table,
        "night-summary": night_summary,
        "paired": _trial_table(paired.table),
        "robustness": _trial_table(robustness_page.markdown_tables),
        "promises": _trial_table(promises_page.markdown_table),
    }

    def block(match: re.Match[str]) -> str:
        kind, names = match[1], match[2].split()
        table = tables[kind](names, Path(records))
        return f"<!-- {kind}: {match[2]} -->\n{table}\n<!-- end -->"

    updated = _BLOCK.sub(block, text)
    if updated == text:
        return False
    atomic.write_text(path, updated)
    return True


def _results_table(names: Sequence[str], records: Path) -> str:
    (name,) = names
    record = _read(records / f"{name}.json", "add it with `crydistill tables add`")
    models = record["models"]
    lines = [_row(["", *models]), _row(["---", *["---:"] * len(models)])]
    for key in HEADLINE:
        lines.append(
            _row([METRICS[key], *(_cell(_metric(model, key)) for model in models.values())])
        )
    for key, title in AGREEMENT.items():
        # A student with outputs of its own has no KL, and older records lack a row.
        found = [(model["agreement"] or {}).get(key, {"value": None}) for model in models.values()]
        if any(estimate["value"] is not None for estimate in found):
            cells = ["" if each["value"] is None else _cell(each) for each in found]
            lines.append(_row([title, *cells]))
    clips, intervals = record["clips"], record["intervals"]
    lines.append(
        f"\nClip score: mean over windows. {clips['clips']} clips, {clips['cries']} cries, "
        f"{clips['groups']} groups. 95 % intervals: {intervals['method']}, "
        f"{intervals['replicates']} resamples, seed {intervals['seed']}. "
        f"Student {record['provenance']['student']['size_bytes']:,} bytes, arena "
        f"{record['provenance']['arena_bytes']:,} bytes; teacher "
        f"{record['provenance']['teacher']['name']}; commit "
        f"{_commit(record)}."
    )
    return "\n".join(lines)


def _series_table(names: Sequence[str], records: Path) -> str:
    lines = [
        _row(["INT8 student", "seeds", *(METRICS[key] for key in HEADLINE)]),
        _row(["---", "---:", *["---:"] * len(HEADLINE)]),
    ]
    for name in names:
        seeds = _seeds(records, name)
        cells = [
            _seed_cell([_metric(record["models"][_STUDENT], key) for record in seeds])
            for key in HEADLINE
        ]
        lines.append(_row([name, str(len(seeds)), *cells]))
    teacher = _seeds(records, names[0])[0]["models"]["teacher"]
    lines.append(_row(["*teacher*", "", *(_cell(_metric(teacher, key)) for key in HEADLINE)]))
    lines.append(
        "\nMean over seeds ± standard deviation between seeds; in brackets the mean of the seeds' "
        "95 % group-bootstrap bounds, which say how far other recordings would move the figure."
    )
    return "\n".join(lines)


def _trial_table(
    table: Callable[[Record], str],
) -> Callable[[Sequence[str], Path], str]:
    """Tabulate a record that is no run's, by its own page."""

    def tabulate(names: Sequence[str], records: Path) -> str:
        (name,) = names
        return table(_read(records / f"{name}.json", "add it with `crydistill tables add`"))

    return tabulate


def _seeds(records: Path, name: str) -> list[Record]:
    paths = sorted(records.glob(f"{name}-seed*.json")) or [records / f"{name}.json"]
    return [_read(path, "add it with `crydistill tables add`") for path in paths]


def _metric(model: Record, key: str) -> Record:
    metric: Record = model["clip_scores"][_CLIP_SCORE]["metrics"][key]
    return metric


def _cell(estimate: Record) -> str:
    if estimate["value"] is None:
        return "–"
    text = f"{estimate['value']:.3f}"
    if estimate["low"] is None:
        return text
    return f"{text} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def _seed_cell(estimates: Sequence[Record]) -> str:
    values = [estimate["value"] for estimate in estimates]
    if None in values:
        return "–"
    text = f"{statistics.fmean(values):.3f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.3f}"
    bounds = [(e["low"], e["high"]) for e in estimates if e["low"] is not None]
    if len(bounds) == len(estimates):
        low, high = (statistics.fmean(side) for side in zip(*bounds, strict=True))
        text += f" [{low:.3f}, {high:.3f}]"
    return text


def _commit(record: Record) -> str:
    commit = record["provenance"]["git_commit"]
    return commit[:10] + ("-dirty" if commit.endswith("-dirty") else "") if commit else "unknown"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _read(path: Path, remedy: str) -> Record:
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); {remedy}") from error
    return record
