"""Write a student as the data that the C library in WebAssembly runs: `crydistill_web_image`.

The prebuilt library has all kernels and no student. An image holds the layers' structs as they lie
in memory, the weights, the list of calls, the activation table and the golden vectors of the
self-test, so that any student needs neither a compiler nor another library.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.detector.vote import EventKind
from crydistill.device.c_student import (
    FORMAT_VERSION,
    Call,
    CStudent,
    settings_fields,
    student_in_c,
)
from crydistill.device.library import firmware_directory
from crydistill.device.selftest import GOLDEN_WINDOWS, SelfTest, make_selftest
from crydistill.student.manifest import StudentManifest
from crydistill.tflite.file import ALIGNMENT
from crydistill.web.c_structs import CStruct, c_enum, c_structs

HEADERS = (
    "src/crydistill_engine.h",
    "src/crydistill_detector.h",
    "selftest/crydistill_selftest.h",
    "web/crydistill_web.h",
)
"""Where the structs are declared, below the firmware's folder, in the order of inclusion."""

PATCH = -1
"""CRYDISTILL_IN_PATCH: a layer reads the window's patch."""

_EVENTS = {EventKind.ON: 1, EventKind.OFF: 2}
"""enum crydistill_event."""


def web_structs() -> dict[str, CStruct]:
    """Layouts of the structs that an image consists of."""
    firmware = firmware_directory()
    return c_structs(_read(firmware / name) for name in HEADERS)


def student_image(tflite: bytes, manifest: StudentManifest) -> bytes:
    """Return a student's image; deterministic, byte for byte.

    Parameters
    ----------
    tflite : the student
    manifest : its `student.json`

    Raises
    ------
    ModelError
        as `student_in_c`.
    """
    student = student_in_c(tflite, manifest)
    image = _Image(web_structs(), _operators())
    root = image.room("crydistill_web_image")
    calls = [image.call(call) for call in student.calls]
    model = image.with_arrays(*_model(student)) | {
        "calls": image.structs("crydistill_call", calls),
        "call_count": len(calls),
        "logits": student.logits,
    }
    fields = {
        "version": FORMAT_VERSION,
        "model": model,
        "golden": image.golden(make_selftest(tflite, manifest)),
    }
    image.fill("crydistill_web_image", root, fields)
    return image.finished(root)


class _Image:
    """Bytes that grow, and the places of pointers in them."""

    def __init__(self, layouts: Mapping[str, CStruct], operators: Mapping[str, int]) -> None:
        self._layouts, self._operators = layouts, operators
        self._bytes = bytearray()
        self._pointers: list[int] = []

    def room(self, name: str, count: int = 1) -> int:
        """Make room for structs; returns where."""
        return self._place(bytes(count * self._layouts[name].size))

    def array(self, values: npt.NDArray[Any]) -> int:
        return self._place(values.astype(values.dtype.newbyteorder("<")).tobytes())

    def with_arrays(
        self, fields: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> dict[str, Any]:
        """A struct's members, with pointers to its arrays."""
        return {**fields, **{name: self.array(values) for name, values in arrays.items()}}

    def fill(self, name: str, at: int, fields: Mapping[str, Any]) -> None:
        """Write a struct, and remember the pointers in it."""
        layout = self._layouts[name]
        layout.write(self._bytes, at, fields)
        self._pointers += _pointers(layout, at, fields)

    def structs(self, name: str, items: Iterable[Mapping[str, Any]]) -> int:
        """Write an array of structs; returns where it begins."""
        listed = list(items)
        first = self.room(name, len(listed))
        for number, fields in enumerate(listed):
            self.fill(name, first + number * self._layouts[name].size, fields)
        return first

    def call(self, call: Call) -> dict[str, Any]:
        """Members of a `crydistill_call`, whose layer is written first."""
        layer = call.layer
        fields = self.with_arrays(layer.fields, layer.arrays)
        *inputs, output = (PATCH if place is None else place for place in call.places)
        return {
            "operator_code": self._operators[f"CRYDISTILL_CALL_{layer.function.upper()}"],
            "layer": self.structs(layer.kind, [fields]),
            "inputs": (inputs[0], inputs[-1]),
            "output": output,
        }

    def golden(self, selftest: SelfTest) -> dict[str, Any]:
        arrays = {"patch": selftest.patch, "logits": selftest.logits}
        if selftest.memories is not None:
            before, after = selftest.memories
            arrays |= {"memory": before, "next_memory": after}
        events = [
            {"window": event.window, "event": _EVENTS[event.kind], "onset": event.onset}
            for event in selftest.events
        ]
        fields = {
            "windows": GOLDEN_WINDOWS,
            "gap": selftest.gap,
            "probe": selftest.probe,
            "settings": settings_fields(selftest.settings),
            "events": self.structs("crydistill_golden_event", events),
            "event_count": len(events),
        }
        return self.with_arrays(fields, arrays)

    def finished(self, root: int) -> bytes:
        """The bytes, with the list of pointers, which is in no pointer of that list."""
        places = np.array(self._pointers, dtype=np.uint32)
        fields = {"pointer_count": len(places), "pointers": self.array(places)}
        self._layouts["crydistill_web_image"].write(self._bytes, root, fields)
        return bytes(self._bytes)

    def _place(self, content: bytes) -> int:
        self._bytes += bytes(-len(self._bytes) % ALIGNMENT)
        at = len(self._bytes)
        self._bytes += content
        return at


def _operators() -> dict[str, int]:
    """Numbers of the operators in `struct crydistill_call`."""
    header = firmware_directory() / HEADERS[0]
    return c_enum(_read(header), "crydistill_operator")


def _pointers(layout: CStruct, at: int, fields: Mapping[str, Any]) -> list[int]:
    """Addresses of the pointers that a struct's members were given."""
    found = []
    for name, value in fields.items():
        member = layout.members[name]
        if isinstance(member.kind, CStruct):
            found += _pointers(member.kind, at + member.offset, value)
        elif member.pointer:
            found.append(at + member.offset)
    return found


def _model(student: CStudent) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Members of the `struct crydistill_model`, and its arrays."""
    manifest, facts = student.manifest, student.facts
    fields: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "arena_bytes": student.plan.size,
        "memory_bytes": student.plan.memory_bytes,
        "memory_zero_point": 0 if facts.memory is None else facts.memory.zero_point,
        "input_scale": facts.input.scale,
        "input_zero_point": facts.input.zero_point,
        "input_factor": student.input_factor,
        "outputs": student.outputs,
        "cry_output_count": len(manifest.cry_outputs),
        "softmax": manifest.activation == "softmax",
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "cry_outputs": np.array(manifest.cry_outputs, dtype=np.uint16),
        "activation": student.activation_table,
    }
    return fields, arrays


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
