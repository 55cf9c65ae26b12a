"""Tables of recall and false positives by slice, over the seeds of a recipe.

All at 1 % false positives over all clips, each model at its own threshold: rates in a table are
comparable, and a sound with a rate above 1 % is harder than average.
"""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from crydistill.metrics.ranking import ClipScore
from crydistill.metrics.records import Record, estimate_text, markdown_table
from crydistill.reports.run_tables import read_seeds, seed_count, spread_text, teachers
from crydistill.roles import Role

SHOWN_CATEGORIES = 6
"""Number of kinds of sound in the table, those with most false alarms of all models first."""

_RATES = {"cry": "recall", "noncry": "false_positive_rate"}
_Key = tuple[str, str, str]


def kept_slices(models: Iterable[Record]) -> None:
    """Keep only the slices that documents show (see `slices_table`) in each model's results."""
    models = list(models)
    for model in models:
        for how, judged in model["clip_scores"].items():
            if how != ClipScore.MEAN:
                del judged["slices"]
    judged = [model["clip_scores"][ClipScore.MEAN] for model in models]
    raising = {
        _key(part) for each in judged for part in each["slices"] if (_rate(part)["value"] or 0) > 0
    }
    for each in judged:
        each["slices"] = [
            part
            for part in each["slices"]
            if part["label"] == "cry" or (part["kind"] == "category" and _key(part) in raising)
        ]


def slices_table(names: Sequence[str], records: Path) -> str:
    """Tabulate teacher and INT8 students: recall by band and source, false positives by category.

    Raises
    ------
    ConfigError
        if there is no record of a name.
    """
    experiments = {name: read_seeds(records, name) for name in names}
    taught_by = {title: _slices(model) for title, model in teachers(experiments).items()}
    first = next(iter(taught_by.values()))
    students = {
        name: [_slices(seed["models"][Role.INT8]) for seed in seeds]
        for name, seeds in experiments.items()
    }
    columns = [*([each] for each in taught_by.values()), *students.values()]
    cries = [key for key in first if key[2] == "cry"]
    sounds = sorted(
        {key for column in columns for seed in column for key in seed if key[2] == "noncry"},
        key=lambda key: -sum(_mean(column, key) * _clips(columns, key) for column in columns),
    )
    rows = [
        [
            _title(key, _clips(columns, key)),
            *(
                estimate_text(_rate(each[key])) if key in each else "0.000"
                for each in taught_by.values()
            ),
            *(spread_text([_value(seed, key) for seed in seeds]) for seeds in students.values()),
        ]
        for key in [*cries, *sounds[:SHOWN_CATEGORIES]]
    ]
    heads = [f"{name} INT8, {seed_count(len(seeds))}" for name, seeds in students.items()]
    return (
        f"{markdown_table(['', *taught_by, *heads], rows)}\n\n"
        "Clip score: mean over windows; each model at its threshold of 1 % false positives over "
        "all clips. Students: mean over seeds ± standard deviation between seeds. Sounds: those "
        "most often mistaken for a cry."
    )


def _slices(model: Record) -> dict[_Key, dict[str, Any]]:
    return {_key(part): part for part in model["clip_scores"][ClipScore.MEAN]["slices"]}


def _key(part: Record) -> _Key:
    return part["kind"], part["name"], part["label"]


def _rate(part: Record) -> Record:
    rate: Record = part[_RATES[part["label"]]]
    return rate


def _value(slices: dict[_Key, dict[str, Any]], key: _Key) -> float:
    """Return a rate; a category without false positives in a run is not in its record."""
    return float(_rate(slices[key])["value"] or 0.0) if key in slices else 0.0


def _mean(column: Sequence[dict[_Key, dict[str, Any]]], key: _Key) -> float:
    return statistics.fmean(_value(slices, key) for slices in column)


def _clips(columns: Sequence[Sequence[dict[_Key, dict[str, Any]]]], key: _Key) -> int:
    return next(int(seed[key]["clips"]) for column in columns for seed in column if key in seed)


def _title(key: _Key, clips: int) -> str:
    kind, name, label = key
    if label == "noncry":
        return f"False positives, {name} ({clips} clips)"
    of = f"{name}-band cries" if kind == "band" else f"cries of {name}"
    return f"Recall, {of} ({clips} clips)"
