"""Estimate whether a student fits microcontroller boards, by memory and CPU load.

Memory and clock are from the chips' datasheets; where flash is a separate chip, from the vendor's
usual board. Cycles per instruction are assumptions, made once here per kind of core.
"""

from dataclasses import dataclass
from enum import StrEnum

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.device import cost_record as recorded
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

    fpu : single-precision hardware
    dsp : SIMD instructions for 8- or 16-bit products, which vendor kernels use
    cycles : cycles per instruction of plain C, assumed
    instructions : number relative to a Cortex-M4 for the same work, assumed
    """

    name: str
    fpu: bool
    dsp: str
    cycles: Range
    instructions: float = 1.0


LX7 = Core("Xtensa LX7, dual", True, "128-bit vectors (ESP-NN)", Range(1.0, 2.0))
LX6 = Core("Xtensa LX6, dual", True, "16-bit MAC", Range(1.0, 2.0))
RV32 = Core("RISC-V RV32IMC", False, "none", Range(1.1, 2.0), 1.2)
M0_PLUS = Core("Cortex-M0+, dual", False, "none", Range(1.2, 2.2), 1.5)
M33 = Core("Cortex-M33, dual", True, "SIMD (CMSIS-NN)", Range(1.1, 1.7))
M4F = Core("Cortex-M4F", True, "SIMD (CMSIS-NN)", Range(1.2, 2.0))
M7 = Core("Cortex-M7", True, "SIMD (CMSIS-NN)", Range(0.6, 1.2))


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
    Board("RP2040", M0_PLUS, 133 * MHZ, 2048 * KIB, 264 * KIB,
          "RP2040 datasheet: 264 KB SRAM, 133 MHz; flash of Raspberry Pi Pico"),
    Board("RP2350", M33, 150 * MHZ, 4096 * KIB, 520 * KIB,
          "RP2350 datasheet: 520 KB SRAM, 150 MHz; flash of Raspberry Pi Pico 2"),
    Board("STM32L4", M4F, 80 * MHZ, 1024 * KIB, 128 * KIB,
          "STM32L476xG datasheet (DS10198): 96 + 32 KB SRAM, 80 MHz"),
    Board("STM32F4", M4F, 100 * MHZ, 512 * KIB, 128 * KIB,
          "STM32F411xE datasheet (DS10314): 128 KB SRAM, 100 MHz"),
    Board("STM32H7", M7, 480 * MHZ, 2048 * KIB, 1024 * KIB,
          "STM32H743xI datasheet (DS12110): 1 MB SRAM in several pieces, 480 MHz"),
    Board("nRF52840", M4F, 64 * MHZ, 1024 * KIB, 256 * KIB,
          "nRF52840 product specification: 256 KB RAM, 64 MHz"),
)  # fmt: skip


@dataclass(frozen=True)
class Needs:
    """Requirements of a student with the C library.

    flash_bytes, ram_bytes : of student and library, without the firmware around them
    instructions : executed per window
    """

    flash_bytes: int
    ram_bytes: int
    instructions: Instructions


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
    """Estimate how a student runs with the plain C library on a board."""
    flash_left = board.flash_bytes - needs.flash_bytes - FIRMWARE_FLASH_BYTES
    ram_left = board.ram_bytes - needs.ram_bytes - FIRMWARE_RAM_BYTES
    time = milliseconds(_cycles(board.core, needs.instructions), board.clock_hz)
    load = time.times(1 / (1_000 * WINDOW_HOP_SECONDS))
    problems = [
        f"{kind} is {-left:,} bytes short"
        for kind, left in (("flash", flash_left), ("RAM", ram_left))
        if left < 0
    ]
    if load.low > TIME_BUDGET:
        problems.append(f"too slow with plain C: {load.low:.0%} of a core at best")
    verdict = Verdict.DOES_NOT_FIT if problems else Verdict.FITS
    if not problems and load.high > TIME_BUDGET:
        verdict = Verdict.TIGHT
        problems.append(f"may take {load.high:.0%} of a core with plain C")
    return Fit(
        board.name, verdict, time, load, flash_left, ram_left,
        tuple(problems + _remedies(board.core, load)) or ("memory and time to spare",),
    )  # fmt: skip


def _cycles(core: Core, instructions: Instructions) -> Range:
    count = instructions.window
    if not core.fpu:
        in_integers = recorded.front_end_per_second(fixed_point=True) * WINDOW_HOP_SECONDS
        count += in_integers - instructions.front_end
    return core.cycles.times(count * core.instructions)


def _remedies(core: Core, load: Range) -> list[str]:
    remedies = []
    if load.high > TIME_BUDGET and core.dsp.endswith("NN)"):
        remedies.append(f"vendor kernels help: {core.dsp}")
    if not core.fpu:
        remedies.append("no FPU: with the front end in integers")
    return remedies
