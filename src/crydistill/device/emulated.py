"""Executed instructions and code size of the C library with a student, from an emulated Cortex-M.

Builds `firmware/emulator/cost.c` with the Arm compiler and runs it under qemu, which counts every
instruction exactly. Needs `make`, `arm-none-eabi-gcc` and `qemu-system-arm`
(firmware/install-emulators.sh) and the sources in `firmware/`, which are not part of the package.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.device.export import export_c
from crydistill.device.latency import Instructions
from crydistill.errors import ConfigError
from crydistill.student.manifest import StudentManifest

TOOLS = ("make", "arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm")
CORE = "m4"
_MACHINE = "mps2-an386"
_TIMEOUT_SECONDS = 300
_PARTS = frozenset(
    {"front_end_per_second", "network_per_window", "score_per_window", "vote_per_window"}
)


@dataclass(frozen=True)
class Emulated:
    """What the emulator and the linker say.

    instructions : counted for this very student on a Cortex-M4
    flash_bytes, ram_bytes : of the whole counting program with the student, libc's start-up and
        printf included
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
    firmware = Path(firmware)
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise ConfigError(
            f"counting instructions needs {', '.join(missing)}: firmware/install-emulators.sh"
        )
    if not (firmware / "emulator" / "cost.c").is_file():
        raise ConfigError(f"{firmware}: no emulator/cost.c there; give the project's firmware/")
    with tempfile.TemporaryDirectory(prefix="crydistill-") as name:
        build = Path(name)
        export_c(tflite, manifest, build / "model")
        target = f"cost-{CORE}"
        settings = (f"MODEL={build / 'model'}", f"BUILD={build}")
        _run("make", "-C", str(firmware.resolve()), *settings, target)
        program = build / f"{target}.elf"
        sizes = _run("arm-none-eabi-size", str(program)).splitlines()[1].split()
        text, data, bss = (int(size) for size in sizes[:3])
        return Emulated(_instructions(_run(*_qemu(program))), text + data, data + bss)


def _qemu(program: Path) -> list[str]:
    return [
        *("qemu-system-arm", "-M", _MACHINE, "-nographic", "-monitor", "none", "-serial", "none"),
        *("-kernel", str(program), "-icount", "shift=0"),
        *("-semihosting-config", "enable=on,target=native,arg=cost"),
    ]


def _instructions(printed: str) -> Instructions:
    counts = {
        words[0]: int(words[1])
        for words in map(str.split, printed.splitlines())
        if len(words) == 2 and words[1].isdigit()
    }
    if not counts.keys() >= _PARTS:
        missing = ", ".join(sorted(_PARTS - counts.keys()))
        raise ConfigError(f"emulator/cost.c did not print {missing}; it is another release's")
    return Instructions(
        counts["front_end_per_second"] * WINDOW_HOP_SECONDS,
        counts["network_per_window"],
        counts["score_per_window"],
        counts["vote_per_window"],
        measured=True,
    )


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{command[0]}: not done after {_TIMEOUT_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise ConfigError(f"{command[0]} failed ({_reason(error)})") from error
    return done.stdout


def _reason(error: subprocess.CalledProcessError) -> str:
    lines: list[str] = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
    return next((line for line in lines if "error:" in line), lines[-1]).strip()
