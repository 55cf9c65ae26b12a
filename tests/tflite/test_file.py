import struct

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tflite.editing import Edit, damaged, edited, operator, structure_bytes, tensor

from crydistill.errors import ModelError
from crydistill.tflite.file import OPERATOR_KINDS, read_tflite

shares_fixture = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300
)


def test_reads_what_the_schema_reads(residual_tflite: bytes) -> None:
    file = read_tflite(residual_tflite)
    model = schema.ModelT.InitFromPackedBuf(residual_tflite, 0)
    graph = model.subgraphs[0]
    assert file.inputs == tuple(graph.inputs)
    assert file.outputs == tuple(graph.outputs)
    assert file.min_runtime == "1.14.0"
    assert len(file.tensors) == len(graph.tensors)
    for found, expected in zip(file.tensors, graph.tensors, strict=True):
        assert found.shape == tuple(expected.shape)
        assert getattr(schema.TensorType, found.type.upper()) == expected.type
        quantization = expected.quantization
        if quantization is not None and quantization.scale is not None:
            assert found.scales == tuple(map(float, quantization.scale))
            assert found.zero_points == tuple(quantization.zeroPoint)
            assert found.axis == quantization.quantizedDimension
        else:
            assert found.scales == found.zero_points == ()
        data = model.buffers[expected.buffer].data
        assert found.data == (None if data is None else bytes(np.asarray(data, np.uint8)))
    for step, wanted in zip(file.operators, graph.operators, strict=True):
        code = model.operatorCodes[wanted.opcodeIndex].builtinCode
        assert step.name == OPERATOR_KINDS[code].name
        assert step.inputs == tuple(wanted.inputs)
        assert step.outputs == tuple(wanted.outputs)


def test_reads_the_options_of_every_operator(residual_tflite: bytes) -> None:
    graph = schema.ModelT.InitFromPackedBuf(residual_tflite, 0).subgraphs[0]
    for step, wanted in zip(read_tflite(residual_tflite).operators, graph.operators, strict=True):
        if step.name not in ("PAD", "RESHAPE"):
            # The generated classes list the fields in the schema's order, as OPERATOR_KINDS does.
            values = list(vars(wanted.builtinOptions).values())[: len(step.options)]
            assert list(step.options.values()) == values, step.name


def test_operator_kinds_are_those_of_the_schema() -> None:
    newer = {"quantSpec"}
    for code, kind in OPERATOR_KINDS.items():
        assert getattr(schema.BuiltinOperator, kind.name) == code
        table = next(k for k, v in vars(schema.BuiltinOptions).items() if v == kind.options_code)
        fields = vars(getattr(schema, f"{table}T")())
        assert len(kind.fields) == len(fields.keys() - newer), kind.name
        for (name, _, default), value in zip(kind.fields, fields.values(), strict=False):
            assert default == (value or 0) or name == "new_shape", (kind.name, name)


@shares_fixture
@given(length=st.integers(0, 4_000))
def test_truncated_file_is_refused(residual_tflite: bytes, length: int) -> None:
    with pytest.raises(ModelError):
        read_tflite(residual_tflite[: min(length, len(residual_tflite) - 1)])


@pytest.fixture(scope="module")
def positions(residual_tflite: bytes) -> list[int]:
    return structure_bytes(residual_tflite)


@shares_fixture
@given(seed=st.integers(0, 2**32))
def test_damaged_file_is_read_or_refused(
    residual_tflite: bytes, positions: list[int], seed: int
) -> None:
    data = damaged(residual_tflite, positions, seed)
    try:
        read_tflite(data)
    except ModelError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        read_tflite(data)
    with pytest.raises(ModelError):
        read_tflite(data[:4] + b"TFL3" + data[4:])


def test_lists_cannot_claim_more_than_the_file() -> None:
    # One table, its own vtable, whose subgraph list claims 2^32 - 1 entries.
    vtable = struct.pack("<10H", 20, 8, 4, 0, 0, 0, 0, 0, 0, 0)
    data = struct.pack("<I4s", 28, b"TFL3") + vtable + struct.pack("<iI", 20, 3)
    with pytest.raises(ModelError, match="0 subgraphs"):
        read_tflite(data)
    vtable = struct.pack("<10H", 20, 12, 4, 0, 8, 0, 0, 0, 0, 0)
    data = struct.pack("<I4s", 28, b"TFL3") + vtable + struct.pack("<iIII", 20, 3, 4, 2**32 - 1)
    with pytest.raises(ModelError, match="cut short"):
        read_tflite(data)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: setattr(m, "version", 2), "schema version 2"),
        (lambda m: m.subgraphs.append(m.subgraphs[0]), "2 subgraphs"),
        (lambda m: m.subgraphs.clear(), "0 subgraphs"),
        (
            lambda m: setattr(m.operatorCodes[0], "builtinCode", 99),
            "operator SQUARED_DIFFERENCE is not one",
        ),
        (lambda m: setattr(m.operatorCodes[0], "customCode", "mine"), "custom operator 'mine'"),
        (lambda m: setattr(m.buffers[3], "offset", 4096), "outside the flatbuffer"),
        (lambda m: setattr(m, "externalBuffers", [schema.ExternalBufferT()]), "outside the file"),
        (lambda m: setattr(m.metadata[0], "buffer", 999), "buffer of metadata 0 is number 999"),
        (lambda m: setattr(operator(m, "PAD"), "opcodeIndex", 99), "code of operator 0 is number"),
        (lambda m: setattr(operator(m, "PAD"), "inputs", [0, 999]), "tensor of operator 0"),
        (lambda m: setattr(operator(m, "PAD"), "outputs", [-1]), "tensor of operator 0"),
        (lambda m: setattr(operator(m, "PAD"), "customOptions", [1]), "custom options"),
        (lambda m: setattr(operator(m, "PAD"), "intermediates", [1]), "custom options"),
        (lambda m: setattr(operator(m, "ADD"), "builtinOptionsType", 1), "options of another"),
        (lambda m: setattr(tensor(m, "ADD", 0), "buffer", 999), "buffer of tensor"),
        (lambda m: setattr(tensor(m, "ADD", 0), "isVariable", True), "variable"),
        (lambda m: setattr(tensor(m, "ADD", 0), "sparsity", schema.SparsityParametersT()), "spars"),
        (lambda m: setattr(tensor(m, "ADD", 0), "type", 5), "element type 5"),
        (lambda m: setattr(tensor(m, "ADD", 0), "shape", [1, 0, 3]), "at least 1"),
        (lambda m: setattr(tensor(m, "ADD", 0), "shape", [1] * 7), "list of 7"),
        (lambda m: setattr(tensor(m, "ADD", 0), "shapeSignature", [-1]), "another rank"),
        (lambda m: setattr(tensor(m, "ADD", 0).quantization, "zeroPoint", [1, 2]), "zero points"),
        (lambda m: setattr(tensor(m, "CONV_2D", 1), "shape", [8, 3, 3, 2]), "72 bytes"),
        (lambda m: setattr(tensor(m, "CONV_2D", 1), "name", "x" * 20_000), "damaged"),
    ],
)
def test_refuses_what_no_student_has(residual_tflite: bytes, edit: Edit, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_tflite(edited(residual_tflite, edit))


def test_a_field_of_a_newer_schema_is_refused(residual_tflite: bytes) -> None:
    def add_newer_field(model: object) -> None:
        operator(model, "FULLY_CONNECTED").builtinOptions.quantSpec = [1]

    with pytest.raises(ModelError, match="field that this program does not know"):
        read_tflite(edited(residual_tflite, add_newer_field))
