"""Measure one student under emulation: instructions on each core, size of a whole program."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.device import emulator
from crydistill.device.emulator import CORTEX_M4, Core, Counted
from crydistill.device.export import export_c
from crydistill.device.latency import Instructions
from crydistill.device.tools import require, run
from crydistill.student.manifest import StudentManifest

_SIZE = "arm-none-eabi-size"


@dataclass(frozen=True)
class Emulated:
    """Results from the emulator and the linker.

    instructions : counted for this student, by the core's title
    flash_bytes, ram_bytes : size of the whole counting program with the student on a Cortex-M4,
        including libc's start-up and printf
    """

    instructions: dict[str, Instructions]
    flash_bytes: int
    ram_bytes: int


def count_instructions(
    tflite: bytes, manifest: StudentManifest, firmware: str | Path, cores: tuple[Core, ...]
) -> Emulated:
    """Build the counting program for a student and run it.

    Parameters
    ----------
    firmware : the project's `firmware/` folder
    cores : to count on; a Cortex-M4 among them

    Raises
    ------
    ConfigError
        if a tool or the sources are missing, or the build or run fails.
    ModelError
        if the student cannot be exported to C.
    """
    emulator.require_tools(*cores)
    require(_SIZE)
    with tempfile.TemporaryDirectory(prefix="crydistill-") as name:
        model, build = Path(name) / "model", Path(name) / "build"
        export_c(tflite, manifest, model)
        counted = {
            core.title: emulator.count(core, model, firmware, build / str(number))
            for number, core in enumerate(cores)
        }
        sizes = run(_SIZE, str(counted[CORTEX_M4.title].program)).splitlines()[1].split()
    text, data, bss = (int(size) for size in sizes[:3])
    instructions = {title: _instructions(found) for title, found in counted.items()}
    return Emulated(instructions, text + data, data + bss)


def _instructions(counted: Counted) -> Instructions:
    counts = counted.counts
    return Instructions(
        counts["front_end_per_second"] * WINDOW_HOP_SECONDS,
        counts["network_per_window"],
        counts["score_per_window"],
        counts["vote_per_window"],
        measured=True,
    )
