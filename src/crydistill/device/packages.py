"""Export a student as a library of a build system: Arduino, PlatformIO, Zephyr, CMake, ESPHome.

Each function writes a folder that is complete in itself and can be dropped where its tool looks for
libraries: what is particular to the tool (`firmware/packages`, `integrations/esphome`), and the C
library with the student, the same for all.
"""

from pathlib import Path

from crydistill import __version__
from crydistill.detector.vote import VoteSettings
from crydistill.device.export import default_preset, detector_settings, export_c
from crydistill.device.library import (
    copy_library,
    copy_licence,
    copy_tree,
    esphome_directory,
    firmware_directory,
)
from crydistill.device.selftest import write_selftest
from crydistill.errors import ModelError
from crydistill.student.manifest import StudentManifest

TREES = {
    "arduino": ("arduino",),
    # PlatformIO takes an Arduino library's sketches as they are.
    "platformio": ("arduino", "platformio"),
    "zephyr": ("zephyr",),
    "cmake": ("cmake",),
}
"""Folders of `firmware/packages` by build system; files of later ones replace those of former."""

ESPHOME_STUDENT = Path("components") / "crydistill" / "student"
"""Where the ESPHome component looks for a student, unless the configuration names a folder."""


def export_package(
    system: str,
    tflite: bytes,
    manifest: StudentManifest,
    directory: str | Path,
    *,
    calibrated: VoteSettings | None = None,
) -> tuple[Path, ...]:
    """Write a library with the student, its self-test and examples; return the files.

    Parameters
    ----------
    system : build system, one of `TREES`
    tflite : the student
    manifest : its `student.json`
    directory : the library's folder, created if missing; files of the same names are replaced
    calibrated : settings from `crydistill calibrate` for this student; become the default

    Raises
    ------
    ModelError, ConfigError
        as `export_c`; also if there are no settings for the examples to listen with, or the package
        was installed without the C library.
    """
    directory = Path(directory)
    sources = directory / "src"
    firmware = firmware_directory()
    if default_preset(detector_settings(manifest, calibrated)) is None:
        raise ModelError(
            f"{manifest.name}: presets: there are none; give the settings that `crydistill "
            "calibrate` finds for a room (--settings)"
        )
    made = export_c(tflite, manifest, sources, calibrated=calibrated)
    values = {
        "VERSION": __version__,
        "SHA256": manifest.tflite.sha256,
        "ARENA_BYTES": f"{made.arena_bytes:,}",
    }
    copies: list[Path] = []
    for tree in TREES[system]:
        copies += copy_tree(firmware / "packages" / tree, directory, values)
    copies += copy_library(sources)
    copies += copy_tree(firmware / "selftest", sources)
    copies += copy_tree(firmware / "esp-idf" / "crydistill" / "port", sources)
    copies += [*write_selftest(tflite, manifest, sources), copy_licence(directory)]
    return tuple(dict.fromkeys((*copies, *made.files)))


def export_esphome(
    tflite: bytes,
    manifest: StudentManifest,
    directory: str | Path,
    *,
    calibrated: VoteSettings | None = None,
) -> tuple[Path, ...]:
    """Write the ESPHome component with the student in it and a configuration; return the files.

    Parameters, errors: as `export_package`; `directory` is that of the configuration.
    """
    student = Path(directory) / ESPHOME_STUDENT
    made = export_c(tflite, manifest, student, calibrated=calibrated)
    copies = (*copy_tree(esphome_directory(), directory), *copy_library(student))
    return tuple(dict.fromkeys((*copies, *made.files)))
