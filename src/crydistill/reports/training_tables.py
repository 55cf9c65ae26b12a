"""Compare recipes by their validation metrics, without the test clips.

A recipe is chosen on validation, and only the chosen one is evaluated. To document the choice,
trained runs are recorded without an evaluation: their settings and their best epoch.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crydistill.distill.history import best_epoch, read_history
from crydistill.errors import ConfigError
from crydistill.experiment.load import load_config
from crydistill.experiment.schema import ExperimentConfig
from crydistill.json_file import read_json
from crydistill.metrics.intervals import NOTHING
from crydistill.metrics.records import (
    Record,
    markdown_table,
    number_text,
    plain,
)
from crydistill.provenance import made_by
from crydistill.reports.run_tables import COST_TITLES, keep_record, read_seeds, spread_text
from crydistill.run_directory import RunDirectory
from crydistill.student.manifest import load_manifest

SECTIONS = ("selection", "student", "training")
"""Config sections that are compared; the training data shows only in the number of windows."""

SHOWN = {
    "auc": "ROC AUC",
    "average_precision": "Average precision",
    "recall_at_1pct_fpr": "Recall at FPR 1 %",
    "average_precision_top4": "Average precision, top4",
    "correlation": "Correlation with the targets",
}
"""Validation metrics on clips by their name in `history.csv`, with their titles."""

SHOWN_OF_NIGHTS = {
    "caught_1_per_hour": "Episodes caught at 1 false alarm an hour",
    "caught_0.25_per_hour": "... at 1 in 4 hours",
}
"""The same for students with memory, which are validated on a night."""

HISTORY_NAME = "history.csv"


def read_training(
    files: RunDirectory,
) -> tuple[ExperimentConfig, list[dict[str, float]], int | None]:
    """Config of a trained run, history of its last training, and index of the best epoch in it.

    The index is None if no epoch was validated.
    """
    config = load_config(files.config)
    directory = files.last_training(memory=config.student.memory is not None)
    history = read_history(directory / HISTORY_NAME)
    return config, history, best_epoch(history, config.best_metric)


def add_training(run: str | Path, records: str | Path, name: str) -> Path:
    """Record a trained run that was not evaluated.

    Raises
    ------
    ConfigError
        if no epoch of the run was validated.
    """
    files = RunDirectory(Path(run))
    config, history, best = read_training(files)
    if best is None:
        raise ConfigError(f"{run}: no epoch was validated; train the run first")
    memory = config.student.memory is not None
    selection = read_json(files.selection, "train the run first")
    record = {
        "windows": _windows(config, selection, len(history)),
        "settings": _settings(config),
        "epoch": best + 1,
        "validation": {
            key: plain(history[best][f"val_{key}"])
            for key in (SHOWN_OF_NIGHTS if memory else SHOWN)
        },
        "costs": _costs(files.manifest),
        "provenance": made_by(seed=config.seed),
    }
    if files.without_memory.is_file():
        alone = read_json(files.without_memory, "train the run again")
        record["without_memory"] = {key: plain(alone[key]) for key in SHOWN_OF_NIGHTS}
    return keep_record(record, records, name)


def _settings(config: ExperimentConfig) -> Record:
    """What recipes are compared by: the sections, and of teachers what is not as usual."""
    dumped = config.model_dump(mode="json", include=set(SECTIONS))
    settings = {section: dumped[section] for section in SECTIONS}
    if config.student.memory:  # left out of what is dumped where it has its defaults
        settings["training"]["memory"] = config.training.memory.model_dump(mode="json")
    teacher = config.teacher.model_dump(include={"context"}, exclude_defaults=True)
    if config.teacher.judge:
        teacher["judge"] = config.teacher.judge.stem
    return settings | ({"teacher": teacher} if teacher else {})


def trainings_table(names: Sequence[str], records: Path) -> str:
    """Tabulate trained recipes: `<!-- trainings: NAME NAME ... -->` of `reports.documents`.

    The settings of the others are compared with the first's.

    Raises
    ------
    ConfigError
        if one has no record, or that of an evaluation.
    """
    recipes = {name: read_seeds(records, name) for name in names}
    for name, seeds in recipes.items():
        if not all("settings" in seed for seed in seeds):
            raise ConfigError(
                f"{name}: a record of an evaluation, without the settings of the training; keep "
                "the one that `crydistill tables add` makes before the run is evaluated"
            )
    first = _flat(recipes[names[0]][0]["settings"])
    # Costs only if all recipes were converted to INT8: those of some would compare nothing.
    all_cost = all(seeds[0].get("costs") for seeds in recipes.values())
    costs = list(COST_TITLES) if all_cost else []
    of_nights = any("caught_1_per_hour" in one["validation"] for s in recipes.values() for one in s)
    shown = SHOWN_OF_NIGHTS if of_nights else SHOWN
    rows = [
        row for name, seeds in recipes.items() for row in _rows(name, seeds, first, costs, shown)
    ]
    columns = ["recipe", "what differs", "seeds", "windows", *(COST_TITLES[key] for key in costs)]
    columns += shown.values()
    where = "a night composed of the validation clips" if of_nights else "validation clips"
    return (
        f"{markdown_table(columns, rows, text_columns=2)}\n\n"
        f"On {where}, best epoch. Mean over seeds ± standard deviation between seeds."
    )


def _windows(config: ExperimentConfig, selection: Mapping[str, int], epochs: int) -> int:
    """Windows that a student saw in training."""
    if config.student.memory is None:
        return selection["windows_per_epoch"] * epochs
    before = selection["windows_per_epoch"] * config.training.epochs
    return before + selection["stream_windows"] * epochs


def _costs(manifest: Path) -> dict[str, int | None]:
    if not manifest.is_file():
        return {}
    student = load_manifest(manifest)
    return {
        "size_bytes": student.tflite.size_bytes,
        "arena_bytes": student.arena.size_bytes if student.arena else None,
        "macs": student.macs,
    }


def _rows(
    name: str,
    seeds: Sequence[Record],
    first: Mapping[str, Any],
    costs: Sequence[str],
    shown: Iterable[str],
) -> Iterator[list[str]]:
    """A recipe, and behind it what its window network catches without the memory."""
    sizes = [number_text(seeds[0]["costs"][key], "{:,}") for key in costs]
    differs = ", ".join(_differences(first, _flat(seeds[0]["settings"])))
    known = [f"{seeds[0]['windows']:,}", *sizes]
    figures = _figures([seed["validation"] for seed in seeds], shown)
    yield [name, differs, str(len(seeds)), *known, *figures]
    # Records from before this was measured lack it.
    if all("without_memory" in seed for seed in seeds):
        figures = _figures([seed["without_memory"] for seed in seeds], shown)
        nothing = [NOTHING] * len(known)
        yield [name, "its window network alone", str(len(seeds)), *nothing, *figures]


def _figures(seeds: Sequence[Mapping[str, float]], shown: Iterable[str]) -> list[str]:
    """The figures of a recipe's seeds; records from before a metric existed lack it."""
    return [
        spread_text([seed[key] for seed in seeds])
        if all(key in seed for seed in seeds)
        else NOTHING
        for key in shown
    ]


def _differences(first: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Settings that are others than the first recipe's; a section that is not there is one."""
    found = {}
    for key in dict.fromkeys([*first, *settings]):
        if settings.get(key) != first.get(key):
            section, _, _ = key.rpartition(".")
            absent = not any(other.startswith(f"{section}.") for other in settings)
            shown, value = (section, "none") if absent else (key, settings.get(key))
            found[shown.partition(".")[2]] = value
    return [f"{name} {value}" for name, value in found.items()]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings under dotted keys: `{"training": {"epochs": 2}}` to `{"training.epochs": 2}`."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
