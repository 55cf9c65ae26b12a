"""Plan the tensor arena of the C library at export."""

from collections.abc import Iterable
from dataclasses import dataclass

from crydistill.tflite.file import ALIGNMENT, TfliteFile


@dataclass(frozen=True)
class ArenaPlan:
    """Layout of a network's tensor arena.

    size : total bytes
    offsets : start of each intermediate tensor, by tensor index; the network's input and its
        reshaped views have none, as they stay in the caller's buffer
    """

    size: int
    offsets: dict[int, int]


@dataclass(frozen=True)
class _Buffer:
    """Tensors that share memory, with their lifetime as first and last operator."""

    tensors: tuple[int, ...]
    size: int
    first: int
    last: int


def plan_arena(file: TfliteFile) -> ArenaPlan:
    """Place the intermediate tensors, largest first, each at the lowest free offset.

    Offsets are multiples of 16 bytes. Operators never work in place; the output of RESHAPE shares
    its input's memory.

    Source: "greedy by size" of Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
    Inference" (2020), as TFLite Micro's planner.
    """
    placed: list[tuple[_Buffer, int]] = []
    for buffer in sorted(_buffers(file), key=lambda b: (-b.size, b.first)):
        placed.append((buffer, _lowest_gap(buffer, placed)))
    return ArenaPlan(
        max((offset + buffer.size for buffer, offset in placed), default=0),
        {tensor: offset for buffer, offset in placed for tensor in buffer.tensors},
    )


def _buffers(file: TfliteFile) -> Iterable[_Buffer]:
    root = {index: index for index in range(len(file.tensors))}
    made: dict[int, int] = {}
    used: dict[int, int] = {}
    for position, operator in enumerate(file.operators):
        for index in operator.inputs:
            if index != -1:
                used[root[index]] = position
        (output,) = operator.outputs
        if operator.name == "RESHAPE":
            root[output] = root[operator.inputs[0]]
        else:
            made[output] = used[output] = position
    # The output is read after the last operator.
    used[root[file.outputs[0]]] = len(file.operators)
    for index, position in made.items():
        views = tuple(tensor for tensor, origin in root.items() if origin == index)
        yield _Buffer(views, file.tensors[index].size, position, used[index])


def _lowest_gap(buffer: _Buffer, placed: list[tuple[_Buffer, int]]) -> int:
    at = 0
    for other, offset in sorted(placed, key=lambda entry: entry[1]):
        if other.last < buffer.first or buffer.last < other.first:
            continue
        if at + buffer.size <= offset:
            break
        at = max(at, _aligned(offset + other.size))
    return at


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
