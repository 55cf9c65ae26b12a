"""Tables in documents, generated from recorded runs.

A document holds marked blocks:

    <!-- results: real -->
    ... replaced ...
    <!-- end -->

- `results: NAME`: one run, a column per model.
- `series: NAME NAME ...`: INT8 students of several experiments over all recorded seeds, a row each;
  `zoo:` by their costs, `slices:` by the cries and other sounds they detect, `models:` with all
  that matters for choosing one.
- `trainings: NAME NAME ...`: validation metrics of recipes, evaluated or not.
- `paired: NAME`: the difference of two recipes.
- `night: NAME` (short: `night-summary: NAME`, shorter: `night-presets: NAME`, over one recipe's
  seeds: `night-seeds: NAME`), `robustness: NAME`, `promises: NAME`, `front-ends: NAME`: results of
  these commands.
- `boards: NAME BOARD BOARD ...`: boards of a student's `crydistill profile --json`.
- `storage: NAME`: what score stores cost, recorded by `benchmarks/score_storage.py`.
- `scale: NAME`: lists of millions of clips, by `benchmarks/corpora_scale.py`.
- `adapting: NAME`: adapted in simulated homes (`adapt-homes`).
- `firmware: instructions`, `firmware: memory`: the packaged record of `crydistill firmware-cost`.

The figures come from `NAME.json` (or `NAME-seed0.json`, `NAME-seed1.json` ...) in a folder of
records, which `add_record` fills from a run's `metrics.json`.
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
from crydistill.metrics.records import Record
from crydistill.nights import adapting, promises
from crydistill.reports import adapting_tables, promises_page, robustness_page
from crydistill.reports.blocks import replace_blocks
from crydistill.reports.board_table import boards_table
from crydistill.reports.firmware_tables import firmware_table
from crydistill.reports.model_tables import models_table
from crydistill.reports.night_tables import (
    NIGHT_NAME,
    add_night,
    night_presets,
    night_seeds,
    night_summary,
    night_table,
    read_night,
)
from crydistill.reports.run_tables import keep_record, read_run, results_table, series_table
from crydistill.reports.scale_tables import read_scale, scale_table
from crydistill.reports.slice_tables import kept_slices, slices_table
from crydistill.reports.storage_table import storage_table
from crydistill.reports.student_tables import zoo_table
from crydistill.reports.training_tables import HISTORY_NAME, add_training, trainings_table
from crydistill.run_directory import RunDirectory
from crydistill.student.manifest import MANIFEST_NAME, load_manifest


class Block(Protocol):
    """Renders a block from the names in its first line and the folder of records."""

    def __call__(self, names: Sequence[str], records: Path) -> str: ...


def _of_one(table: Callable[[Record], str], read: Callable[[Path], Record] = read_run) -> Block:
    """Make a block for one named record."""

    def block(names: Sequence[str], records: Path) -> str:
        (name,) = names
        return table(read(records / f"{name}.json"))

    return block


def _firmware(names: Sequence[str], records: Path) -> str:
    # The record is packaged, since `profile` needs it.
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
    "night-presets": _of_one(night_presets, read_night),
    "night-seeds": _of_one(night_seeds, read_night),
    "boards": boards_table,
    "robustness": _of_one(robustness_page.markdown_tables),
    "promises": _of_one(promises_page.markdown_table),
    "adapting": _of_one(adapting_tables.markdown_tables),
    "front-ends": _of_one(front_ends.markdown),
    "storage": _of_one(storage_table),
    "firmware": _firmware,
    "scale": _of_one(scale_table, read_scale),
}


def add_record(run: str | Path, records: str | Path, name: str) -> Path:
    """Copy the part of a command's results that documents need into the folder of records.

    Parameters
    ----------
    run : a run directory, evaluated or only trained, or an output folder of `night`, `robustness`,
        `promises` or `adapt-homes`

    Raises
    ------
    ConfigError
        if there are no results, or private ones; if a run's student is not the evaluated one.
    """
    run = Path(run)
    files = RunDirectory(run)
    # An evaluated run has all of these; a night's folder or a run that was only trained has one.
    if not files.metrics.is_file():
        if (run / NIGHT_NAME).is_file():
            return add_night(run, records, name)
        if (files.training / HISTORY_NAME).is_file():
            return add_training(run, records, name)
    trials = [run / trial.RESULT_NAME for trial in (robustness, promises, adapting, front_ends)]
    trial = next((path for path in trials if path.is_file()), None)
    path = trial or files.metrics
    found = read_json(path, "evaluate the run first")
    if "private" not in found.get("clips", ()):
        raise ConfigError(f"{path}: holds no results of an evaluation; evaluate the run again")
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
    return keep_record(found, records, name)


def update_document(path: str | Path, records: str | Path) -> bool:
    """Regenerate the tables of a document; return whether anything changed.

    Raises
    ------
    ConfigError
        if a block names a record that is missing or of another kind.
    """
    renders = {kind: partial(_rendered, block, Path(records)) for kind, block in BLOCKS.items()}
    return replace_blocks(path, renders)


def _rendered(block: Block, records: Path, names: Sequence[str]) -> str:
    try:
        return block(names, records)
    except KeyError as error:
        raise ConfigError(
            f"{records}: a record of '{' '.join(names)}' holds no {error}; add its run again with "
            "`crydistill tables add`, or choose another block for it"
        ) from error


def _add_costs(provenance: dict[str, Any], path: Path) -> None:
    """Add the student's costs that `metrics.json` lacks."""
    manifest = load_manifest(path)
    if manifest.tflite.sha256 != provenance["student"]["sha256"]:
        raise ConfigError(f"{path}: not the student that was evaluated; evaluate the run again")
    provenance["macs"], provenance["parameters"] = manifest.macs, manifest.parameters
