"""Options and messages shared by several commands."""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from crydistill.errors import CheckFailed, CrydistillError
from crydistill.printable import printable

if TYPE_CHECKING:
    from crydistill.corpora.folder import Where
    from crydistill.publish.fingerprints import PrivateFingerprints
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


class Interrupted(SystemExit):
    """Ends a command that a signal interrupted, after it was said how to go on."""


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
        raise Interrupted(128 + number) from error
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


def parse_votes(text: str) -> tuple[int, int]:
    """Parse N/M: the votes that raise an alert, and the windows that vote."""
    n, slash, m = text.partition("/")
    if not (slash and n.isdecimal() and m.isdecimal()):
        raise typer.BadParameter(f"'{text}': write N/M, such as 5/9", param_hint="--votes")
    return int(n), int(m)


def columns(texts: list[str] | None, option: str = "--where") -> "Where":
    """Parse COLUMN=VALUE options; of a column that is named again, each of its values will do."""
    chosen: dict[str, list[str]] = {}
    for text in texts or []:
        column, equals, value = text.partition("=")
        if not (column and equals):
            raise typer.BadParameter(f"'{text}': write COLUMN=VALUE", param_hint=option)
        values = chosen.setdefault(column, [])
        if value not in values:
            values.append(value)
    return {column: values if values[1:] else values[0] for column, values in chosen.items()}


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


def known_fingerprints(path: Path | None) -> "PrivateFingerprints | None":
    """Load fingerprints of private clips: of a file, or those in the captures folder, if any."""
    from crydistill.publish.fingerprints import FILE_NAME, PrivateFingerprints
    from crydistill.settings import captures_dir

    folder = captures_dir()
    if path is None and folder is not None and (folder / FILE_NAME).is_file():
        path = folder / FILE_NAME
    return PrivateFingerprints.load(path) if path else None


def tell(line: str) -> None:
    """Print a message to standard error."""
    print(printable(line), file=sys.stderr, flush=True)


def complain(line: str) -> None:
    """Print a one-line error message."""
    tell(f"crydistill: {line}")
