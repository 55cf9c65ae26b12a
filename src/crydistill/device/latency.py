"""Estimate the time per window on a microcontroller: a model, not a measurement.

It has two inputs, each with its source:

- executed instructions of the C library, counted under emulation (`device.cost_record`), times an
  assumed range of cycles per instruction of the core;
- for ESP-NN, cycles that Espressif published for single kernels on an ESP32-S3, by kind of layer.

The result is a range. Measure on the board where it matters.
"""

from dataclasses import dataclass

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.device import cost_record as recorded
from crydistill.device.emulator import Core
from crydistill.device.esp_nn import kernel_path
from crydistill.student.manifest import StudentManifest
from crydistill.tflite.cost import layer_costs, layer_work
from crydistill.tflite.file import Operator, TfliteFile

ESP32_S3_HZ = 240_000_000

PUBLISHED_FRONT_END_MS = (16.0, 176.0)
"""Times published by others for a log-mel front end on ESP32-S3-class chips, per window."""

PLAIN_CYCLES_PER_MAC = {"CONV_2D": 11.3, "DEPTHWISE_CONV_2D": 32.4, "FULLY_CONNECTED": 15.5}
PLAIN_CYCLES_PER_MAC_3X3 = 19.0
"""Espressif's plain C kernels on an ESP32-S3 at 240 MHz, data in external memory: 4,642,259 cycles
for 409,600 products (1x1, 64 to 64 channels), 1,192,832 for 36,864 (3x3 depthwise, 16 channels),
12,290 for 795 (dense), 2,106,801 for 110,592 (3x3, 3 to 64 channels). Source: README of ESP-NN
1.0.2."""

SPEED_UPS = {
    "CONV_2D": (6.9, 14.0),
    "DEPTHWISE_CONV_2D": (6.2, 6.3),
    "FULLY_CONNECTED": (2.8, 7.8),
}
SPEED_UP_3X3 = (3.3, 6.0)
"""Speed-up of ESP-NN over plain C, by kind: smallest and largest published (READMEs of ESP-NN 1.0.2
and of a later release); the second value of `SPEED_UP_3X3` is assumed. Slow paths lie between 1 and
the smallest."""

OVERHEAD_CYCLES_PER_LAYER = 2_000
"""Interpreter overhead per kernel call, assumed."""

OTHER_CYCLES_PER_ELEMENT = (2.0, 10.0)
"""Cycles per element read by operators without products (sums, pooling, copies), assumed."""

ASSUMPTIONS_ESP_NN = (
    "cycles per product of each kind of layer as Espressif measured its plain C kernels on an "
    "ESP32-S3 at 240 MHz with data in external memory (README of ESP-NN 1.0.2)",
    "fast end: every layer runs with the largest published speed-up of its kind; slow end: with "
    "the smallest, and layers off the vector paths run as plain C",
    "2,000 cycles a layer for TFLite Micro; no other task, no second core, no cache misses",
)
ASSUMPTIONS_LIBRARY = (
    "instructions counted by qemu for the packaged student on the board's own kind of core, with "
    "the kernels that the library chooses there; for another student derived from its layers; "
    "Xtensa LX6 and LX7 have no tool chain here: counted on RV32IMAFC, the nearest",
    "the cycles per instruction stated for each core; code from flash through a cache, data in "
    "internal memory; no other task",
    "without an FPU, the library's front end in integers",
)


@dataclass(frozen=True)
class Range:
    """Range from the fastest to the slowest value that the assumptions allow."""

    low: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> "Range":
        """Scale both ends."""
        return Range(self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Instructions:
    """Executed instructions of the C library.

    network, score, vote : per window
    front_end : per hop, the new audio of a window
    measured : counted for this student; otherwise estimated from the packaged student's layers
    """

    front_end: float
    network: float
    score: float
    vote: float
    measured: bool

    @property
    def window(self) -> float:
        """Total per window."""
        return self.front_end + self.network + self.score + self.vote

    @property
    def front_end_share(self) -> float:
        """Fraction of the total that the front end takes, 0 to 1."""
        return self.front_end / self.window


def recorded_instructions(file: TfliteFile, manifest: StudentManifest, core: Core) -> Instructions:
    """Instructions of a student on a core, from the package's record.

    Exact counts for the recorded student; otherwise estimated from that student's layers, within
    10 % for the networks of the tests, on a Cortex-M55 15 %.
    """
    front_end = recorded.front_end_per_second(core) * WINDOW_HOP_SECONDS
    if manifest.tflite.sha256 == recorded.recorded_sha256():
        return Instructions(front_end, *recorded.recorded_window(core), measured=True)
    score = recorded.score_per_window(
        core,
        len(manifest.cry_outputs),
        manifest.output.shape[-1],
        softmax=manifest.activation == "softmax",
    )
    network = recorded.network_per_window(core, layer_work(file))
    return Instructions(front_end, network, score, recorded.vote_per_window(core), measured=False)


def esp_nn_cycles(file: TfliteFile) -> tuple[Range, ...]:
    """Cycles of each operator with ESP-NN on an ESP32-S3, in execution order."""
    layers = zip(file.operators, layer_costs(file), strict=True)
    return tuple(_with_esp_nn(file, operator, layer.macs) for operator, layer in layers)


def plain_cycles(file: TfliteFile) -> tuple[Range, ...]:
    """Cycles of each operator with TFLite Micro and plain C kernels on an ESP32-S3."""
    layers = zip(file.operators, layer_costs(file), strict=True)
    return tuple(_plain(file, operator, layer.macs) for operator, layer in layers)


def milliseconds(cycles: Range, hertz: float = ESP32_S3_HZ) -> Range:
    """Convert cycles to milliseconds."""
    return cycles.times(1_000 / hertz)


def _with_esp_nn(file: TfliteFile, operator: Operator, macs: int) -> Range:
    plain = _plain(file, operator, macs)
    if macs == 0:
        return plain
    least, most = SPEED_UP_3X3 if _is_wide_conv(file, operator) else SPEED_UPS[operator.name]
    if not kernel_path(file, operator).fast:
        least, most = 1.0, least
    products = plain.high - OVERHEAD_CYCLES_PER_LAYER
    return _overhead() + Range(products / most, products / least)


def _plain(file: TfliteFile, operator: Operator, macs: int) -> Range:
    if operator.name == "RESHAPE":
        return Range(0, 0)
    if macs == 0:
        read = sum(file.tensors[i].size for i in operator.inputs if i != -1)
        low, high = OTHER_CYCLES_PER_ELEMENT
        return _overhead() + Range(low * read, high * read)
    each = PLAIN_CYCLES_PER_MAC[operator.name]
    if _is_wide_conv(file, operator):
        each = PLAIN_CYCLES_PER_MAC_3X3
    return _overhead() + Range(macs * each, macs * each)


def _overhead() -> Range:
    return Range(OVERHEAD_CYCLES_PER_LAYER, OVERHEAD_CYCLES_PER_LAYER)


def _is_wide_conv(file: TfliteFile, operator: Operator) -> bool:
    """Whether this is a convolution with a kernel larger than 1x1."""
    if operator.name != "CONV_2D":
        return False
    _, height, width, _ = file.tensors[operator.inputs[1]].shape
    return height * width > 1
