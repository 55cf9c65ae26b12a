"""Export a student as a library of a build system: Arduino, PlatformIO, Zephyr, CMake, ESPHome.

Each function writes a folder that is complete in itself and can be dropped where its tool looks for
libraries: what is particular to the tool (`firmware/packages`, `integrations/esphome`), and the C
library with the student, the same for all.
"""

from collections.abc import Sequence
from pathlib import Path

from crydistill import __version__
from crydistill.detector.vote import VoteSettings
from crydistill.device.export import default_preset, detector_settings, export_c
from crydistill.device.library import (
    EXAMPLES,
    Say,
    copy_library,
    copy_licence,
    copy_tree,
    esphome_directory,
    firmware_directory,
)
from crydistill.device.selftest import write_selftest
from crydistill.errors import ConfigError, ModelError
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
    say: Say = lambda line: None,
) -> tuple[Path, ...]:
    """Write a library with the student, its self-test and examples; return the files.

    Parameters
    ----------
    system : build system, one of `TREES`
    tflite : the student
    manifest : its `student.json`
    directory : the library's folder, created if missing; of a former export the library is
        replaced, and examples stay as they are
    calibrated : settings from `crydistill calibrate` for this student; become the default
    say : told of examples that are kept and differ

    Raises
    ------
    ModelError, ConfigError
        as `export_c`; also if there are no settings for the examples to listen with, the folder
        holds something else, or the package was installed without the C library.
    """
    directory = Path(directory)
    sources = directory / "src"
    firmware = firmware_directory()
    trees = [firmware / "packages" / tree for tree in TREES[system]]
    if not (sources / "crydistill_model.c").is_file():
        _require_nothing_of(trees, directory)
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
    for tree in trees:
        copies += copy_tree(tree, directory, values, keep=EXAMPLES, say=say)
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
    say: Say = lambda line: None,
) -> tuple[Path, ...]:
    """Write the ESPHome component with the student in it and a configuration; return the files.

    Parameters, errors: as `export_package`; `directory` is that of the configuration, which stays
    as it is if it is there, and may hold others.
    """
    student = Path(directory) / ESPHOME_STUDENT
    made = export_c(tflite, manifest, student, calibrated=calibrated)
    component = copy_tree(esphome_directory(), directory, keep={*EXAMPLES, "README.md"}, say=say)
    copies = (*component, *copy_library(student))
    return tuple(dict.fromkeys((*copies, *made.files)))


def _require_nothing_of(trees: Sequence[Path], directory: Path) -> None:
    """Refuse a folder of something else, whose readme, licence or build files would be replaced."""
    names = {path.relative_to(tree) for tree in trees for path in tree.rglob("*")}
    replaced = {name for name in names if name.parts[0] not in EXAMPLES} | {Path("LICENSE")}
    for name in sorted(replaced):
        if (directory / name).is_file():
            raise ConfigError(
                f"{directory}: holds a {name} that would be replaced; name a folder of the "
                f"library's own, such as {directory / 'crydistill'}"
            )
