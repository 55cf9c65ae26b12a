"""Verbs for the device."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
export_app = typer.Typer(help="A student for a device.", no_args_is_help=True)
app.add_typer(export_app, name="export")


@export_app.command("c")
def export_to_c(
    directory: Annotated[Path, typer.Argument(help="Where the C source goes.")],
    model: Annotated[
        Path | None, typer.Option(help="Directory of student.tflite and student.json.")
    ] = None,
) -> None:
    """Write a student as C99 source for the library in firmware/."""
    from crydistill.device.export import export_c
    from crydistill.quantize.check import tflite_bytes
    from crydistill.student.manifest import MANIFEST_NAME, TFLITE_NAME, load_manifest
    from crydistill.student.packaged import packaged_student

    folder = model or packaged_student()
    manifest = load_manifest(folder / MANIFEST_NAME)
    made = export_c(tflite_bytes(folder / TFLITE_NAME), manifest, directory)
    for path in made.files:
        print(path)
    print(f"arena {made.arena_bytes:,} bytes, constants {made.constant_bytes:,} bytes")
