"""Verbs of the experiment: run, and each stage alone; the teacher."""

from pathlib import Path
from typing import Annotated

import typer

from crydistill.cli.common import (
    RUNS,
    ConfigArgument,
    RunsOption,
    SetOption,
    open_experiment,
)

app = typer.Typer()
teacher_app = typer.Typer(help="The teacher network.", no_args_is_help=True)
app.add_typer(teacher_app, name="teacher")


@app.command()
def run(config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS) -> None:
    """Run a whole experiment: score, select, train, quantize, evaluate on clips and on a night."""
    from crydistill.stages.run import run_all

    context = open_experiment(config, set_, runs)
    run_all(context)
    print(f"report: {context.run.report}, night: {context.run.night_page}")


@app.command()
def score(config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS) -> None:
    """Give every clip of an experiment the teacher's scores."""
    from crydistill.stages.score import score

    score(open_experiment(config, set_, runs))


@app.command()
def select(config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS) -> None:
    """Choose the windows that train."""
    from crydistill.stages.select import select

    select(open_experiment(config, set_, runs))


@app.command()
def train(config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS) -> None:
    """Train the student, or go on with an interrupted training."""
    from crydistill.stages.train import train

    train(open_experiment(config, set_, runs))


@app.command()
def quantize(
    config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS
) -> None:
    """Turn the trained student into a checked INT8 .tflite with its manifest."""
    from crydistill.stages.quantize import quantize

    quantize(open_experiment(config, set_, runs))


@app.command()
def evaluate(
    config: ConfigArgument = None,
    set_: SetOption = None,
    runs: RunsOption = RUNS,
    with_night: Annotated[
        bool,
        typer.Option("--night/--no-night", help="Whether to play the clips as a night, too."),
    ] = True,
) -> None:
    """Compare teacher, FP32 and INT8 student on the test clips; write metrics, report, night."""
    from crydistill.stages.evaluate import evaluate
    from crydistill.stages.night import night

    context = open_experiment(config, set_, runs)
    evaluate(context)
    if with_night:
        night(context)
        print(f"report: {context.run.report}, night: {context.run.night_page}")
    else:
        print(f"report: {context.run.report}")


@teacher_app.command("fetch")
def teacher_fetch(
    name: Annotated[
        str,
        typer.Argument(help="yamnet (FP32, 15 MB), or yamnet-relu6 (int8, 4 MB) for teacher.also."),
    ] = "yamnet",
) -> None:
    """Download a published YAMNet into the cache, checked by size and sha256; print its path."""
    from crydistill.progress import shown
    from crydistill.settings import cache_dir
    from crydistill.teacher.fetch import fetch_teacher

    print(fetch_teacher(cache_dir(), name, progress=shown))


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
