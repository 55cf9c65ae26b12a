"""Parse a `.tflite` into plain values, treating the file as untrusted.

LiteRT and TFLite Micro follow the offsets of a flatbuffer without checking them; a damaged or
malicious file can crash the process. Here every offset, length and index is checked before use,
even where its value does not matter here, and a table with an unknown field is refused rather than
ignored. Time and memory are proportional to the size of the file.

Source: TensorFlow's `schema.fbs` (version 3, identifier TFL3), for the field numbers used
below; "FlatBuffers internals" for the encoding.
"""

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.errors import ModelError

SCHEMA_VERSION = 3
ALIGNMENT = 16
"""Bytes. SIMD kernels can read constants in place if they start at multiples of this."""

IDENTIFIER = b"TFL3"
"""File identifier at bytes 4 to 7 of every `.tflite`."""
_SHORTEST_FILE = 12

# Far above any student; without them a small file could refer to one table many times.
_MOST_TENSORS = 1_024
_MOST_CHANNELS = 8_192
_MOST_DIMENSIONS = 6
_MOST_ENTRIES = 64
_LONGEST_TEXT = 16_384

_TENSOR_TYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 9: "int8"}


@dataclass(frozen=True)
class OperatorKind:
    """A supported operator.

    name : TensorFlow Lite's name
    options_code : type of its option table in the union BuiltinOptions
    fields : name, struct format and default of each option, in the schema's order; the format
        "*i" is a vector of int32
    """

    name: str
    options_code: int
    fields: tuple[tuple[str, str, Any], ...]


_STRIDES = (("padding", "b", 0), ("stride_width", "i", 0), ("stride_height", "i", 0))
_ACTIVATION = ("activation", "b", 0)
_DILATIONS = (("dilation_width", "i", 1), ("dilation_height", "i", 1))
_BIAS_TYPE = ("bias_type", "b", 0)

OPERATOR_KINDS = {
    0: OperatorKind("ADD", 11, (_ACTIVATION, ("pot_scale_int16", "?", True))),
    1: OperatorKind(
        "AVERAGE_POOL_2D",
        5,
        (*_STRIDES, ("filter_width", "i", 0), ("filter_height", "i", 0), _ACTIVATION),
    ),
    2: OperatorKind("CONCATENATION", 10, (("axis", "i", 0), _ACTIVATION)),
    3: OperatorKind("CONV_2D", 1, (*_STRIDES, _ACTIVATION, *_DILATIONS, _BIAS_TYPE)),
    4: OperatorKind(
        "DEPTHWISE_CONV_2D",
        2,
        (*_STRIDES, ("depth_multiplier", "i", 0), _ACTIVATION, *_DILATIONS),
    ),
    9: OperatorKind(
        "FULLY_CONNECTED",
        8,
        (
            _ACTIVATION,
            ("weights_format", "b", 0),
            ("keep_dims", "?", False),
            ("asymmetric_inputs", "?", False),
            _BIAS_TYPE,
        ),
    ),
    22: OperatorKind("RESHAPE", 17, (("new_shape", "*i", ()),)),
    34: OperatorKind("PAD", 22, ()),
    40: OperatorKind("MEAN", 27, (("keep_dims", "?", False),)),
    45: OperatorKind(
        "STRIDED_SLICE",
        32,
        (
            ("begin_mask", "i", 0),
            ("end_mask", "i", 0),
            ("ellipsis_mask", "i", 0),
            ("new_axis_mask", "i", 0),
            ("shrink_axis_mask", "i", 0),
            ("offset", "?", False),
        ),
    ),
}
"""Allowlist by TensorFlow Lite's operator code: what depthwise-separable and residual networks and
a memory of past windows need, all of it int8 in TFLite Micro. It omits softmax and sigmoid: a
student's outputs are logits, and its manifest names their activation."""


@dataclass(frozen=True)
class Tensor:
    """A constant or an intermediate tensor.

    shape : dimensions, each at least 1
    type : "int8", "int32", ...
    data : bytes of a constant, None if the tensor is computed
    offset : position of `data` in the file
    scales, zero_points : one per tensor, or one per channel along `axis`; empty if not quantised
    """

    shape: tuple[int, ...]
    type: str
    data: bytes | None
    offset: int | None
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def values(self) -> npt.NDArray[Any]:
        """Return a constant's elements as an array of `shape`."""
        return np.frombuffer(self.data or b"", dtype=self.type).reshape(self.shape)


@dataclass(frozen=True)
class Operator:
    """One node of the graph: its kind, tensors by index (-1: absent), and all of its options."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class TfliteFile:
    """The single subgraph of a `.tflite`; every index in it is valid."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    min_runtime: str | None


def read_tflite(data: bytes) -> TfliteFile:
    """Parse a `.tflite`.

    Raises
    ------
    ModelError
        if the file is not a TFL3 flatbuffer with one subgraph of allowlisted operators, or an
        offset points outside the file. What the operators compute is not checked.
    """
    if len(data) < _SHORTEST_FILE or data[4:8] != IDENTIFIER:
        raise ModelError("not a .tflite file (no TFL3 identifier at byte 4)")
    model = _Table(data, _number(data, "<I", 0), "model", 10)
    if model.number(0, "I") != SCHEMA_VERSION:
        raise ModelError(f"schema version {model.number(0, 'I')}, not {SCHEMA_VERSION}")
    for field, what in ((8, "external buffer groups"), (9, "external buffers")):
        if model.tables(field, what, 4, _MOST_ENTRIES):
            raise ModelError("keeps weights outside the file")
    model.vector(5, "i", _MOST_TENSORS)
    model.text(3)
    kinds = _operator_kinds(model)
    buffers = _buffers(model)
    subgraphs = model.tables(2, "subgraph", 6, _MOST_ENTRIES)
    if len(subgraphs) != 1:
        raise ModelError(f"{len(subgraphs)} subgraphs, not 1")
    tensors = _tensors(subgraphs[0], data, buffers)
    _check_signatures(model, len(tensors))
    subgraphs[0].text(4)
    subgraphs[0].number(5, "i")
    return TfliteFile(
        tensors,
        _operators(subgraphs[0], kinds, len(tensors)),
        _indices(subgraphs[0], 1, len(tensors)),
        _indices(subgraphs[0], 2, len(tensors)),
        _min_runtime(model, data, buffers),
    )


_Span = tuple[int, int]
"""Start and length of a buffer's bytes in the file."""


def _operator_kinds(model: "_Table") -> list[OperatorKind]:
    kinds = []
    for table in model.tables(1, "operator code", 4, _MOST_ENTRIES):
        if table.text(1):
            raise ModelError(f"custom operator {table.text(1)!r}")
        code = max(table.number(0, "b"), table.number(3, "i"))
        if code not in OPERATOR_KINDS:
            allowed = ", ".join(sorted(kind.name for kind in OPERATOR_KINDS.values()))
            raise ModelError(f"operator {_operator_name(code)} is not one of {allowed}")
        kinds.append(OPERATOR_KINDS[code])
    return kinds


def _operator_name(code: int) -> str:
    # Imported here because it is slow and only an error message needs all the names.
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    return next((k for k, v in vars(BuiltinOperator).items() if v == code), str(code))


def _buffers(model: "_Table") -> list[_Span]:
    spans = []
    for table in model.tables(4, "buffer", 3, 2 * _MOST_TENSORS):
        # 0 and 1 both mean that the data are inside the table.
        if table.number(1, "Q") > 1 or table.number(2, "Q") > 1:
            raise ModelError("keeps weights outside the flatbuffer")
        spans.append(table.span(0, 1))
    return spans


def _tensors(subgraph: "_Table", data: bytes, buffers: list[_Span]) -> tuple[Tensor, ...]:
    tables = subgraph.tables(0, "tensor", 10, _MOST_TENSORS)
    return tuple(_tensor(table, data, buffers) for table in tables)


def _tensor(table: "_Table", data: bytes, buffers: list[_Span]) -> Tensor:
    table.text(3)
    table.number(8, "?")
    if table.number(5, "?") or table.has(6) or table.has(9):
        raise ModelError(f"{table.what} is variable, sparse or a variant")
    type_code = table.number(1, "b")
    if type_code not in _TENSOR_TYPES:
        raise ModelError(f"{table.what} has element type {type_code}, which no student uses")
    shape = table.vector(0, "i", _MOST_DIMENSIONS)
    if any(size < 1 for size in shape):
        raise ModelError(f"{table.what} has shape {shape}; every dimension must be at least 1")
    if len(table.vector(7, "i", _MOST_DIMENSIONS)) not in (0, len(shape)):
        raise ModelError(f"{table.what} has a shape signature of another rank")
    start, length = buffers[_index(table.number(2, "I"), len(buffers), f"buffer of {table.what}")]
    scales, zero_points, axis = _quantization(table)
    constant = length > 0
    tensor = Tensor(
        shape,
        _TENSOR_TYPES[type_code],
        data[start : start + length] if constant else None,
        start if constant else None,
        scales,
        zero_points,
        axis,
    )
    expected = tensor.size * np.dtype(tensor.type).itemsize
    if constant and length != expected:
        raise ModelError(f"{table.what} holds {length} bytes, its shape {shape} needs {expected}")
    return tensor


def _quantization(tensor: "_Table") -> tuple[tuple[float, ...], tuple[int, ...], int]:
    table = tensor.table(4, f"quantisation of {tensor.what}", 7)
    if table is None:
        return (), (), 0
    if table.number(4, "B") or table.has(5):
        raise ModelError(f"{table.what} is of a custom kind")
    table.vector(0, "f", _MOST_CHANNELS)
    table.vector(1, "f", _MOST_CHANNELS)
    scales = table.vector(2, "f", _MOST_CHANNELS)
    zero_points = table.vector(3, "q", _MOST_CHANNELS)
    if len(scales) != len(zero_points):
        raise ModelError(f"{table.what} has {len(scales)} scales, {len(zero_points)} zero points")
    return scales, zero_points, table.number(6, "i")


def _operators(subgraph: "_Table", kinds: list[OperatorKind], tensors: int) -> tuple[Operator, ...]:
    operators = []
    for table in subgraph.tables(3, "operator", 14, _MOST_TENSORS):
        table.number(6, "b")
        table.number(13, "i")
        kind = kinds[_index(table.number(0, "I"), len(kinds), f"code of {table.what}")]
        extra_vectors = table.span(5, 1)[1] + table.span(7, 1)[1] + table.span(8, 4)[1]
        if extra_vectors or any(table.has(field) for field in (9, 10, 11, 12)):
            raise ModelError(f"{table.what} ({kind.name}) has custom options or extra state")
        inputs = _indices(table, 1, tensors, absent=True)
        operators.append(
            Operator(kind.name, inputs, _indices(table, 2, tensors), _options(table, kind))
        )
    return tuple(operators)


def _options(operator: "_Table", kind: OperatorKind) -> dict[str, Any]:
    code = operator.number(3, "B")
    table = operator.table(4, f"options of {operator.what} ({kind.name})", len(kind.fields))
    if code != (kind.options_code if table else 0):
        raise ModelError(f"{operator.what} ({kind.name}) has the options of another operator")
    if table is None:
        return {name: default for name, _, default in kind.fields}
    return {
        name: table.vector(slot, form[1:], _MOST_DIMENSIONS)
        if form.startswith("*")
        else table.number(slot, form, default)
        for slot, (name, form, default) in enumerate(kind.fields)
    }


def _check_signatures(model: "_Table", tensors: int) -> None:
    for table in model.tables(7, "signature", 5, 1):
        table.text(2)
        table.text(3)
        _index(table.number(4, "I"), 1, f"subgraph of {table.what}")
        for field in (0, 1):
            for entry in table.tables(field, "signature entry", 2, _MOST_ENTRIES):
                entry.text(0)
                _index(entry.number(1, "I"), tensors, f"tensor of {entry.what}")


def _min_runtime(model: "_Table", data: bytes, buffers: list[_Span]) -> str | None:
    found = None
    for table in model.tables(6, "metadata", 2, _MOST_ENTRIES):
        index = _index(table.number(1, "I"), len(buffers), f"buffer of {table.what}")
        if table.text(0) == "min_runtime_version":
            start, length = buffers[index]
            found = data[start : start + length].split(b"\0")[0].decode("ascii", "replace")
    return found or None


def _indices(table: "_Table", field: int, count: int, *, absent: bool = False) -> tuple[int, ...]:
    found: tuple[int, ...] = table.vector(field, "i", _MOST_ENTRIES)
    for index in found:
        if not (absent and index == -1):
            _index(index, count, f"tensor of {table.what}")
    return found


def _index(index: int, count: int, what: str) -> int:
    if not 0 <= index < count:
        raise ModelError(f"{what} is number {index} of {count}")
    return index


class _Table:
    """One flatbuffer table, with bounds-checked access.

    what : name of the table in error messages
    fields : number of fields in the schema; a file with more is refused
    """

    def __init__(self, data: bytes, at: int, what: str, fields: int) -> None:
        self.what = what
        self._data = data
        self._at = at
        vtable = at - _number(data, "<i", at)
        vtable_size, self._size = _number(data, "<H", vtable), _number(data, "<H", vtable + 2)
        if at % 4 or vtable % 2 or vtable_size < 4 or vtable_size % 2:
            raise ModelError(f"{what} is damaged")
        self._require(vtable + vtable_size)
        self._require(at + self._size)
        offsets = struct.unpack_from(f"<{vtable_size // 2 - 2}H", data, vtable + 4)
        if any(offsets[fields:]):
            raise ModelError(f"{what} has a field that this program does not know")
        if any(offset and not 4 <= offset < self._size for offset in offsets):
            raise ModelError(f"{what} is damaged")
        self._offsets = offsets[:fields] + (0,) * (fields - len(offsets))

    def has(self, field: int) -> bool:
        return bool(self._offsets[field])

    def number(self, field: int, form: str, default: Any = 0) -> Any:
        if not self.has(field):
            return default
        offset = self._offsets[field]
        if offset + struct.calcsize(form) > self._size:
            raise ModelError(f"{self.what} is damaged")
        return _number(self._data, f"<{form}", self._at + offset)

    def span(self, field: int, item_size: int) -> _Span:
        """Start and length in bytes of a vector's items."""
        if not self.has(field):
            return self._at, 0
        at = self._target(field)
        length = _number(self._data, "<I", at) * item_size
        if at % 4:
            raise ModelError(f"{self.what} is damaged")
        self._require(at + 4 + length)
        return at + 4, length

    def vector(self, field: int, form: str, at_most: int) -> tuple[Any, ...]:
        size = struct.calcsize(form)
        start, length = self.span(field, size)
        count = length // size
        if count > at_most:
            raise ModelError(f"{self.what} has a list of {count}; at most {at_most} are allowed")
        return struct.unpack_from(f"<{count}{form}", self._data, start)

    def text(self, field: int) -> str:
        start, length = self.span(field, 1)
        # LiteRT reads names up to their terminating zero byte.
        unterminated = self.has(field) and _number(self._data, "<B", start + length) != 0
        if unterminated or length > _LONGEST_TEXT:
            raise ModelError(f"{self.what} is damaged")
        try:
            return self._data[start : start + length].decode("utf-8")
        except UnicodeDecodeError:
            raise ModelError(f"{self.what} is damaged") from None

    def table(self, field: int, what: str, fields: int) -> "_Table | None":
        return _Table(self._data, self._target(field), what, fields) if self.has(field) else None

    def tables(self, field: int, what: str, fields: int, at_most: int) -> "list[_Table]":
        start, _ = self.span(field, 4)
        return [
            _Table(self._data, start + 4 * i + offset, f"{what} {i}", fields)
            for i, offset in enumerate(self.vector(field, "I", at_most))
        ]

    def _target(self, field: int) -> int:
        return int(self._at + self._offsets[field] + self.number(field, "I"))

    def _require(self, end: int) -> None:
        if end > len(self._data):
            raise ModelError(f"{self.what} extends past the end of the file, which is cut short")


def _number(data: bytes, form: str, at: int) -> Any:
    if not 0 <= at <= len(data) - struct.calcsize(form):
        raise ModelError("an offset points outside the file; it is cut short or damaged")
    return struct.unpack_from(form, data, at)[0]
