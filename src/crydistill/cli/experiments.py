"""Commands for experiments: the whole run, each stage, and the teacher."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crydistill.cli.common import (
    RUNS,
    ConfigArgument,
    RunsOption,
    SetOption,
    exit_if_left_out,
    open_experiment,
    print_results,
    resumable,
)
from crydistill.cli.seeds import run_seeds

SeedsOption = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="NUMBER",
        help="How many seeds (5: 0 to 4), or which: 0..4 or 0,3,7. Each runs as NAME-seedK; at the "
        "end is a table over them.",
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Seeds at the same time; default: one for two processors."),
]

if TYPE_CHECKING:
    from crydistill.stages.score import ScoreAll


class Engine(StrEnum):
    """What scores the clips of an experiment."""

    LOCAL = "local"
    RAY = "ray"


app = typer.Typer()
teacher_app = typer.Typer(help="Download the teacher or record its scores.", no_args_is_help=True)
app.add_typer(teacher_app, name="teacher")


@app.command()
def run(
    config: ConfigArgument = None,
    set_: SetOption = None,
    runs: RunsOption = RUNS,
    seeds: SeedsOption = None,
    jobs: JobsOption = None,
) -> None:
    """Run all stages: score, select, train, quantize, evaluate on clips and on a night."""
    from crydistill.stages.run import run_all

    if seeds is not None:
        run_seeds("run", config, set_, runs, seeds, jobs)
        return
    with resumable():
        context = open_experiment(config, set_, runs)
        run_all(context)
        print_results(context.run, night=True)
    exit_if_left_out(len(context.left_out), done=1)


@app.command()
def score(
    config: ConfigArgument = None,
    set_: SetOption = None,
    runs: RunsOption = RUNS,
    shards: Annotated[
        int | None, typer.Option(min=1, help="Divide every score store into so many shards.")
    ] = None,
    shard: Annotated[
        int | None, typer.Option(min=0, help="Score this shard only, counting from 0.")
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option(
            metavar="NAME",
            help="local: score in this process; ray: in the workers of a Ray cluster.",
        ),
    ] = Engine.LOCAL,
    address: Annotated[
        str | None,
        typer.Option(help="Ray: a running cluster (auto, HOST:PORT); default: start one here."),
    ] = None,
    worker_cpus: Annotated[
        int | None, typer.Option(min=1, help="Ray: processors of each worker; default: 2.")
    ] = None,
) -> None:
    """Compute the teacher's scores for every clip of an experiment; docs/scale.md."""
    from crydistill.stages.score import Division, score

    with resumable():
        score_all = _scorer(engine, address, worker_cpus, shard)
        always = engine is Engine.RAY
        division = Division(shards, shard, always=always, score_all=score_all)
        context = open_experiment(config, set_, runs)
        score(context, division)
    exit_if_left_out(len(context.left_out), done=1)


def _scorer(
    engine: Engine, address: str | None, worker_cpus: int | None, shard: int | None
) -> "ScoreAll":
    """What scores the shards, by the options."""
    if engine is Engine.LOCAL:
        from crydistill.teacher.work import score_in_turn

        if address is not None or worker_cpus is not None:
            raise typer.BadParameter("--address and --worker-cpus need --engine ray")
        return score_in_turn
    from crydistill.teacher.cluster import WORKER_CPUS, Cluster

    if shard is not None:
        raise typer.BadParameter("--engine ray hands out all shards; leave --shard out")
    return Cluster(address, worker_cpus or WORKER_CPUS).score


@app.command()
def select(config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS) -> None:
    """Select the training windows."""
    from crydistill.stages.select import select

    with resumable():
        select(open_experiment(config, set_, runs))


@app.command()
def train(
    config: ConfigArgument = None,
    set_: SetOption = None,
    runs: RunsOption = RUNS,
    seeds: SeedsOption = None,
    jobs: JobsOption = None,
) -> None:
    """Train the student, or resume an interrupted training."""
    from crydistill.stages.train import train

    if seeds is not None:
        run_seeds("train", config, set_, runs, seeds, jobs)
        return
    with resumable():
        train(open_experiment(config, set_, runs))


@app.command()
def quantize(
    config: ConfigArgument = None, set_: SetOption = None, runs: RunsOption = RUNS
) -> None:
    """Convert the trained student to a checked INT8 .tflite with its manifest."""
    from crydistill.stages.quantize import quantize

    with resumable():
        quantize(open_experiment(config, set_, runs))


@app.command()
def evaluate(
    config: ConfigArgument = None,
    set_: SetOption = None,
    runs: RunsOption = RUNS,
    with_night: Annotated[
        bool,
        typer.Option("--night/--no-night", help="Also evaluate on a night composed of the clips."),
    ] = True,
) -> None:
    """Evaluate teacher, FP32 and INT8 student on the test clips; write metrics, report, night."""
    from crydistill.stages.evaluate import evaluate
    from crydistill.stages.night import night

    with resumable():
        context = open_experiment(config, set_, runs)
        evaluate(context)
        if with_night:
            night(context)
        print_results(context.run, night=with_night)
    exit_if_left_out(len(context.left_out), done=1)


@teacher_app.command("fetch")
def teacher_fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="yamnet (FP32, 15 MB), yamnet-relu6 (int8, 4 MB) for teacher.also, or "
            "efficientat-mn04 (FP32, 4 MB), which hears five seconds at once."
        ),
    ] = "yamnet",
) -> None:
    """Download a published teacher into the cache, verify size and sha256; print its path."""
    from crydistill.progress import shown
    from crydistill.settings import cache_dir
    from crydistill.teacher.fetch import fetch_teacher

    print(fetch_teacher(cache_dir(), name, progress=shown))


@teacher_app.command("record")
def teacher_record(
    weights: Annotated[Path, typer.Argument(help="Teacher weights: .h5 or .tflite.")],
    out: Annotated[Path, typer.Argument(help=".npz file to write.")],
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the nursery.")] = 0,
) -> None:
    """Record a teacher's scores for the synthetic nursery in one small file."""
    from crydistill.progress import shown
    from crydistill.stages.record import record_nursery

    record_nursery(weights, out, seed=seed, progress=shown)
