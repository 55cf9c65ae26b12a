"""Known faults of vendors' kernels, by version: one table, and which layers meet them."""

from collections.abc import Callable
from dataclasses import dataclass

from crydistill.device.cmsis_nn import is_row
from crydistill.device.geometry import Window, window_of
from crydistill.tflite.file import TfliteFile


@dataclass(frozen=True)
class KernelFault:
    """A fault that a vendor has repaired.

    library : whose kernels
    repaired : first version without it
    operator : whose kernel
    meets : whether a layer of this geometry meets it
    effect : what goes wrong
    source : where it is described
    """

    library: str
    repaired: str
    operator: str
    meets: Callable[[Window], bool]
    effect: str
    source: str


ESP_NN = "ESP-NN"
CMSIS_NN = "CMSIS-NN"


def _more_padding_behind(w: Window) -> bool:
    return not w.is_pointwise and (w.pad_below > w.pad_height or w.pad_right > w.pad_width)


def _uneven_in_front(w: Window) -> bool:
    return w.taps == 9 and w.channels % 16 == 0 and w.pad_height != w.pad_width


def _strided_row(w: Window) -> bool:
    return is_row(w) and w.stride_width > 1 and (w.pad_width > 0 or w.pad_right > 0)


KERNEL_FAULTS = (
    KernelFault(
        ESP_NN,
        "1.2.6",
        "CONV_2D",
        _more_padding_behind,
        "on the ESP32-S3 the last row and column can be wrong: padding behind the input is left "
        "out where there is more than in front",
        "https://github.com/espressif/esp-nn/issues/31",
    ),
    KernelFault(
        ESP_NN,
        "1.2.6",
        "DEPTHWISE_CONV_2D",
        _uneven_in_front,
        "on the ESP32-S3 it writes beyond the scratch memory it asks for: rows and columns are "
        "padded differently in front",
        "https://github.com/espressif/esp-nn/issues/30",
    ),
    KernelFault(
        CMSIS_NN,
        "6.0.0",
        "CONV_2D",
        _strided_row,
        "with Helium it refuses some strides over one padded row; the C library's own kernel then "
        "computes the layer",
        "https://github.com/ARM-software/CMSIS-NN/issues/109",
    ),
)


def faults_met(file: TfliteFile, library: str) -> tuple[str, ...]:
    """A line for each fault of a library that a layer of the student meets, with its layers.

    Parameters
    ----------
    file : model that `inspect_tflite` has accepted
    library : `ESP_NN` or `CMSIS_NN`
    """
    lines = []
    for fault in KERNEL_FAULTS:
        layers = [
            str(position)
            for position, operator in enumerate(file.operators)
            if operator.name == fault.operator and fault.meets(window_of(file, operator))
        ]
        if fault.library == library and layers:
            numbers = f"layer{'s' if len(layers) > 1 else ''} {', '.join(layers)}"
            lines.append(
                f"{library} before {fault.repaired}, {numbers} ({fault.operator}): {fault.effect} "
                f"({fault.source})"
            )
    return tuple(lines)


def first_sound_version(library: str) -> str:
    """The lowest version of a library without any of the known faults."""
    versions = [fault.repaired for fault in KERNEL_FAULTS if fault.library == library]
    return max(versions, key=lambda version: [int(part) for part in version.split(".")])
