"""Verbs for the device."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crydistill.student.manifest import StudentManifest

app = typer.Typer()
export_app = typer.Typer(help="A student for a device.", no_args_is_help=True)
app.add_typer(export_app, name="export")


ModelOption = Annotated[
    Path | None, typer.Option(help="Directory of student.tflite and student.json.")
]
DirectoryArgument = Annotated[Path, typer.Argument(help="Where the files go; made if missing.")]


@export_app.command("c")
def export_to_c(
    directory: DirectoryArgument,
    model: ModelOption = None,
    library: Annotated[
        bool, typer.Option(help="Also copy the library, so that the directory compiles.")
    ] = True,
) -> None:
    """Write a student as C99 source, with the library it needs."""
    from crydistill.device.export import export_c
    from crydistill.device.library import copy_library

    tflite, manifest = _student(model)
    made = export_c(tflite, manifest, directory)
    for path in (*made.files, *(copy_library(directory) if library else ())):
        print(path)
    print(f"arena {made.arena_bytes:,} bytes, constants {made.constant_bytes:,} bytes")


@export_app.command("esp-idf")
def export_to_esp_idf(directory: DirectoryArgument, model: ModelOption = None) -> None:
    """Write a student as an ESP-IDF component, with an example application and a self-test."""
    from crydistill.device.component import export_esp_idf

    for path in export_esp_idf(*_student(model), directory):
        print(path)


@app.command("firmware-cost")
def firmware_cost(
    firmware: Annotated[Path, typer.Argument(help="The project's firmware/.")],
    record: Annotated[Path, typer.Argument(help="JSON file for the figures.")],
    model: ModelOption = None,
    document: Annotated[
        Path | None, typer.Option(help="Markdown whose tables are written anew.")
    ] = None,
) -> None:
    """Count instructions and bytes of the C library with a student, under emulation."""
    import json

    from crydistill import atomic
    from crydistill.device.firmware_cost import measure, update_document

    found = measure(*_student(model), firmware)
    atomic.write_text(record, json.dumps(found, indent=1) + "\n")
    print(record)
    if document is not None and update_document(document, found):
        print(document)


def _student(model: Path | None) -> tuple[bytes, "StudentManifest"]:
    from crydistill.quantize.check import tflite_bytes
    from crydistill.student.manifest import MANIFEST_NAME, TFLITE_NAME, load_manifest
    from crydistill.student.packaged import packaged_student

    folder = model or packaged_student()
    return tflite_bytes(folder / TFLITE_NAME), load_manifest(folder / MANIFEST_NAME)
