"""The command line: parses, delegates, prints.

Every verb imports what it needs when it runs, so that `--help` answers at once and `detect` never
loads TensorFlow.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crydistill.errors import AudioError, CheckFailed, CrydistillError, MissingExtraError

if TYPE_CHECKING:
    from crydistill.evaluation.compare import Evaluation
    from crydistill.stages.context import Context

app = typer.Typer(
    name="crydistill",
    help="Distil YAMNet into a tiny INT8 student that hears a baby's cry on a microcontroller.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
teacher_app = typer.Typer(help="The teacher network.", no_args_is_help=True)
app.add_typer(teacher_app, name="teacher")
tables_app = typer.Typer(help="Tables in documents, from recorded runs.", no_args_is_help=True)
app.add_typer(tables_app, name="tables")

ConfigArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[CONFIG]", help="A YAML file; the synthetic nursery if left out."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a config key; repeatable."),
]
RunsOption = Annotated[Path, typer.Option("--runs", help="Directory of the run directories.")]
RecordsOption = Annotated[Path, typer.Option("--records", help="Folder of recorded runs.")]
RUNS = Path("runs")
EXPERIMENTS = Path("docs/experiments")
RECORDS = EXPERIMENTS / "results"


def main() -> None:
    """Run the command line; deliberate errors are one line and an exit code."""
    # TensorFlow's C++ side chatters on standard error unless told so before its import.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app(standalone_mode=True)
    except CrydistillError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _TRAINING_MODULES:
            raise
        _complain(
            f"this command needs {error.name}, which is part of the full install: "
            "pip install 'crydistill[train]'"
        )
        sys.exit(MissingExtraError.exit_code)
    except KeyboardInterrupt:
        _complain("interrupted; run the same command again to go on")
        sys.exit(130)


_TRAINING_MODULES = frozenset(
    {"h5py", "keras", "matplotlib", "sklearn", "tensorflow", "tensorboard", "tflite_micro"}
)


@app.command()
def run(config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS) -> None:
    """Run a whole experiment: score, select, train, quantize, evaluate."""
    from crydistill.stages.run import run_all

    context = _context(config, set_, runs)
    run_all(context)
    print(f"report: {context.run.report}")


@app.command()
def score(config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS) -> None:
    """Give every clip of an experiment the teacher's scores."""
    from crydistill.stages.score import score

    score(_context(config, set_, runs))


@app.command()
def select(config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS) -> None:
    """Choose the windows that train."""
    from crydistill.stages.select import select

    select(_context(config, set_, runs))


@app.command()
def train(config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS) -> None:
    """Train the student, or go on with an interrupted training."""
    from crydistill.stages.train import train

    train(_context(config, set_, runs))


@app.command()
def quantize(
    config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS
) -> None:
    """Turn the trained student into a checked INT8 .tflite with its manifest."""
    from crydistill.stages.quantize import quantize

    quantize(_context(config, set_, runs))


@app.command()
def evaluate(
    config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS
) -> None:
    """Compare teacher, FP32 and INT8 student on the test clips; write metrics and report."""
    from crydistill.stages.evaluate import evaluate

    context = _context(config, set_, runs)
    evaluate(context)
    print(f"report: {context.run.report}")


@app.command()
def detect(
    files: Annotated[list[Path], typer.Argument(help="Recordings, of any rate and length.")],
    model: Annotated[
        Path | None,
        typer.Option(help="A student.tflite or its directory; the packaged one if left out."),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Operating point of the student's manifest.")
    ] = "balanced",
    threshold: Annotated[
        float | None, typer.Option(help="Score from which a window votes.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", help="Votes that raise an alert.")] = None,
    m: Annotated[int | None, typer.Option("-m", help="Windows that vote.")] = None,
    hold: Annotated[
        float | None, typer.Option(help="Seconds without a vote that end an alert.")
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="One JSON object a line and file, scores included.")
    ] = False,
) -> None:
    """Find cries in recordings. Works without TensorFlow."""
    from crydistill.detector.files import detect_file
    from crydistill.detector.settings import vote_settings
    from crydistill.quantize.interpreters import Kernels
    from crydistill.student.packaged import packaged_student
    from crydistill.student.runtime import TfliteStudent

    student = TfliteStudent.load(model or packaged_student(), Kernels.OPTIMIZED)
    settings = vote_settings(
        student.manifest, preset=preset, threshold=threshold, n=n, m=m, hold_seconds=hold
    )
    failures = 0
    for path in files:
        try:
            detection = detect_file(path, student, settings)
        except AudioError as error:
            failures += 1
            _complain(str(error))
            continue
        if json_:
            print(json.dumps(detection.to_json()), flush=True)
        else:
            print("\n".join(detection.lines()), flush=True)
    if failures == len(files):
        raise typer.Exit(AudioError.exit_code)
    if failures:
        raise typer.Exit(CheckFailed.exit_code)


@app.command()
def nursery(
    directory: Annotated[Path, typer.Argument(help="Where the recordings go.")],
    seed: Annotated[int, typer.Option(min=0, help="Other seeds give other recordings.")] = 0,
) -> None:
    """Render the synthetic nursery: ten minutes of labelled audio, without any recording."""
    from crydistill.audio.nursery import write_nursery
    from crydistill.progress import shown

    print(write_nursery(directory, seed=seed, progress=shown))


@teacher_app.command("fetch")
def teacher_fetch() -> None:
    """Download the official YAMNet weights (15 MB) into the cache, checked by size and sha256."""
    from crydistill.progress import shown
    from crydistill.settings import cache_dir
    from crydistill.teacher.fetch import fetch_teacher

    print(fetch_teacher(cache_dir(), progress=shown))


@teacher_app.command("record")
def teacher_record(
    weights: Annotated[Path, typer.Argument(help="A teacher: .h5 or .tflite.")],
    out: Annotated[Path, typer.Argument(help="The .npz to write.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the nursery.")] = 0,
) -> None:
    """Record a teacher's scores of the synthetic nursery into one small file."""
    from crydistill.progress import shown
    from crydistill.stages.record import record_nursery

    record_nursery(weights, out, seed=seed, progress=shown)


@tables_app.command("add")
def tables_add(
    run: Annotated[Path, typer.Argument(help="A run directory that has been evaluated.")],
    name: Annotated[str, typer.Argument(help="What documents call it, such as real-seed0.")],
    records: RecordsOption = RECORDS,
) -> None:
    """Record a run's figures for the documents."""
    from crydistill.evaluation.documents import add_record

    print(add_record(run, records, name))


@tables_app.command("update")
def tables_update(
    documents: Annotated[
        list[Path] | None, typer.Argument(help="Markdown files; README and experiments if none.")
    ] = None,
    records: RecordsOption = RECORDS,
) -> None:
    """Write the tables of documents anew from the recorded runs."""
    from crydistill.evaluation.documents import update_document

    for path in documents or [Path("README.md"), *sorted(EXPERIMENTS.glob("*.md"))]:
        print(f"{path}: {'updated' if update_document(path, records) else 'up to date'}")


def _context(config: Path | None, overrides: list[str] | None, runs: Path) -> "Context":
    from crydistill.experiment import RunDirectory, load_config
    from crydistill.progress import shown
    from crydistill.stages.context import Context

    loaded = load_config(config, overrides or [])
    directory = RunDirectory(runs / loaded.name)
    directory.start(loaded)
    return Context(loaded, directory, shown, _tell, _print_table)


def _print_table(evaluation: "Evaluation") -> None:
    from rich.console import Console

    from crydistill.evaluation.summary import summary_table

    Console().print(summary_table(evaluation))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _complain(line: str) -> None:
    _tell(f"crydistill: {line}")
