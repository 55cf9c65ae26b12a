"""Estimate whether a student fits microcontroller boards, by memory and CPU load.

Memory and clock are from the chips' datasheets; where flash is a separate chip, from the vendor's
usual board. Instructions are counted under emulation; cycles per instruction are assumptions, made
once here per kind of core.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.device import emulator
from crydistill.device.latency import Instructions, Range, milliseconds

KIB = 1024
MHZ = 1_000_000

TIME_BUDGET = 0.8
"""Fraction of one core available for detection; the rest is for microphone and radio."""

FIRMWARE_FLASH_BYTES = 32 * KIB
FIRMWARE_RAM_BYTES = 16 * KIB
"""Assumed for a bare firmware around the library: start-up, libm, drivers, stack, audio buffers.
A radio stack or an operating system adds to it (ESP-IDF with Wi-Fi: about 1 MB and 100 KB)."""


class Verdict(StrEnum):
    """Whether a student fits a board."""

    FITS = "fits"
    TIGHT = "tight"
    DOES_NOT_FIT = "does not fit"


@dataclass(frozen=True)
class Core:
    """A kind of processor core.

    counted : the emulated core whose counts are used
    stand_in : whether that is another one, the nearest, for want of a tool chain
    dsp : instructions for several products at once, and the vendor's kernels that use them
    cycles : cycles per instruction, assumed
    """

    name: str
    counted: emulator.Core
    dsp: str
    cycles: Range
    stand_in: bool = False

    @property
    def fpu(self) -> bool:
        """Whether it has single-precision hardware, and the front end uses it."""
        return not self.counted.fixed_point


# fmt: off
LX7 = Core("Xtensa LX7, dual", emulator.RV32IMAFC, "128-bit vectors (ESP-NN)", Range(1.0, 2.0),
           stand_in=True)
LX6 = Core("Xtensa LX6, dual", emulator.RV32IMAFC, "16-bit MAC", Range(1.0, 2.0), stand_in=True)
RV32 = Core("RISC-V RV32IMC", emulator.RV32IMC, "none", Range(1.1, 2.0))
RV32F = Core("RISC-V RV32IMAFC, dual", emulator.RV32IMAFC, "128-bit vectors (ESP-NN)",
             Range(1.0, 2.0))
M0_PLUS = Core("Cortex-M0+, dual", emulator.CORTEX_M0_PLUS, "none", Range(1.2, 2.2))
M33 = Core("Cortex-M33", emulator.CORTEX_M33, "SIMD (CMSIS-NN)", Range(1.1, 1.7))
M4F = Core("Cortex-M4F", emulator.CORTEX_M4, "SIMD (CMSIS-NN)", Range(1.2, 2.0))
M7 = Core("Cortex-M7", emulator.CORTEX_M7, "SIMD (CMSIS-NN)", Range(0.6, 1.2))
M55 = Core("Cortex-M55", emulator.CORTEX_M55, "Helium (CMSIS-NN)", Range(1.2, 2.4))
# fmt: on


@dataclass(frozen=True)
class Board:
    """A microcontroller.

    flash_bytes : flash for program and constants
    ram_bytes : internal RAM for data, contiguous or not
    source : datasheet of these numbers
    """

    name: str
    core: Core
    clock_hz: int
    flash_bytes: int
    ram_bytes: int
    source: str


BOARDS = (
    Board("ESP32-S3", LX7, 240 * MHZ, 8192 * KIB, 512 * KIB,
          "ESP32-S3 series datasheet: 512 KB SRAM, 240 MHz; flash of ESP32-S3-WROOM-1-N8"),
    Board("ESP32", LX6, 240 * MHZ, 4096 * KIB, 320 * KIB,
          "ESP32 technical reference manual: 520 KB SRAM, 320 KB of it for data; "
          "flash of ESP32-WROOM-32E-N4"),
    Board("ESP32-C3", RV32, 160 * MHZ, 4096 * KIB, 400 * KIB,
          "ESP32-C3 series datasheet: 400 KB SRAM, 160 MHz, no FPU; flash of ESP32-C3-MINI-1-N4"),
    Board("ESP32-C6", RV32, 160 * MHZ, 4096 * KIB, 512 * KIB,
          "ESP32-C6 series datasheet: 512 KB HP SRAM, 160 MHz, no FPU; flash of ESP32-C6-MINI-1"),
    Board("ESP32-P4", RV32F, 360 * MHZ, 16384 * KIB, 768 * KIB,
          "ESP32-P4 series datasheet: 768 KB L2MEM, 360 MHz; flash of ESP32-P4-Function-EV-Board"),
    Board("RP2040", M0_PLUS, 133 * MHZ, 2048 * KIB, 264 * KIB,
          "RP2040 datasheet: 264 KB SRAM, 133 MHz; flash of Raspberry Pi Pico"),
    Board("RP2350", M33, 150 * MHZ, 4096 * KIB, 520 * KIB,
          "RP2350 datasheet: 520 KB SRAM, 150 MHz; flash of Raspberry Pi Pico 2"),
    Board("RP2350, RISC-V", RV32, 150 * MHZ, 4096 * KIB, 520 * KIB,
          "RP2350 datasheet: the same with its Hazard3 cores, RV32IMAC, no FPU"),
    Board("STM32L4", M4F, 80 * MHZ, 1024 * KIB, 128 * KIB,
          "STM32L476xG datasheet (DS10198): 96 + 32 KB SRAM, 80 MHz"),
    Board("STM32F4", M4F, 100 * MHZ, 512 * KIB, 128 * KIB,
          "STM32F411xE datasheet (DS10314): 128 KB SRAM, 100 MHz"),
    Board("STM32H7", M7, 480 * MHZ, 2048 * KIB, 1024 * KIB,
          "STM32H743xI datasheet (DS12110): 1 MB SRAM in several pieces, 480 MHz"),
    Board("STM32U5", M33, 160 * MHZ, 2048 * KIB, 786 * KIB,
          "STM32U585xx datasheet (DS13086): 786 KB SRAM, 160 MHz"),
    Board("STM32N6", M55, 800 * MHZ, 65536 * KIB, 4200 * KIB,
          "STM32N657xx datasheet (DS14791): 4.2 MB SRAM, 800 MHz, no flash inside; "
          "flash of STM32N6570-DK"),
    Board("nRF52840", M4F, 64 * MHZ, 1024 * KIB, 256 * KIB,
          "nRF52840 product specification: 256 KB RAM, 64 MHz"),
    Board("nRF5340", M33, 128 * MHZ, 1024 * KIB, 512 * KIB,
          "nRF5340 product specification: application core, 512 KB RAM, 128 MHz"),
)  # fmt: skip


COUNTED = tuple(dict.fromkeys(board.core.counted for board in BOARDS))
"""The emulated cores whose counts the boards use."""


@dataclass(frozen=True)
class Needs:
    """Requirements of a student with the C library.

    flash_bytes, ram_bytes : of student and library, without the firmware around them
    instructions : executed per window, by the title of each of `COUNTED`
    """

    flash_bytes: int
    ram_bytes: int
    instructions: Mapping[str, Instructions]


@dataclass(frozen=True)
class Fit:
    """Estimate for a student on a board.

    window_ms : time of front end and network per window; the deadline is 480 ms
    load : fraction of one core
    reasons : explanation of the verdict
    """

    board: str
    verdict: Verdict
    window_ms: Range
    load: Range
    flash_left_bytes: int
    ram_left_bytes: int
    reasons: tuple[str, ...]


def fit(board: Board, needs: Needs) -> Fit:
    """Estimate how a student runs with the C library on a board."""
    flash_left = board.flash_bytes - needs.flash_bytes - FIRMWARE_FLASH_BYTES
    ram_left = board.ram_bytes - needs.ram_bytes - FIRMWARE_RAM_BYTES
    count = needs.instructions[board.core.counted.title].window
    time = milliseconds(board.core.cycles.times(count), board.clock_hz)
    load = time.times(1 / (1_000 * WINDOW_HOP_SECONDS))
    problems = [
        f"{kind} is {-left:,} bytes short"
        for kind, left in (("flash", flash_left), ("RAM", ram_left))
        if left < 0
    ]
    if load.low > TIME_BUDGET:
        problems.append(f"too slow with the C library: {load.low:.0%} of a core at best")
    verdict = Verdict.DOES_NOT_FIT if problems else Verdict.FITS
    if not problems and load.high > TIME_BUDGET:
        verdict = Verdict.TIGHT
        problems.append(f"may take {load.high:.0%} of a core with the C library")
    return Fit(
        board.name, verdict, time, load, flash_left, ram_left,
        tuple(problems or ["memory and time to spare"]) + tuple(_remarks(board.core, load)),
    )  # fmt: skip


def _remarks(core: Core, load: Range) -> list[str]:
    remarks = []
    if load.high > TIME_BUDGET and core.dsp.endswith("NN)"):
        remarks.append(f"vendor kernels help: {core.dsp}")
    if not core.fpu:
        remarks.append("no FPU: with the front end in integers")
    if core.stand_in:
        remarks.append(f"counted on {core.counted.title}, the nearest core with a tool chain")
    return remarks
