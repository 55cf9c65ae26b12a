"""What happens to the bytes of a stranger's `.tflite`: everything this program does with one.

Used by the seeded tests beside this file and by the coverage-guided harness in fuzz_tflite.py.
"""

import tempfile
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tests.quantize.editing import edited
from tests.student_fixtures import manifest_for

from crydistill.device.export import export_c
from crydistill.device.profile import profile_student
from crydistill.errors import ModelError
from crydistill.quantize.check import inspect_tflite
from crydistill.quantize.float_io import float_twin, run_float
from crydistill.quantize.interpreters import LiteRt
from crydistill.quantize.tflite_file import read_tflite
from crydistill.student.manifest import MANIFEST_NAME, TFLITE_NAME, save_manifest
from crydistill.student.packaged import packaged_student

SMALL_OUTPUTS = 3
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
    """The packaged student with three outputs at most."""
    tflite = (packaged_student() / TFLITE_NAME).read_bytes()

    def cut(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        dense = graph.operators[-1]
        weights, bias = (graph.tensors[index] for index in dense.inputs[1:])
        logits = graph.tensors[graph.outputs[0]]
        for tensor in (weights, bias, logits):
            axis = len(tensor.shape) - 1 if tensor is logits else 0
            shape = list(tensor.shape)
            shape[axis] = min(shape[axis], SMALL_OUTPUTS)
            tensor.shape = shape
        for tensor, bytes_each in ((weights, 1), (bias, 4)):
            size = bytes_each * int(np.prod(tensor.shape))
            buffer = model.buffers[tensor.buffer]
            buffer.data = buffer.data[:size]

    return edited(tflite, cut)
