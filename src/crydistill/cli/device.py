"""Commands for microcontrollers and the web page: export, firmware-cost, front-ends, web-engine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from crydistill.cli.common import tell
from crydistill.cli.listeners import PrivateOption, WhereOption
from crydistill.cli.operating import SettingsOption

if TYPE_CHECKING:
    from crydistill.detector.vote import VoteSettings
    from crydistill.student.manifest import StudentManifest

app = typer.Typer()
export_app = typer.Typer(help="Export a student for a device.", no_args_is_help=True)
app.add_typer(export_app, name="export")


ModelOption = Annotated[
    Path | None,
    typer.Option(
        help="Directory of student.tflite and student.json; default: the packaged student."
    ),
]
DirectoryArgument = Annotated[Path, typer.Argument(help="Output directory; created if missing.")]
LibraryArgument = Annotated[
    Path, typer.Argument(help="The library's own folder, where the tool looks for libraries.")
]


@export_app.command("c")
def export_to_c(
    directory: DirectoryArgument,
    model: ModelOption = None,
    settings: SettingsOption = None,
    library: Annotated[
        bool, typer.Option(help="Also copy the library, so that the directory compiles by itself.")
    ] = True,
    prefix: Annotated[
        str,
        typer.Option(
            help="Beginning of the student's names in C and of its files' names, for several "
            "students in one program."
        ),
    ] = "crydistill",
    kernels: Annotated[
        Literal["own", "cmsis-nn", "esp-nn"],
        typer.Option(
            metavar="TEXT",
            help="Whose kernels compute the network: own, cmsis-nn or esp-nn. A vendor's come with "
            "your build; the library brings an adapter.",
        ),
    ] = "own",
) -> None:
    """Export a student as C99 source, with the library it needs."""
    from crydistill.device.export import export_c
    from crydistill.device.library import copy_adapter, copy_library
    from crydistill.device.vendors import find_vendor

    tflite, manifest = _student(model)
    calibrated = _calibrated(settings, manifest)
    made = export_c(
        tflite, manifest, directory, calibrated=calibrated, prefix=prefix, kernels=kernels
    )
    vendor = find_vendor(kernels)
    copies = copy_library(directory) if library else ()
    adapter = copy_adapter(vendor.adapter, directory) if library and vendor else ()
    for line in (*made.files, *copies, *adapter, *made.notes):
        print(line)
    print(f"arena {made.arena_bytes:,} bytes, constants {made.constant_bytes:,} bytes")


@export_app.command("esp-idf")
def export_to_esp_idf(
    directory: DirectoryArgument,
    model: ModelOption = None,
    settings: SettingsOption = None,
    kernels: Annotated[
        Literal["own", "esp-nn"],
        typer.Option(
            metavar="TEXT",
            help="Whose kernels compute the network: own, or esp-nn, which the build fetches.",
        ),
    ] = "own",
) -> None:
    """Export a student as an ESP-IDF component, with an example application and a self-test."""
    from crydistill.device.component import export_esp_idf
    from crydistill.device.vendors import find_vendor
    from crydistill.tflite.file import read_tflite

    tflite, manifest = _student(model)
    calibrated = _calibrated(settings, manifest)
    paths = export_esp_idf(
        tflite, manifest, directory, calibrated=calibrated, kernels=kernels, say=tell
    )
    vendor = find_vendor(kernels)
    for line in (*paths, *(vendor.notes(read_tflite(tflite)) if vendor else ())):
        print(line)


@export_app.command("web")
def export_to_web(
    page: Annotated[Path, typer.Argument(help="HTML file to write.")],
    model: ModelOption = None,
    settings: SettingsOption = None,
) -> None:
    """Export a student as one HTML page that listens in a browser, without a network."""
    from crydistill.web.page import write_page

    tflite, manifest = _student(model)
    calibrated = _calibrated(settings, manifest)
    print(write_page(tflite, manifest, page, calibrated=calibrated))


@app.command("web-engine")
def web_engine(
    firmware: Annotated[Path, typer.Argument(help="The project's firmware/ folder.")],
    directory: Annotated[Path, typer.Argument(help="Folder to write to: src/crydistill/web.")],
) -> None:
    """Build the C library in WebAssembly that `export web` puts into its pages."""
    from crydistill.web.engine import write_engine

    for path in write_engine(firmware, directory):
        print(path)


@export_app.command("arduino")
def export_to_arduino(
    directory: LibraryArgument, model: ModelOption = None, settings: SettingsOption = None
) -> None:
    """Export a student as an Arduino library, with examples for PDM and I2S microphones."""
    _export_package("arduino", directory, model, settings)


@export_app.command("platformio")
def export_to_platformio(
    directory: LibraryArgument, model: ModelOption = None, settings: SettingsOption = None
) -> None:
    """Export a student as a PlatformIO library, with examples for PDM and I2S microphones."""
    _export_package("platformio", directory, model, settings)


@export_app.command("zephyr")
def export_to_zephyr(
    directory: LibraryArgument, model: ModelOption = None, settings: SettingsOption = None
) -> None:
    """Export a student as a Zephyr module, with a sample that tests it and listens."""
    _export_package("zephyr", directory, model, settings)


@export_app.command("cmake")
def export_to_cmake(
    directory: LibraryArgument, model: ModelOption = None, settings: SettingsOption = None
) -> None:
    """Export a student as a CMake project for find_package and FetchContent."""
    _export_package("cmake", directory, model, settings)


@export_app.command("esphome")
def export_to_esphome(
    directory: DirectoryArgument, model: ModelOption = None, settings: SettingsOption = None
) -> None:
    """Export a student as an ESPHome component, with a configuration to start from."""
    from crydistill.device.packages import export_esphome

    tflite, manifest = _student(model)
    calibrated = _calibrated(settings, manifest)
    for path in export_esphome(tflite, manifest, directory, calibrated=calibrated, say=tell):
        print(path)


@app.command("firmware-cost")
def firmware_cost(
    firmware: Annotated[Path, typer.Argument(help="The project's firmware/ folder.")],
    record: Annotated[Path, typer.Argument(help="JSON file to write.")],
    model: ModelOption = None,
) -> None:
    """Measure instructions and memory of the C library with a student, under emulation."""
    import json

    from crydistill import atomic
    from crydistill.device.firmware_cost import measure

    found = measure(*_student(model), firmware)
    atomic.write_text(record, json.dumps(found, indent=1) + "\n")
    print(record)


@app.command("front-ends")
def front_ends(
    firmware: Annotated[Path, typer.Argument(help="The project's firmware/ folder.")],
    corpus: Annotated[Path, typer.Argument(help="clips.csv or folder of labelled audio.")],
    where: WhereOption = None,
    private: PrivateOption = False,
    model: ModelOption = None,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/front-ends"),
) -> None:
    """Compare the C library's integer and float front ends on labelled clips."""
    import tempfile

    from crydistill.boundary import require_outside_work_tree
    from crydistill.cli.common import columns, exit_if_skipped
    from crydistill.corpora.folder import read_corpus
    from crydistill.device.front_ends import (
        RESULT_NAME,
        build_front_ends,
        front_ends_record,
        markdown,
        score_front_ends,
    )
    from crydistill.metrics.records import write_record
    from crydistill.progress import shown
    from crydistill.provenance import made_by
    from crydistill.student.packaged import packaged_student
    from crydistill.student.runtime import TfliteStudent
    from crydistill.tflite.interpreters import Kernels

    if private:
        require_outside_work_tree(out, "results on private recordings")
    clips = read_corpus(corpus, where=columns(where), private=private or None, say=tell)
    student = TfliteStudent.load(model or packaged_student(), Kernels.OPTIMIZED)
    with tempfile.TemporaryDirectory(prefix="crydistill-") as build:
        built = build_front_ends(student.tflite, student.manifest, firmware, Path(build))
        scored = score_front_ends(clips, student, built, progress=shown)
    provenance = made_by(corpus=corpus.resolve().name, where=columns(where))
    record = front_ends_record(scored, student.manifest, provenance=provenance)
    write_record(out / RESULT_NAME, record)
    print(markdown(record))
    print(out / RESULT_NAME)
    exit_if_skipped(scored.unreadable, len(scored.clips))


def _export_package(
    system: str, directory: Path, model: Path | None, settings: Path | None
) -> None:
    from crydistill.device.packages import export_package

    tflite, manifest = _student(model)
    calibrated = _calibrated(settings, manifest)
    for path in export_package(
        system, tflite, manifest, directory, calibrated=calibrated, say=tell
    ):
        print(path)


def _student(model: Path | None) -> tuple[bytes, "StudentManifest"]:
    from crydistill.student.packaged import packaged_student
    from crydistill.student.runtime import TfliteStudent

    student = TfliteStudent.load(model or packaged_student())
    return student.tflite, student.manifest


def _calibrated(settings: Path | None, manifest: "StudentManifest") -> "VoteSettings | None":
    from crydistill.detector.calibrated import load_settings
    from crydistill.detector.settings import require_reachable

    if settings is None:
        return None
    vote = load_settings(settings, student_sha256=manifest.tflite.sha256).vote
    require_reachable(vote, manifest, source=str(settings))
    return vote
