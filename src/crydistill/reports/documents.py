"""Tables in documents, written by a command from what runs recorded.

A document holds marked blocks:

    <!-- results: real -->
    ... replaced ...
    <!-- end -->

`results: NAME` tabulates one run, every model beside the others. `series: NAME NAME ...` tabulates
the INT8 students of several experiments, a row each, over all seeds recorded of them, `zoo:` the
same ones by what they cost, `slices:` by which cries and which other sounds they detect, and
`models:` by everything that somebody who chooses one asks.
`trainings:` has recipes by what validation said of them, evaluated or not. The figures come from
`NAME.json` (or `NAME-seed0.json`, `NAME-seed1.json` ...) in a folder of records, which `add_record`
fills from a run's `metrics.json`. `paired: NAME` says how two recipes differ. `night: NAME` (in
short: `night-summary: NAME`), `robustness: NAME`, `promises: NAME` and `front-ends: NAME` tabulate
what the verbs of these names found. `firmware: instructions` and `firmware: memory` tabulate the
record of `crydistill firmware-cost` that travels with the package.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from crydistill.device import front_ends
from crydistill.device.cost_record import cost_record
from crydistill.errors import ConfigError
from crydistill.evaluation import paired, robustness
from crydistill.json_file import read_json
from crydistill.metrics.records import Record, write_record
from crydistill.nights import promises
from crydistill.reports import promises_page, robustness_page
from crydistill.reports.blocks import replace_blocks
from crydistill.reports.firmware_tables import firmware_table
from crydistill.reports.model_tables import models_table
from crydistill.reports.night_tables import (
    NIGHT_NAME,
    add_night,
    night_summary,
    night_table,
    read_night,
)
from crydistill.reports.run_tables import read_run, results_table, series_table
from crydistill.reports.slice_tables import kept_slices, slices_table
from crydistill.reports.student_tables import zoo_table
from crydistill.reports.training_tables import HISTORY_NAME, add_training, trainings_table
from crydistill.run_directory import RunDirectory
from crydistill.student.manifest import MANIFEST_NAME, load_manifest


class Block(Protocol):
    """Makes the text of a block from the names in its first line and the folder of records."""

    def __call__(self, names: Sequence[str], records: Path) -> str: ...


def _of_one(table: Callable[[Record], str], read: Callable[[Path], Record] = read_run) -> Block:
    """Make a block that names one record of the table of that record."""

    def block(names: Sequence[str], records: Path) -> str:
        (name,) = names
        return table(read(records / f"{name}.json"))

    return block


def _firmware(names: Sequence[str], records: Path) -> str:
    # The counts travel with the package, since `profile` needs them.
    (name,) = names
    return firmware_table(name, cost_record())


BLOCKS: dict[str, Block] = {
    "results": _of_one(results_table),
    "series": series_table,
    "slices": slices_table,
    "zoo": zoo_table,
    "models": models_table,
    "trainings": trainings_table,
    "paired": _of_one(paired.table),
    "night": _of_one(night_table, read_night),
    "night-summary": _of_one(night_summary, read_night),
    "robustness": _of_one(robustness_page.markdown_tables),
    "promises": _of_one(promises_page.markdown_table),
    "front-ends": _of_one(front_ends.markdown),
    "firmware": _firmware,
}


def add_record(run: str | Path, records: str | Path, name: str) -> Path:
    """Copy what documents need of what a verb found into the folder of records.

    Parameters
    ----------
    run : a run directory, evaluated or only trained, or a folder of `night`, `robustness` or
        `promises`

    Raises
    ------
    ConfigError
        if there is nothing, or it holds anything private; if a run's student is not the one that
        was evaluated.
    """
    run = Path(run)
    files = RunDirectory(run)
    # An evaluated run holds all of these; the folder of a night or a run only trained, one.
    if not files.metrics.is_file():
        if (run / NIGHT_NAME).is_file():
            return add_night(run, records, name)
        if (files.training / HISTORY_NAME).is_file():
            return add_training(run, records, name)
    trials = [run / trial.RESULT_NAME for trial in (robustness, promises, front_ends)]
    trial = next((path for path in trials if path.is_file()), None)
    found = read_json(trial or files.metrics, "evaluate the run first")
    if found["clips"]["private"]:
        raise ConfigError(
            f"{run}: was evaluated on private clips; its figures may not be published"
        )
    kept_slices(found.get("models", {}).values())
    for model in found.get("models", {}).values():
        for judged in model["clip_scores"].values():
            del judged["source_auc"]
    if trial is None and (run / MANIFEST_NAME).is_file():
        _add_costs(found["provenance"], run / MANIFEST_NAME)
    path = Path(records) / f"{name}.json"
    write_record(path, found)
    return path


def update_document(path: str | Path, records: str | Path) -> bool:
    """Write the tables of a document anew; return whether anything changed.

    Raises
    ------
    ConfigError
        if a block names a record that is not there.
    """
    return replace_blocks(
        path, {kind: partial(block, records=Path(records)) for kind, block in BLOCKS.items()}
    )


def _add_costs(provenance: dict[str, Any], path: Path) -> None:
    """Add what `metrics.json` does not say of the student."""
    manifest = load_manifest(path)
    if manifest.tflite.sha256 != provenance["student"]["sha256"]:
        raise ConfigError(
            f"{path}: is of another student than was evaluated; evaluate the run again"
        )
    provenance["macs"], provenance["parameters"] = manifest.macs, manifest.parameters
