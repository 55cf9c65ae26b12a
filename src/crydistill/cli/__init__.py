"""The command line: parses, delegates, prints.

Every verb imports what it needs when it runs, so that `--help` answers at once and `detect` never
loads TensorFlow.
"""

import io
import os
import sys

import typer

from crydistill.cli import (
    data,
    detection,
    device,
    experiments,
    night,
    private,
    profile,
    publish,
    robustness,
    tables,
)
from crydistill.cli.common import complain
from crydistill.errors import CrydistillError, MissingExtraError

_TRAINING_MODULES = frozenset(
    {"h5py", "keras", "matplotlib", "sklearn", "tensorflow", "tensorboard", "tflite_micro"}
)

app = typer.Typer(
    name="crydistill",
    help="Distil YAMNet into a tiny INT8 student that hears a baby's cry on a microcontroller.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for room in (
    experiments,
    detection,
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


def main() -> None:
    """Run the command line; deliberate errors are one line and an exit code."""
    # TensorFlow's C++ side chatters on standard error unless told so before its import.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may be none that it can show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(standalone_mode=True)
    except CrydistillError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _TRAINING_MODULES:
            raise
        complain(
            f"this command needs {error.name}, which is part of the full install: "
            "pip install 'crydistill[train]'"
        )
        sys.exit(MissingExtraError.exit_code)
    except KeyboardInterrupt:
        complain("interrupted; run the same command again to go on")
        sys.exit(130)
