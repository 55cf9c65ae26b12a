"""What a student with memory remembers: the embeddings of the last windows, and nothing else.

Its second input holds them, `[1, windows, size]`, oldest first; its second output is the same list
with the oldest left out and the newest appended. An embedding does not depend on the memory, so
nothing of a window is left once that many have followed it, and no error adds up over a night.
"""

from typing import TypeGuard

from crydistill.errors import ModelError
from crydistill.tflite.file import Operator, Tensor, TfliteFile

MEMORY = 1
"""Position of the memory among the inputs and among the outputs."""


def memory_tensor(file: TfliteFile) -> Tensor | None:
    """Return the memory as the network receives it, or None if it has none.

    Raises
    ------
    ModelError
        if input and output memory differ in shape or quantization, or the output is not the input
        moved on by one window.
    """
    if len(file.inputs) <= MEMORY:
        return None
    source, result = file.inputs[MEMORY], file.outputs[MEMORY]
    before, after = file.tensors[source], file.tensors[result]
    if len(before.shape) != 3 or before.shape[0] != 1:
        raise ModelError(f"memory: has shape {before.shape}, not (1, windows, size)")
    if after.shape != before.shape:
        raise ModelError(f"memory: comes as {before.shape} and goes as {after.shape}")
    if (after.scales, after.zero_points) != (before.scales, before.zero_points):
        raise ModelError("memory: input and output must share scale and zero point")
    if not _moves_on(file, source, result):
        raise ModelError("memory: the output is not the input with the newest embedding appended")
    return before


def _moves_on(file: TfliteFile, source: int, result: int) -> bool:
    """Whether `result` is STRIDED_SLICE of CONCATENATION of `source` and a tensor without it."""
    slicing = _producer(file, result)
    joining = _producer(file, slicing.inputs[0]) if _is(slicing, "STRIDED_SLICE") else None
    return (
        _is(joining, "CONCATENATION")
        and joining.inputs[0] == source
        and joining.inputs[1] not in _depending_on(file, source)
    )


def _producer(file: TfliteFile, tensor: int) -> Operator | None:
    return next((op for op in file.operators if tensor in op.outputs), None)


def _is(operator: Operator | None, name: str) -> TypeGuard[Operator]:
    return operator is not None and operator.name == name


def _depending_on(file: TfliteFile, source: int) -> set[int]:
    found = {source}
    for operator in file.operators:
        if found.intersection(operator.inputs):
            found.update(operator.outputs)
    return found
