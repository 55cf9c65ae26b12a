"""Predict scratch memory and fast paths in ESP-NN, Espressif's kernels for the ESP32-S3.

Nothing here is measured on an ESP32-S3. The formulas are those by which ESP-NN requests scratch
buffers from TFLite Micro, and the conditions under which it takes a vector path.

Source: espressif/esp-nn at commit 1017042 (2026), `esp_nn_get_conv_scratch_size_esp32s3` and
`esp_nn_get_depthwise_conv_scratch_size_esp32s3`; espressif/esp-tflite-micro, `kernels/esp_nn`.
"""

from dataclasses import dataclass
from typing import Any

from crydistill.device.geometry import Window, aligned, rounded_up, window_of
from crydistill.device.greedy import Lifetime, placed, total_bytes
from crydistill.tflite.file import Operator, TfliteFile

VERSION = "ESP-NN at commit 1017042 (2026)"

SCRATCH_USERS = ("CONV_2D", "DEPTHWISE_CONV_2D")
SCRATCH_HANDLE_BYTES = 8
"""Extra bytes per layer with a scratch buffer in TFLite Micro: a pointer and an index, 32-bit."""

_CONV_MARGIN = 64
_PANEL_FILTER = 24 * 1024
_PANEL_WORK = 16 * 1024
_INPUT_BUDGET = 40 * 1024
_WIDE_BUDGET = 48 * 1024
"""Largest input that ESP-NN copies as a whole, bytes; larger ones in strips of rows."""

_DENSE_OUTPUTS = 16


@dataclass(frozen=True)
class Path:
    """How ESP-NN computes an operator.

    fast : whether on one of its vector paths
    why : explanation
    """

    fast: bool
    why: str


def scratch_bytes(file: TfliteFile, operator: Operator) -> int:
    """Scratch memory that ESP-NN requests for one operator, bytes; 0 if none.

    Parameters
    ----------
    file : model that `inspect_tflite` has accepted
    """
    if operator.name not in SCRATCH_USERS:
        return 0
    window = window_of(file, operator)
    if operator.name == "CONV_2D":
        return _conv_scratch(window)
    return _depthwise_scratch(window, int(operator.options["depth_multiplier"]))


def kernel_path(file: TfliteFile, operator: Operator) -> Path:
    """Whether ESP-NN has a vector path for one operator."""
    if operator.name == "FULLY_CONNECTED":
        outputs = file.tensors[operator.outputs[0]].shape[-1]
        fast = outputs >= _DENSE_OUTPUTS
        return Path(fast, f"{outputs} outputs, {'at least' if fast else 'below'} {_DENSE_OUTPUTS}")
    if operator.name == "CONV_2D":
        return _conv_path(window_of(file, operator))
    if operator.name == "DEPTHWISE_CONV_2D":
        return _depthwise_path(window_of(file, operator), operator.options)
    fast = operator.name in ("ADD", "AVERAGE_POOL_2D", "RESHAPE")
    return Path(fast, "vector kernel" if fast else "TFLite Micro's reference kernel")


def non_persistent_bytes(file: TfliteFile, *, esp_nn: bool) -> int:
    """Size of the planned part of TFLite Micro's arena: intermediate tensors and scratch buffers.

    Follows its planner, which also places the network's input: that lives until the first layer
    has read it.

    Parameters
    ----------
    esp_nn : whether to include ESP-NN's scratch buffers; the reference kernels need none
    """
    return total_bytes(placed(sorted(_lifetimes(file, esp_nn), key=lambda b: -b.size)))


def _lifetimes(file: TfliteFile, esp_nn: bool) -> list[Lifetime]:
    """Every planned buffer."""
    first = dict.fromkeys(file.inputs, 0)
    last = {index: len(file.operators) - 1 for index in file.outputs}
    scratch = []
    for position, operator in enumerate(file.operators):
        for index in operator.inputs:
            if index != -1 and file.tensors[index].data is None:
                last[index] = max(last.get(index, 0), position)
        first.update(dict.fromkeys(operator.outputs, position))
        wanted = scratch_bytes(file, operator) if esp_nn else 0
        if wanted:
            scratch.append(Lifetime(aligned(wanted), position, position))
    tensors = [
        Lifetime(aligned(file.tensors[index].size), start, last.get(index, start))
        for index, start in first.items()
    ]
    return tensors + scratch


def _conv_path(window: Window) -> Path:
    if window.is_pointwise:
        fast = window.channels % 8 == 0 and not window.is_strided
        return Path(fast, f"1x1 on {window.channels} channels, stride {window.stride_height}")
    # The general vector kernel pads filter rows to 16 bytes; with few channels, mostly padding.
    return Path(True, f"{window.filter_height}x{window.filter_width}, general vector kernel")


def _depthwise_path(window: Window, options: dict[str, Any]) -> Path:
    fast = window.taps == 9 and window.channels % 16 == 0 and options["depth_multiplier"] == 1
    size = f"{window.filter_height}x{window.filter_width}"
    return Path(fast, f"{size} on {window.channels} channels, fast are multiples of 16")


def _conv_scratch(w: Window) -> int:
    if w.taps == 9 and w.channels % 16 == 0 and w.filters >= 16:
        return 9 * w.channels + 4 * w.filters + 32
    if w.is_pointwise and not w.is_strided:
        transposed = 16 * rounded_up(w.channels, 8) if w.height * w.width >= 8 else 0
        batched = 24 * w.channels + 8 * w.filters
        panel = 24 * w.channels + _PANEL_WORK if w.channels * w.filters > _PANEL_FILTER else 0
        return max(transposed, batched, panel) + _CONV_MARGIN
    row = w.filter_width * w.channels
    if row < 16 <= w.filter_height * row:
        taps = rounded_up(w.filter_height * row, 16)
        return 4 * w.filters + 32 + (w.filters + 1) * taps + _CONV_MARGIN
    weights = rounded_up(row, 16) * w.filter_height * w.filters
    return _padded_input(w) + weights + 4 * w.filters + _CONV_MARGIN


def _padded_input(w: Window) -> int:
    """Bytes of the padded input; 0 if there is no padding."""
    if not any((w.pad_right, w.pad_below, w.pad_height, w.pad_width)):
        return 0
    return w.padded_width * w.padded_height * w.channels


def _depthwise_scratch(w: Window, multiplier: int) -> int:
    size, weights = w.height * w.width * w.channels, w.taps * w.channels * multiplier
    if multiplier == 1 and w.channels % 8 == 0:
        if w.taps == 9 and w.filter_height == 3:
            return _depthwise_3x3_scratch(w, size, weights)
        wide = 2 * (weights + size)
        if wide > _WIDE_BUDGET:
            wide = 2 * (weights + w.width * w.filter_height * w.channels)
        return wide + 32
    if multiplier == 1 and w.channels > 3:
        channels = rounded_up(w.channels, 8)
        start = rounded_up(2 * w.taps * channels, 16)
        start = rounded_up(start + 2 * w.height * w.width * channels, 16)
        return rounded_up(start + w.out_height * w.out_width * channels, 16) + 12 * channels + 16
    return 2 * (weights + size) + 32 if multiplier % 4 == 0 else 32


def _depthwise_3x3_scratch(w: Window, size: int, weights: int) -> int:
    if w.channels % 16 == 0 and w.pad_height == w.pad_width <= 1:
        more_width, more_height = 2 * w.pad_width, 2 * w.pad_height
        if not w.pad_width:
            more_width = w.out_width * w.stride_width + 2 - w.width
            more_height = w.out_height * w.stride_height + 2 - w.height
        if not (more_width or more_height):
            return weights + 16
        row, rows = (w.width + more_width) * w.channels, w.height + more_height
        if row * rows <= _INPUT_BUDGET:
            return weights + row * rows + 16
        strip = max(3, (_INPUT_BUDGET - weights - 32) // row)
        return weights + min(strip, rows) * row + 32
    if w.channels >= 12:
        channels = rounded_up(w.channels, 16)
        width = w.width + 2 * w.pad_width + max(0, w.out_width * w.stride_width + 2 - w.width)
        height = w.height + 2 * w.pad_height + max(0, w.out_height * w.stride_height + 2 - w.height)
        return (9 + width * height + w.out_height * w.out_width + 12) * channels + 64
    return 2 * (weights + size) + 32
