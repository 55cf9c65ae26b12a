"""Predict the scratch memory of CMSIS-NN, Arm's kernels for Cortex-M.

CMSIS-NN chooses its kernels when it is compiled: plain C, with DSP instructions or with Helium. A
student is exported once for all of them, so each size is the largest of the three.

Source: ARM-software/CMSIS-NN, versions 4.1 to 8.0: the comments of `arm_nnfunctions.h` and the
functions `arm_convolve_wrapper_s8_get_buffer_size`, `arm_depthwise_conv_wrapper_s8_get_buffer_size`
and `arm_avgpool_s8_get_buffer_size`.
"""

from crydistill.device.geometry import Window, rounded_up, window_of
from crydistill.tflite.file import Operator, TfliteFile

SCRATCH_USERS = ("AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D")

_HELIUM_COLUMNS = 4
"""Outputs that the general convolution gathers at a time, each in whole registers of 16 bytes."""

_HELIUM_CHANNELS = 124
"""Channels of a depthwise layer that are gathered at a time (CH_IN_BLOCK_MVE)."""


def scratch_bytes(file: TfliteFile, operator: Operator) -> int:
    """Scratch memory that CMSIS-NN requests for one operator on any core, bytes; 0 if none.

    Parameters
    ----------
    file : model that `inspect_tflite` has accepted
    """
    if operator.name not in SCRATCH_USERS:
        return 0
    window = window_of(file, operator)
    if operator.name == "AVERAGE_POOL_2D":
        return 4 * window.channels  # sums, with DSP instructions
    if operator.name == "CONV_2D":
        return _conv_scratch(window)
    return _depthwise_scratch(window)


def is_row(window: Window) -> bool:
    """Whether CMSIS-NN takes its kernel for an image and a filter of one row."""
    return (
        window.height == window.filter_height == 1
        and window.filter_width > 1
        and window.dilation_width == 1
    )


def _conv_scratch(w: Window) -> int:
    if w.is_pointwise and not w.is_strided:
        return 4 * w.channels  # with DSP instructions and Arm's compiler
    # With DSP instructions two outputs in 16 bits: never more.
    columns = _HELIUM_COLUMNS * rounded_up(w.taps * w.channels, 16)
    return max(columns, _row_scratch(w)) if is_row(w) else columns


def _row_scratch(w: Window) -> int:
    """The ends of a row with their padding, with Helium."""
    row = w.filter_width * w.channels
    left = row + w.pad_width * w.channels
    outputs_at_the_end = -(-(w.pad_width + 1) // w.stride_width)
    right = row - w.channels + max(outputs_at_the_end, w.pad_width) * w.channels
    return max(left, right)


def _depthwise_scratch(w: Window) -> int:
    if w.channels == w.filters:
        with_helium = 4 * _HELIUM_CHANNELS * w.taps
        with_dsp = 2 * w.channels * w.taps
        return max(with_helium, with_dsp)
    if w.channels == 1:
        # With Helium it becomes a convolution whose weights are transposed behind its scratch.
        return _conv_scratch(w) + w.taps * w.filters
    return 0
