"""Tables of recorded runs: one run with all its models, or several experiments over seeds.

Runs of one experiment differ in their seed and are recorded as `NAME-seed0`, `NAME-seed1` and so
on. Records from before a clip score or an agreement metric existed lack its rows.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from scipy.special import stdtrit

from crydistill.evaluation.compare import DIFFERENCES, METRICS
from crydistill.json_file import read_json
from crydistill.metrics.intervals import LEVEL, NOTHING, Estimate
from crydistill.metrics.ranking import ClipScore
from crydistill.metrics.records import (
    Record,
    commit_text,
    estimate_text,
    markdown_table,
    write_record,
)
from crydistill.places import without_absolute_paths
from crydistill.roles import Role

TEACHER = "teacher"

COST_TITLES = {"size_bytes": "bytes", "arena_bytes": "arena bytes", "macs": "MACs per window"}
"""Costs of a student on a device and their titles in tables."""

HEADLINE = (
    "roc_auc",
    "average_precision",
    "best_f1",
    "f1_at_validation",
    "fpr_at_validation",
    "recall_at_fpr_1pct",
    "recall_at_fpr_0.1pct",
)
"""Metrics of the mean over windows that documents show, from `compare.METRICS`."""

BESIDE = ClipScore.TOP4
"""The clip score whose metrics (`compare.DIFFERENCES`) are shown in addition to the mean's."""

AGREEMENT = {
    "frame_correlation_cries": "Frame correlation with the teacher, mean over cries",
    "frame_correlation_cry_windows": "Frame correlation with the teacher, windows of cries pooled",
    "kl": "KL from the teacher per window, nats",
}

SEEDS_EXPLAINED = (
    "Mean over seeds ± standard deviation between seeds; in brackets, the seeds' mean 95 % "
    "group-bootstrap bounds, which show the uncertainty from the choice of recordings."
)
"""Explains `seeds_text`."""


def read_run(path: Path) -> Record:
    """Read the record of a run.

    Raises
    ------
    ConfigError
        if it is missing.
    """
    return read_json(path, "add it with `crydistill tables add`")


def keep_record(record: Record, records: str | Path, name: str) -> Path:
    """Write a record into the folder of records; return its path.

    Where on a machine something lies is its owner's, and no figure depends on it: absolute paths
    keep their last component.
    """
    path = Path(records) / f"{name}.json"
    write_record(path, without_absolute_paths(record))
    return path


def read_seeds(records: Path, name: str) -> list[Record]:
    """Read the records of an experiment, one per seed, or its only one.

    Raises
    ------
    ConfigError
        if there is none.
    """
    paths = sorted(records.glob(f"{name}-seed*.json")) or [records / f"{name}.json"]
    return [read_run(path) for path in paths]


def metric_of(model: Record, key: str, how: ClipScore = ClipScore.MEAN) -> Record:
    """Return a model's metric with its interval."""
    metric: Record = model["clip_scores"][how]["metrics"][key]
    return metric


def results_table(record: Record) -> str:
    """Tabulate one run, one column per model."""
    models = record["models"].values()
    rows = [
        [METRICS[key], *(estimate_text(metric_of(model, key)) for model in models)]
        for key in HEADLINE
    ]
    if _has(record, BESIDE):
        rows += [
            [
                f"{METRICS[key]}, {BESIDE}",
                *(estimate_text(metric_of(model, key, BESIDE)) for model in models),
            ]
            for key in DIFFERENCES
        ]
    for key, title in AGREEMENT.items():
        found = [(model["agreement"] or {}).get(key, {"value": None}) for model in models]
        if any(estimate["value"] is not None for estimate in found):
            cells = ["" if each["value"] is None else estimate_text(each) for each in found]
            rows.append([title, *cells])
    return f"{markdown_table(['', *record['models']], rows)}\n\n{_made_of(record)}"


def series_table(names: Sequence[str], records: Path) -> str:
    """Tabulate the INT8 students of several experiments over their seeds, a row each."""
    experiments = {name: read_seeds(records, name) for name in names}
    parts = [_series(experiments, ClipScore.MEAN, HEADLINE), SEEDS_EXPLAINED]
    known = {
        name: seeds for name, seeds in experiments.items() if all(_has(s, BESIDE) for s in seeds)
    }
    if known:
        parts += [
            f"The same with the {BESIDE.words} as clip score:",
            _series(known, BESIDE, DIFFERENCES),
        ]
    return "\n\n".join(parts)


def teachers(experiments: Mapping[str, Sequence[Record]]) -> dict[str, Record]:
    """Return the results of each teacher of some experiments' students.

    By title for tables, which names the teacher if there are several.
    """
    found: dict[str, Record] = {}
    for run in (seed for seeds in experiments.values() for seed in seeds):
        found.setdefault(run["provenance"]["teacher"]["name"], run["models"][TEACHER])
    if len(found) == 1:
        return {TEACHER: next(iter(found.values()))}
    return {f"{TEACHER}, {name}": model for name, model in found.items()}


def seed_count(count: int) -> str:
    """Write a number of seeds: "1 seed", "5 seeds"."""
    return f"{count} seed{'' if count == 1 else 's'}"


def spread_text(values: Sequence[float], form: str = "{:.3f}") -> str:
    """Write a mean over seeds with the standard deviation between them: "0.982 ± 0.001"."""
    text = form.format(statistics.fmean(values))
    return f"{text} ± {form.format(statistics.stdev(values))}" if len(values) > 1 else text


def over_seeds(values: Sequence[float]) -> Estimate:
    """Mean of a figure over seeds with its 95 % interval, of Student's t; none of a single seed.

    It says how sure the recipe's mean is when other seeds are drawn; the recordings stay the same.
    It does not reach below 0 unless a seed does: rates, shares and delays are never negative.

    Examples
    --------
    >>> from crydistill.reports.run_tables import over_seeds
    >>> print(over_seeds([0.90, 0.92, 0.94]))
    0.920 [0.870, 0.970]
    >>> print(over_seeds([0.01, 0.20]))
    0.105 [0.000, 1.312]
    >>> print(over_seeds([0.90]))
    0.900
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Estimate(mean, math.nan, math.nan)
    quantile = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2))
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    return Estimate(mean, max(mean - half, min(0.0, *values)), mean + half)


def seeds_text(estimates: Sequence[Record]) -> str:
    """Write a metric over seeds: "0.982 ± 0.001 [0.970, 0.990]", see `SEEDS_EXPLAINED`."""
    values = [estimate["value"] for estimate in estimates]
    if None in values:
        return NOTHING
    bounds = [(e["low"], e["high"]) for e in estimates if e["low"] is not None]
    text = spread_text(values)
    if len(bounds) < len(estimates):
        return text
    low, high = (statistics.fmean(side) for side in zip(*bounds, strict=True))
    return f"{text} [{low:.3f}, {high:.3f}]"


def _series(experiments: dict[str, list[Record]], how: ClipScore, keys: Sequence[str]) -> str:
    rows = [
        [
            name,
            str(len(seeds)),
            *(
                seeds_text([metric_of(seed["models"][Role.INT8], key, how) for seed in seeds])
                for key in keys
            ),
        ]
        for name, seeds in experiments.items()
    ]
    rows += [
        [f"*{title}*", "", *(estimate_text(metric_of(teacher, key, how)) for key in keys)]
        for title, teacher in teachers(experiments).items()
    ]
    return markdown_table(["INT8 student", "seeds", *(METRICS[key] for key in keys)], rows)


def _has(record: Record, how: ClipScore) -> bool:
    return all(how in model["clip_scores"] for model in record["models"].values())


def _made_of(record: Record) -> str:
    clips, intervals, provenance = record["clips"], record["intervals"], record["provenance"]
    beside = f"; {BESIDE}: {BESIDE.words}" if _has(record, BESIDE) else ""
    return (
        f"Clip score: mean over windows{beside}. {clips['clips']} clips, {clips['cries']} cries, "
        f"{clips['groups']} groups. 95 % intervals: {intervals['method']}, "
        f"{intervals['replicates']} resamples, seed {intervals['seed']}. "
        f"Student {provenance['student']['size_bytes']:,} bytes, arena "
        f"{provenance['arena_bytes']:,} bytes; teacher {provenance['teacher']['name']}; commit "
        f"{commit_text(provenance)}."
    )
