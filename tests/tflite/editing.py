"""Modify a `.tflite` for tests, by field or by byte."""

import random
from collections.abc import Callable
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from crydistill.tflite.file import read_tflite

Edit = Callable[[Any], object]
"""Changes a `schema.ModelT` in place."""

_EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\xc0\x7f", b"\1\0\0\0")


def edited(tflite: bytes, edit: Edit) -> bytes:
    """Return the file with some fields changed."""
    model = schema.ModelT.InitFromPackedBuf(tflite, 0)
    edit(model)
    builder = flatbuffers.Builder(len(tflite))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def operator(model: Any, name: str) -> Any:
    """The first operator of the given name."""
    code = getattr(schema.BuiltinOperator, name)
    codes = [entry.builtinCode for entry in model.operatorCodes]
    return next(x for x in model.subgraphs[0].operators if codes[x.opcodeIndex] == code)


def tensor(model: Any, name: str, position: int) -> Any:
    """An input tensor of the first operator of the given name; -1 is its output."""
    found = operator(model, name)
    return model.subgraphs[0].tensors[[*found.inputs, *found.outputs][position]]


def structure_bytes(tflite: bytes) -> list[int]:
    """Positions of all bytes except the weights."""
    weights = {
        i
        for t in read_tflite(tflite).tensors
        if t.data is not None and t.offset is not None and len(t.data) > 64
        for i in range(t.offset, t.offset + len(t.data))
    }
    return [i for i in range(len(tflite)) if i not in weights]


def damaged(tflite: bytes, positions: list[int], seed: int) -> bytes:
    """Return the file with one to three places overwritten."""
    rng = random.Random(seed)
    data = bytearray(tflite)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.choice(positions)
        kind = rng.random()
        if kind < 0.5:
            data[at] ^= 1 << rng.randrange(8)
        elif kind < 0.8:
            data[at] = rng.randrange(256)
        else:
            data[at : at + 4] = rng.choice(_EXTREMES)
    return bytes(data[: len(tflite)])
