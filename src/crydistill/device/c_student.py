"""A student in the terms of the C library, from which its C source and its image are written."""

from dataclasses import dataclass

import numpy as np

from crydistill.detector.vote import VoteSettings
from crydistill.device.c_arena import ArenaPlan, plan_arena
from crydistill.device.c_layers import Layer, layer_in_c
from crydistill.device.vendors import Vendor
from crydistill.errors import ModelError
from crydistill.student.activation import activate
from crydistill.student.manifest import FrontEnd, StudentManifest
from crydistill.tflite.check import TfliteFacts, inspect_tflite
from crydistill.tflite.file import TfliteFile, read_tflite
from crydistill.tflite.interpreters import Float32, dequantize

FORMAT_VERSION = 3
"""CRYDISTILL_FORMAT_VERSION of the library that students are written for."""

_MOST_OUTPUTS = 1 << 16
"""Limit from the C model's 16-bit indices of the cry outputs."""


@dataclass(frozen=True)
class Call:
    """A call of a kernel.

    position : number of the operator in the graph
    places : as `ArenaPlan.places`
    """

    position: int
    layer: Layer
    places: list[int | None]


@dataclass(frozen=True)
class CStudent:
    """A student as the C library runs it.

    facts, file : of its `.tflite`
    plan : of the tensor arena
    calls : in the order in which they are made; what computes nothing (RESHAPE) has none
    logits : where the network's outputs are at the end, in bytes from the arena's start
    input_factor : quantization steps per unit of the log-mel, with 16 fractional bits
    """

    manifest: StudentManifest
    facts: TfliteFacts
    file: TfliteFile
    plan: ArenaPlan
    calls: list[Call]
    logits: int
    input_factor: int

    @property
    def outputs(self) -> int:
        """Number of the network's outputs."""
        return self.facts.output.shape[-1]

    @property
    def activation_table(self) -> Float32:
        """`activation` of `struct crydistill_model`, `[256]`."""
        logits = self.facts.output
        if self.manifest.activation == "softmax":
            return np.asarray(np.exp(-np.arange(256) * logits.scale), dtype=np.float32)
        every_step = np.arange(-128, 128, dtype=np.int8)[:, None]
        values = dequantize(every_step, logits.scale, logits.zero_point)
        return activate(values, self.manifest.activation).ravel()


def student_in_c(
    tflite: bytes, manifest: StudentManifest, vendor: Vendor | None = None
) -> CStudent:
    """Check a student, plan its arena, convert its layers.

    Parameters
    ----------
    tflite : the student
    manifest : its `student.json`
    vendor : whose kernels compute what they can; None: the library's own compute everything

    Raises
    ------
    ModelError
        if the two do not belong together, the front end differs, the `.tflite` fails
        `inspect_tflite`, the engine lacks an operator, which is named with its layer, or the
        student is beyond what the library's structs hold.
    """
    facts = inspect_tflite(tflite, size_limit=manifest.tflite.size_bytes, name=manifest.name)
    _check_manifest(manifest, facts.sha256)
    file = read_tflite(tflite)
    plan = plan_arena(file, vendor.scratch(file)) if vendor else plan_arena(file)
    handed = vendor.handovers(file, plan) if vendor else {}
    calls = [
        Call(position, layer, plan.places(file, operator))
        for position, operator in enumerate(file.operators)
        if (layer := layer_in_c(file, position, handed.get(position))) is not None
    ]
    if not calls:
        raise ModelError(f"{manifest.name}: the student has no operators; export another")
    outputs = facts.output.shape[-1]
    if outputs > _MOST_OUTPUTS:
        raise ModelError(f"{manifest.name}: {outputs} outputs, more than {_MOST_OUTPUTS}")
    factor = _input_factor(manifest.name, facts.input.scale)
    return CStudent(manifest, facts, file, plan, calls, plan.offsets[file.outputs[0]], factor)


def settings_fields(vote: VoteSettings) -> dict[str, int | float]:
    """Members of a `struct crydistill_settings`."""
    return {
        "threshold": vote.threshold,
        "n": vote.n,
        "m": vote.m,
        "hold_ms": round(vote.hold_seconds * 1000),
    }


def _check_manifest(manifest: StudentManifest, sha256: str) -> None:
    """Check that manifest and `.tflite` belong together and hear with the library's front end."""
    if manifest.tflite.sha256 != sha256:
        raise ModelError(
            f"{manifest.name}: the .tflite's sha256 does not match its manifest; "
            "the two files must come from the same run"
        )
    ours = FrontEnd()
    for field, value in manifest.front_end:
        if value != getattr(ours, field):
            raise ModelError(
                f"{manifest.name}: front_end.{field}: the student was trained with {value!r}, the "
                f"C library computes {getattr(ours, field)!r}; use the release that made it"
            )


def _input_factor(name: str, scale: float) -> int:
    factor = round(2**16 / scale)
    if factor >= 2**31:
        raise ModelError(
            f"{name}: the input's scale {scale:g} is too small for a log-mel; "
            "the student was not calibrated on audio"
        )
    return factor
