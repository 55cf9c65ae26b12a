"""What happens to the bytes of a stranger's `.tflite`: everything this program does with one.

Used by the seeded tests beside this file and by the coverage-guided harness in fuzz_tflite.py.
"""

import tempfile
from pathlib import Path

import numpy as np
from tests.student_fixtures import manifest_for, memory_student
from tests.tflite.running import run_float

from crydistill.device.export import export_c
from crydistill.device.profile import profile_student
from crydistill.errors import ModelError
from crydistill.student.manifest import MANIFEST_NAME, TFLITE_NAME, save_manifest
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.file import read_tflite
from crydistill.tflite.float_io import float_twin
from crydistill.tflite.interpreters import LiteRt

_ZEROS = np.zeros((1, 96, 64), dtype=np.int8)


def read(data: bytes) -> bool:
    """Read and inspect without running; return whether the bytes pass for a student.

    Anything but a ModelError of one line is a bug.
    """
    for function in (read_tflite, inspect_tflite):
        try:
            function(data)
        except ModelError as error:
            assert "\n" not in str(error), str(error)
            return False
    return True


def use(data: bytes) -> None:
    """Do all that is done with a student that passed: run it, profile it, export it."""
    LiteRt(data).run(_ZEROS)
    run_float(float_twin(data), _ZEROS.astype(np.float32))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outputs = inspect_tflite(data).output.shape[-1]
        manifest = manifest_for(
            data, outputs=tuple(map(str, range(outputs))), cry_outputs=(0,), activation="sigmoid"
        )
        (folder / TFLITE_NAME).write_bytes(data)
        save_manifest(folder / MANIFEST_NAME, manifest)
        profile_student(folder)
        try:
            export_c(data, manifest, folder / "c")
        except ModelError as error:
            assert "\n" not in str(error), str(error)


def small_student() -> bytes:
    """A small student with every allowed operator."""
    return memory_student()
