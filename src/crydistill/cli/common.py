"""Options and messages shared by several commands."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crydistill.errors import CheckFailed, CrydistillError

if TYPE_CHECKING:
    from crydistill.evaluation.compare import Evaluation
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
    return Context(loaded, directory, shown, tell, _print_evaluation)


def columns(texts: list[str] | None, option: str = "--where") -> dict[str, str]:
    """Parse COLUMN=VALUE options."""
    chosen = {}
    for text in texts or []:
        column, equals, value = text.partition("=")
        if not (column and equals):
            raise typer.BadParameter(f"'{text}': write COLUMN=VALUE", param_hint=option)
        chosen[column] = value
    return chosen


def exit_if_left_out(left_out: int, done: int) -> None:
    """End a command that could not do all of what it was asked for: exit code 1, or 2 if nothing.

    left_out, done : number of recordings, files or videos without and with a result
    """
    if left_out:
        raise typer.Exit(CheckFailed.exit_code if done else CrydistillError.exit_code)


def exit_if_skipped(skipped: Mapping[str, str], done: int) -> None:
    """Name the clips that a command skipped, with the reason, and end it with exit code 1 or 2."""
    for clip, reason in skipped.items():
        tell(f"skipped {clip}: {reason}")
    exit_if_left_out(len(skipped), done)


def tell(line: str) -> None:
    """Print a message to standard error."""
    print(line, file=sys.stderr, flush=True)


def complain(line: str) -> None:
    """Print a one-line error message."""
    tell(f"crydistill: {line}")


def _print_evaluation(evaluation: "Evaluation") -> None:
    from rich.console import Console

    from crydistill.reports.summary import summary_table

    Console().print(summary_table(evaluation))
