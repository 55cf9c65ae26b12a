"""Command-line interface: parses options, delegates, prints.

Every command imports what it needs when it runs, so that `--help` is fast and `detect` never loads
TensorFlow.
"""

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
from crydistill.native_noise import silence_tensorflow

_TRAINING_MODULES = frozenset(
    {"h5py", "keras", "matplotlib", "sklearn", "tensorflow", "tensorboard", "tflite_micro"}
)

app = typer.Typer(
    name="crydistill",
    help="Distil YAMNet into a tiny INT8 student that detects a baby's cry on a microcontroller.",
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
    """Run the command line; expected errors give one line and an exit code."""
    silence_tensorflow()
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
