"""Command-line interface: parses options, delegates, prints.

Every command imports what it needs when it runs, so that `--help` is fast and `detect` never loads
TensorFlow.
"""

import io
import os
import sys
import traceback
from typing import Annotated

import typer

from crydistill import __version__
from crydistill.cli import (
    data,
    detection,
    device,
    experiments,
    feedback,
    listening,
    night,
    private,
    profile,
    publish,
    robustness,
    service,
    tables,
)
from crydistill.cli.common import Interrupted, complain
from crydistill.cli.help import Program
from crydistill.errors import CrydistillError, what_failed
from crydistill.native_noise import silence_tensorflow

_TRAINING_MODULES = frozenset(
    {"h5py", "keras", "matplotlib", "sklearn", "tensorflow", "tensorboard", "tflite_micro"}
)

_INTERRUPTED = 130
"""Exit code after Ctrl-C."""

app = typer.Typer(
    name="crydistill",
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Distil YAMNet into a tiny INT8 student that detects a baby's cry on a microcontroller.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for room in (
    experiments,
    detection,
    listening,
    service,
    feedback,
    night,
    robustness,
    data,
    device,
    profile,
    private,
    publish,
    tables,
):
    app.add_typer(room.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"crydistill {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options that need no verb; Typer takes them from a callback."""


def main() -> None:
    """Run the command line; expected errors give one line and an exit code (docs/commands.md)."""
    _require_stderr()
    silence_tensorflow()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may be none that it can show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(standalone_mode=True)
    except CrydistillError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except SystemExit as end:
        # Typer has handled Ctrl-C by then, without a word.
        if end.code == _INTERRUPTED and not isinstance(end, Interrupted):
            complain("interrupted")
        raise
    except Exception as error:
        refused = isinstance(error, OSError) and error.strerror
        complain(_missing_module(error) or (what_failed(error) if refused else _bug()))
        sys.exit(CrydistillError.exit_code)


def _require_stderr() -> None:
    """Open standard error where it was closed: the next file opened would get its number."""
    if sys.stderr is None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        sys.stderr = os.fdopen(2, "w")


def _missing_module(error: Exception) -> str:
    """What to install if a module of the full install is missing, else empty."""
    name = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if name.partition(".")[0] not in _TRAINING_MODULES:
        return ""
    return (
        f"this command needs {name}, which is part of the full install: "
        "pip install 'crydistill[train]'"
    )


def _bug() -> str:
    """Show the exception. Left to Python it would end with 1, which says that the command ran."""
    traceback.print_exc()
    return "this is an error in crydistill itself; please report it with the lines above"
