"""Give an int8 student float32 input and output, for runtimes that accept nothing else.

LiteRT.js, which runs a `.tflite` in a browser, refuses int8 tensors as a model's input or output.
The twin adds a QUANTIZE before the first operator and a DEQUANTIZE after the last, one for each
input and output; everything in between is unchanged.
"""

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.packing import packed

_QUANTIZE_VERSION = 1
_DEQUANTIZE_VERSION = 2
"""Oldest version of each operator that supports int8."""


def float_twin(tflite: bytes) -> bytes:
    """Return the student with float32 input and output.

    It maps log-mel values to logits with the student's int8 arithmetic in between. A value exactly
    between two quantization steps may be rounded differently: some runtimes round ties to even, as
    `quantize` does, others away from zero. A memory is real values too, zeros at the start; going
    out and in again changes no step of it.

    Parameters
    ----------
    tflite : student with int8 input and output

    Raises
    ------
    ModelError
        if the student fails `inspect_tflite`.
    """
    inspect_tflite(tflite, size_limit=len(tflite))
    model = schema.ModelT.InitFromPackedBuf(tflite, 0)
    graph = model.subgraphs[0]
    quantize = _code(model, schema.BuiltinOperator.QUANTIZE, _QUANTIZE_VERSION)
    dequantize = _code(model, schema.BuiltinOperator.DEQUANTIZE, _DEQUANTIZE_VERSION)
    inputs, outputs = list(graph.inputs), list(graph.outputs)
    graph.inputs = [_float_copy(graph, index) for index in inputs]
    graph.outputs = [_float_copy(graph, index) for index in outputs]
    graph.operators = [
        *(_operator(quantize, *pair) for pair in zip(graph.inputs, inputs, strict=True)),
        *graph.operators,
        *(_operator(dequantize, *pair) for pair in zip(outputs, graph.outputs, strict=True)),
    ]
    return packed(model)


def _code(model: Any, operator: int, version: int) -> int:
    """Add an operator code; return its index."""
    model.operatorCodes.append(
        schema.OperatorCodeT(
            builtinCode=operator, deprecatedBuiltinCode=min(operator, 127), version=version
        )
    )
    return len(model.operatorCodes) - 1


def _float_copy(graph: Any, index: int) -> int:
    """Add a float32 tensor that takes over shape and name; return its index."""
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
