"""Count the instructions that the C library executes for a student, with QEMU.

Builds `firmware/emulator/cost.c` for a core and runs it in an emulator that counts every
instruction exactly. Needs `make`, the core's compiler and emulator (firmware/install-emulators.sh)
and the sources in `firmware/`.
"""

from dataclasses import dataclass
from pathlib import Path

from crydistill.device.tools import require, run
from crydistill.errors import ConfigError

_LAYER = "layer_"
_PARTS = frozenset(
    {
        "front_end_per_second",
        "network_per_window",
        "score_per_window",
        "vote_per_window",
        "softmax_of_521",
        "sigmoid_of_1",
        "stack_bytes",
    }
)


@dataclass(frozen=True)
class Core:
    """A processor to count on.

    target : target in firmware/Makefile
    fixed_point : whether the front end uses integers
    compiler : compiler of the program
    emulator : command that runs it
    plain : whether the kernels are plain C, as on cores without DSP instructions
    """

    title: str
    target: str
    fixed_point: bool
    compiler: str
    emulator: tuple[str, ...]
    plain: bool = False


@dataclass(frozen=True)
class Counted:
    """Output of the counting program.

    counts : instructions by part, as named in firmware/emulator/cost.c
    layers : instructions of each kernel call, in execution order
    program : binary that was run; the linker's map is next to it
    """

    counts: dict[str, int]
    layers: tuple[int, ...]
    program: Path


_ARM = "arm-none-eabi-gcc"
_M4 = ("qemu-system-arm", "-M", "mps2-an386")
_M7 = ("qemu-system-arm", "-M", "mps2-an500")
_LX106 = ("qemu-system-xtensa", "-M", "sim", "-cpu", "lx106")

CORTEX_M4 = Core("Cortex-M4", "cost-m4", False, _ARM, _M4)
CORTEX_M4_PLAIN = Core("Cortex-M4, plain C", "cost-m4", False, _ARM, _M4, plain=True)
CORTEX_M4_INTEGERS = Core("Cortex-M4, integers", "cost-m4", True, _ARM, _M4)
CORTEX_M7 = Core("Cortex-M7", "cost-m7", False, _ARM, _M7)
LX106 = Core("Xtensa lx106, integers", "cost-lx106", True, "xtensa-lx106-elf-gcc", _LX106)


def require_tools(*cores: Core) -> None:
    """Check that all tools for counting on these cores are installed.

    Raises
    ------
    ConfigError
        naming what is missing.
    """
    require("make", *(tool for core in cores for tool in (core.compiler, core.emulator[0])))


def count(core: Core, model: Path, firmware: str | Path, build: Path) -> Counted:
    """Build the counting program for an exported student and run it.

    Parameters
    ----------
    model : directory written by `export_c`
    firmware : the project's `firmware/` folder
    build : build directory; created if missing

    Raises
    ------
    ConfigError
        if the sources are missing, or the build or the run fails.
    """
    firmware = Path(firmware)
    if not (firmware / "emulator" / "cost.c").is_file():
        raise ConfigError(f"{firmware}: no emulator/cost.c found; pass the project's firmware/")
    settings = (f"MODEL={model}", f"BUILD={build}", *_switches(core))
    run("make", "-C", str(firmware.resolve()), *settings, core.target)
    program = build / f"{core.target}.elf"
    printed = run(
        *core.emulator,
        *("-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=0"),
        *("-semihosting-config", "enable=on,target=native,arg=cost", "-kernel", str(program)),
    )
    return _counted(printed, program)


def _switches(core: Core) -> tuple[str, str]:
    fixed, plain = ("1" if on else "" for on in (core.fixed_point, core.plain))
    return f"FIXED={fixed}", f"PLAIN={plain}"


def _counted(printed: str, program: Path) -> Counted:
    lines = [words for words in map(str.split, printed.splitlines()) if len(words) == 2]
    layers = tuple(int(count) for part, count in lines if part.startswith(_LAYER))
    counts = {part: int(count) for part, count in lines if not part.startswith(_LAYER)}
    if missing := sorted(_PARTS - counts.keys()):
        raise ConfigError(
            f"emulator/cost.c did not print {', '.join(missing)}; it is from another release"
        )
    return Counted(counts, layers, program)
