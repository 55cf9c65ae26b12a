"""Measure one student under emulation: Cortex-M4 instructions and size of a whole program."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.device import emulator
from crydistill.device.emulator import CORTEX_M4_PLAIN
from crydistill.device.export import export_c
from crydistill.device.latency import Instructions
from crydistill.device.tools import require, run
from crydistill.student.manifest import StudentManifest

_SIZE = "arm-none-eabi-size"


@dataclass(frozen=True)
class Emulated:
    """Results from the emulator and the linker.

    instructions : counted for this student on a Cortex-M4
    flash_bytes, ram_bytes : size of the whole counting program with the student, including libc's
        start-up and printf
    """

    instructions: Instructions
    flash_bytes: int
    ram_bytes: int


def count_instructions(tflite: bytes, manifest: StudentManifest, firmware: str | Path) -> Emulated:
    """Build the counting program for a student and run it.

    Parameters
    ----------
    firmware : the project's `firmware/` folder

    Raises
    ------
    ConfigError
        if a tool or the sources are missing, or the build or run fails.
    ModelError
        if the student cannot be exported to C.
    """
    emulator.require_tools(CORTEX_M4_PLAIN)
    require(_SIZE)
    with tempfile.TemporaryDirectory(prefix="crydistill-") as name:
        model, build = Path(name) / "model", Path(name) / "build"
        export_c(tflite, manifest, model)
        counted = emulator.count(CORTEX_M4_PLAIN, model, firmware, build)
        sizes = run(_SIZE, str(counted.program)).splitlines()[1].split()
    text, data, bss = (int(size) for size in sizes[:3])
    counts = counted.counts
    instructions = Instructions(
        counts["front_end_per_second"] * WINDOW_HOP_SECONDS,
        counts["network_per_window"],
        counts["score_per_window"],
        counts["vote_per_window"],
        measured=True,
    )
    return Emulated(instructions, text + data, data + bss)
