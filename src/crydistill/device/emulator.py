"""Count the instructions that the C library executes for a student, with QEMU.

Builds `firmware/emulator/cost.c` for a core and runs it in an emulator that counts every
instruction exactly. Needs `make`, the core's compiler and emulator (firmware/install-emulators.sh)
and the sources in `firmware/`.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from crydistill.device.tools import require, run
from crydistill.errors import ConfigError

_LAYER = "layer_"
_LOOP = "loop_of_4000000"
_LOOP_INSTRUCTIONS = 4_000_000
_CLOCK_TOLERANCE = 0.001
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
class Machine:
    """An emulated processor.

    compiler : builds programs for it
    emulator : command that runs them
    names_program : whether its libc puts the program's name in front of the arguments
    """

    compiler: str
    emulator: tuple[str, ...]
    names_program: bool = False

    def command(self, program: Path, *arguments: str, counting: bool = False) -> tuple[str, ...]:
        """Command that runs a program with arguments.

        Parameters
        ----------
        counting : whether the processor's clock counts its instructions, exactly
        """
        name = () if self.names_program else (program.stem,)
        words = "".join(f",arg={word}" for word in (*name, *arguments))
        return (
            *self.emulator,
            *("-nographic", "-monitor", "none", "-serial", "none"),
            *("-chardev", "stdio,id=printed,signal=off"),
            *("-semihosting-config", f"enable=on,target=native,chardev=printed{words}"),
            *(("-icount", "shift=0") if counting else ()),
            *("-kernel", str(program)),
        )


def _arm(board: str) -> Machine:
    return Machine("arm-none-eabi-gcc", ("qemu-system-arm", "-M", board))


def _riscv(cpu: str) -> Machine:
    machine = ("qemu-system-riscv32", "-M", "virt", "-bios", "none", "-cpu", cpu)
    return Machine("riscv64-unknown-elf-gcc", machine, names_program=True)


MACHINES = {
    "m0": _arm("mps2-an386"),  # a Cortex-M4: QEMU's own M0 has too little memory
    "m4": _arm("mps2-an386"),
    "m7": _arm("mps2-an500"),
    "m33": _arm("mps2-an505"),
    "m55": _arm("mps3-an547"),
    "rv32imc": _riscv("rv32,f=off,d=off"),
    "rv32imafc": _riscv("rv32,d=off"),
    "lx106": Machine("xtensa-lx106-elf-gcc", ("qemu-system-xtensa", "-M", "sim", "-cpu", "lx106")),
}
"""By name in the targets of firmware/Makefile."""


@dataclass(frozen=True)
class Core:
    """A processor to count on, and how the library is compiled.

    machine : name in `MACHINES`
    fixed_point : whether the front end uses integers
    plain : whether the kernels are plain C where the core could do more
    obvious : whether the convolutions are the obvious ones of firmware/host, to compare with
    """

    title: str
    machine: str
    fixed_point: bool = False
    plain: bool = False
    obvious: bool = False

    @property
    def target(self) -> str:
        """Target in firmware/Makefile."""
        return f"cost-{self.machine}"

    @property
    def compiler(self) -> str:
        """Compiler of its programs."""
        return MACHINES[self.machine].compiler

    @property
    def tools(self) -> tuple[str, ...]:
        """Programs that counting on it needs."""
        return "make", self.compiler, MACHINES[self.machine].emulator[0]


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


CORTEX_M0_PLUS = Core("Cortex-M0+, integers", "m0", fixed_point=True)
CORTEX_M4 = Core("Cortex-M4", "m4")
CORTEX_M4_PLAIN = Core("Cortex-M4, plain C", "m4", plain=True)
CORTEX_M4_INTEGERS = Core("Cortex-M4, integers", "m4", fixed_point=True)
CORTEX_M7 = Core("Cortex-M7", "m7")
CORTEX_M33 = Core("Cortex-M33", "m33")
CORTEX_M55 = Core("Cortex-M55", "m55")
RV32IMC = Core("RV32IMC, integers", "rv32imc", fixed_point=True)
RV32IMAFC = Core("RV32IMAFC", "rv32imafc")
LX106 = Core("Xtensa lx106, integers", "lx106", fixed_point=True)

CORES = (
    CORTEX_M0_PLUS,
    CORTEX_M4,
    CORTEX_M4_PLAIN,
    CORTEX_M4_INTEGERS,
    CORTEX_M7,
    CORTEX_M33,
    CORTEX_M55,
    RV32IMC,
    RV32IMAFC,
    LX106,
)
"""All that `firmware-cost` records."""


def require_tools(*cores: Core) -> None:
    """Check that all tools for counting on these cores are installed.

    Raises
    ------
    ConfigError
        naming what is missing.
    """
    require(*(tool for core in cores for tool in core.tools))


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
        if the sources are missing, the build or the run fails, or the emulator does not count
        instructions.
    """
    firmware = Path(firmware)
    if not (firmware / "emulator" / "cost.c").is_file():
        raise ConfigError(f"{firmware}: no emulator/cost.c found; pass the project's firmware/")
    settings = (f"MODEL={model}", f"BUILD={build}", *_switches(core))
    run("make", "-C", str(firmware.resolve()), *settings, core.target)
    program = build / f"{core.target}.elf"
    printed = run(*MACHINES[core.machine].command(program, counting=True))
    return _counted(printed, program)


def _switches(core: Core) -> tuple[str, ...]:
    switches = {"FIXED": core.fixed_point, "PLAIN": core.plain, "OBVIOUS": core.obvious}
    return tuple(f"{name}={'1' if on else ''}" for name, on in switches.items())


def _counted(printed: str, program: Path) -> Counted:
    lines = [words for words in map(str.split, printed.splitlines()) if len(words) == 2]
    layers = tuple(int(count) for part, count in lines if part.startswith(_LAYER))
    counts = {part: int(count) for part, count in lines if not part.startswith(_LAYER)}
    if missing := sorted((_PARTS | {_LOOP}) - counts.keys()):
        raise ConfigError(
            f"emulator/cost.c did not print {', '.join(missing)}; it is from another release"
        )
    loop = counts.pop(_LOOP)
    if not math.isclose(loop, _LOOP_INSTRUCTIONS, rel_tol=_CLOCK_TOLERANCE):
        raise ConfigError(
            f"{program.name}: the emulator counted {loop:,} instructions in a loop of "
            f"{_LOOP_INSTRUCTIONS:,}; use the release of QEMU that firmware/install-emulators.sh "
            "installs"
        )
    return Counted(counts, layers, program)
