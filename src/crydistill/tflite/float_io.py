"""The same int8 student with float32 input and output, for runtimes that take nothing else.

LiteRT.js, which runs a `.tflite` in a browser, refuses int8 tensors at the edge of a model. The
twin has a QUANTIZE before the first operator and a DEQUANTIZE behind the last; everything between
is the student's own.
"""

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.packing import packed

_QUANTIZE_VERSION = 1
_DEQUANTIZE_VERSION = 2
"""The first in which each of the operators knows int8."""


def float_twin(tflite: bytes) -> bytes:
    """Return a student with float32 input and output.

    Log-mel values go in and logits come out; the int8 steps in between are the student's. A value
    exactly between two steps may go to the other one: runtimes round such ties to the even step or
    away from zero, as this program's `quantize` does to the even one.

    Parameters
    ----------
    tflite : the student; it takes and gives int8

    Raises
    ------
    ModelError
        if the student fails `inspect_tflite`.
    """
    inspect_tflite(tflite, size_limit=len(tflite))
    model = schema.ModelT.InitFromPackedBuf(tflite, 0)
    graph = model.subgraphs[0]
    patch, logits = graph.inputs[0], graph.outputs[0]
    quantize = _code(model, schema.BuiltinOperator.QUANTIZE, _QUANTIZE_VERSION)
    dequantize = _code(model, schema.BuiltinOperator.DEQUANTIZE, _DEQUANTIZE_VERSION)
    floats_in, floats_out = _float_copy(graph, patch), _float_copy(graph, logits)
    graph.operators = [
        _operator(quantize, floats_in, patch),
        *graph.operators,
        _operator(dequantize, logits, floats_out),
    ]
    graph.inputs, graph.outputs = [floats_in], [floats_out]
    return packed(model)


def _code(model: Any, operator: int, version: int) -> int:
    """Index of a new operator code."""
    model.operatorCodes.append(
        schema.OperatorCodeT(
            builtinCode=operator, deprecatedBuiltinCode=min(operator, 127), version=version
        )
    )
    return len(model.operatorCodes) - 1


def _float_copy(graph: Any, index: int) -> int:
    """Index of a new float32 tensor of the same shape, which takes over the name."""
    original = graph.tensors[index]
    graph.tensors.append(
        schema.TensorT(
            shape=original.shape,
            type=schema.TensorType.FLOAT32,
            buffer=0,
            name=original.name,
            hasRank=original.hasRank,
        )
    )
    original.name = None
    return len(graph.tensors) - 1


def _operator(code: int, source: int, result: int) -> Any:
    return schema.OperatorT(opcodeIndex=code, inputs=[source], outputs=[result])
