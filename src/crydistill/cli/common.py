"""Options and messages shared by several commands."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crydistill.run_directory import RunDirectory
    from crydistill.stages.context import Context

ConfigArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[CONFIG]", help="YAML config file; default: the synthetic nursery."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a config key; repeatable."),
]
RunsOption = Annotated[Path, typer.Option("--runs", help="Parent of the run directories.")]
RUNS = Path("runs")


def open_experiment(config: Path | None, overrides: list[str] | None, runs: Path) -> "Context":
    """Load a config and start its run directory."""
    from crydistill.experiment.load import load_config
    from crydistill.progress import shown
    from crydistill.run_directory import RunDirectory
    from crydistill.stages.context import Context

    loaded = load_config(config, overrides or [])
    directory = RunDirectory(runs / loaded.name)
    directory.start(loaded)
    return Context(loaded, directory, shown, tell)


class Terminated(KeyboardInterrupt):
    """Raised where SIGTERM arrives, so that it ends a command as Ctrl-C does."""


@contextmanager
def resumable() -> Iterator[None]:
    """End on Ctrl-C or SIGTERM with a line that says how to go on, and the signal's exit code."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as error:
        complain("interrupted; run the same command again to resume")
        number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
        raise typer.Exit(128 + number) from error
    finally:
        signal.signal(signal.SIGTERM, before)


def print_results(run: "RunDirectory", *, night: bool) -> None:
    """Print the rows of an evaluation, and of its night, that matter, and where the rest is."""
    from rich.console import Console

    from crydistill.reports.essentials import clip_table, night_table, sizes

    console = Console()
    console.print(clip_table(run.metrics))
    if night:
        console.print(night_table(run.night))
    print(sizes(run.metrics))
    print(f"all figures: {run.report}" + (f", the night: {run.night_page}" if night else ""))
    print(f"to use it: crydistill detect --model {run.path} RECORDING")


def columns(texts: list[str] | None, option: str = "--where") -> dict[str, str]:
    """Parse COLUMN=VALUE options."""
    chosen = {}
    for text in texts or []:
        column, equals, value = text.partition("=")
        if not (column and equals):
            raise typer.BadParameter(f"'{text}': write COLUMN=VALUE", param_hint=option)
        chosen[column] = value
    return chosen


def tell(line: str) -> None:
    """Print a message to standard error."""
    print(line, file=sys.stderr, flush=True)


def complain(line: str) -> None:
    """Print a one-line error message."""
    tell(f"crydistill: {line}")
