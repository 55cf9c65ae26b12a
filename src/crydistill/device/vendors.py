"""Vendors' kernels that the C library can use in the place of its own.

Adapters in `firmware/adapters` hand a layer's fields to the vendor's functions; the build of the
firmware brings these. Which layers are handed over and how much scratch memory they get is decided
at export, and the adapters compare it with what the vendor's own functions ask for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from crydistill.device import cmsis_nn, esp_nn
from crydistill.device.c_arena import ArenaPlan
from crydistill.device.c_layers import Handover
from crydistill.device.geometry import window_of
from crydistill.device.kernel_faults import CMSIS_NN, ESP_NN, faults_met
from crydistill.errors import ConfigError
from crydistill.tflite.file import Operator, TfliteFile

OWN = "own"
"""Name of the C library's own kernels."""

_OPERATORS = ("ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators that both adapters have functions for."""

_SIXTEEN_BITS = 1 << 16


@dataclass(frozen=True)
class Vendor:
    """A vendor's library of kernels.

    library : its name
    adapter : name of the adapter's files, and beginning of its functions' names
    can : whether the vendor computes an operator
    scratch_bytes : what it requests for an operator, bytes
    scratch_users : operators for which it may request scratch memory
    slow : a line for each operator that is not on one of its fast paths, if these are known
    """

    library: str
    adapter: str
    can: Callable[[TfliteFile, Operator], bool]
    scratch_bytes: Callable[[TfliteFile, Operator], int]
    scratch_users: tuple[str, ...]
    slow: Callable[[TfliteFile], Iterator[str]]

    def takes(self, file: TfliteFile, operator: Operator) -> bool:
        """Whether an operator is handed to the vendor."""
        return operator.name in _OPERATORS and self.can(file, operator)

    def scratch(self, file: TfliteFile) -> dict[int, int]:
        """Scratch memory of the operators that are handed over, bytes, by position."""
        return {
            position: self.scratch_bytes(file, operator)
            for position, operator in enumerate(file.operators)
            if self.takes(file, operator) and operator.name in self.scratch_users
        }

    def handovers(self, file: TfliteFile, plan: ArenaPlan) -> dict[int, Handover]:
        """How operators are handed over, by position.

        Parameters
        ----------
        plan : of an arena with the memory that `scratch` says
        """
        found = {}
        scratch = self.scratch(file)
        for position, operator in enumerate(file.operators):
            if self.takes(file, operator):
                start = plan.scratch.get(position)
                output = plan.offsets[operator.outputs[0]]
                offset = 0 if start is None else start - output
                found[position] = Handover(self.adapter, offset, scratch.get(position))
        return found

    def notes(self, file: TfliteFile) -> tuple[str, ...]:
        """What whoever exports a student should know: slow layers, layers that stay, faults."""
        stay = [
            f"layer {position} ({operator.name}): stays with the C library's own kernel"
            for position, operator in enumerate(file.operators)
            if operator.name in _OPERATORS and not self.takes(file, operator)
        ]
        return (*stay, *self.slow(file), *faults_met(file, self.library))


def find_vendor(kernels: str) -> Vendor | None:
    """Return the vendor of that name; None for the library's own kernels.

    Raises
    ------
    ConfigError
        if there is none of that name.
    """
    if kernels == OWN:
        return None
    try:
        return VENDORS[kernels]
    except KeyError:
        raise ConfigError(
            f"kernels: {kernels!r} is none of {', '.join((OWN, *VENDORS))}; choose one of these"
        ) from None


def _always(file: TfliteFile, operator: Operator) -> bool:
    return True


def _esp_nn_can(file: TfliteFile, operator: Operator) -> bool:
    """Sizes have 16 bits; dilation is ignored; on the ESP32-S3 pools take channels by fours.

    Source: as `crydistill.device.esp_nn`.
    """
    tensors = (file.tensors[i] for i in (*operator.inputs, *operator.outputs) if i != -1)
    if operator.name == "ADD":
        return True
    if any(size >= _SIXTEEN_BITS for tensor in tensors for size in tensor.shape):
        return False
    if operator.name == "FULLY_CONNECTED":
        return True
    window = window_of(file, operator)
    if operator.name == "AVERAGE_POOL_2D":
        return window.channels % 4 == 0
    return not window.is_dilated


def _esp_nn_slow(file: TfliteFile) -> Iterator[str]:
    for position, operator in enumerate(file.operators):
        path = esp_nn.kernel_path(file, operator)
        if operator.name in _OPERATORS and _esp_nn_can(file, operator) and not path.fast:
            yield f"layer {position} ({operator.name}): not on a fast path of ESP-NN: {path.why}"


def _none_known(file: TfliteFile) -> Iterator[str]:
    return iter(())


VENDORS = {
    "cmsis-nn": Vendor(
        CMSIS_NN,
        "crydistill_cmsis_nn",
        _always,
        cmsis_nn.scratch_bytes,
        cmsis_nn.SCRATCH_USERS,
        _none_known,
    ),
    "esp-nn": Vendor(
        ESP_NN,
        "crydistill_esp_nn",
        _esp_nn_can,
        esp_nn.scratch_bytes,
        esp_nn.SCRATCH_USERS,
        _esp_nn_slow,
    ),
}
