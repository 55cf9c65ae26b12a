"""A memory is the embeddings of the last windows: other states are refused."""

from typing import Any

import numpy as np
import pytest
from tests.student_fixtures import EMBEDDING, MEMORY_WINDOWS
from tests.tflite.editing import Edit, edited, operator, tensor

from crydistill.errors import ModelError
from crydistill.tflite.check import inspect_tflite


def test_facts_say_what_the_memory_is(memory_tflite: bytes, reference_tflite: bytes) -> None:
    facts = inspect_tflite(memory_tflite)
    assert facts.memory is not None
    assert facts.memory.shape == (1, MEMORY_WINDOWS, EMBEDDING)
    assert facts.output.shape == (1, 1)
    assert inspect_tflite(reference_tflite).memory is None


def returned_as_it_came(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.outputs = [graph.outputs[0], graph.inputs[1]]


def without_memory_input(model: Any) -> None:
    """Append to something that is not the memory: a reshaped embedding of the same shape."""
    graph = model.subgraphs[0]
    graph.inputs = [graph.inputs[0], len(graph.tensors)]
    memory = tensor(model, "CONCATENATION", 0)
    graph.tensors.append(memory)


def embedding_of_the_memory(model: Any) -> None:
    """Feed the newest embedding from the memory, as a recurrent network would."""
    graph = model.subgraphs[0]
    dense = operator(model, "FULLY_CONNECTED")
    pooling = next(op for op in graph.operators if op.outputs[0] == dense.inputs[0])
    weights, bias = (graph.tensors[index] for index in dense.inputs[1:])
    heard = graph.tensors[graph.inputs[1]].quantization.scale[0]
    bias.quantization.scale = [heard * weights.quantization.scale[0]]
    data = np.zeros((EMBEDDING, MEMORY_WINDOWS * EMBEDDING), np.int8)
    weights.shape = list(data.shape)
    model.buffers[weights.buffer].data = data.ravel().view(np.uint8)
    dense.inputs = [graph.inputs[1], *dense.inputs[1:]]
    graph.operators.remove(pooling)


def shape_in(value: list[int]) -> Edit:
    def edit(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors[graph.inputs[1]].shape = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: setattr(m.subgraphs[0], "inputs", [0]), "1 inputs and 2 outputs"),
        (lambda m: setattr(m.subgraphs[0], "inputs", [0, 0]), "an output twice"),
        (lambda m: setattr(m.subgraphs[0], "outputs", [32, 32]), "an output twice"),
        (
            lambda m: m.subgraphs[0].outputs.sort(reverse=True),
            r"the output has shape \(1, 4, 6\)",
        ),
        (returned_as_it_came, "not the input with the newest embedding appended"),
        (without_memory_input, "not computed yet"),
        (embedding_of_the_memory, "not the input with the newest embedding appended"),
        (shape_in([1, 3, 6]), "the file states"),
        (shape_in([4, 6]), "joins the shapes"),
    ],
)
def test_refuses_what_is_no_memory(memory_tflite: bytes, edit: Edit, message: str) -> None:
    def listed(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.inputs, graph.outputs = list(graph.inputs), list(graph.outputs)
        edit(model)

    with pytest.raises(ModelError, match=message):
        inspect_tflite(edited(memory_tflite, listed))
