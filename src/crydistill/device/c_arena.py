"""Plan the tensor arena of the C library at export."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from crydistill.device.greedy import Lifetime, placed, total_bytes
from crydistill.errors import ModelError
from crydistill.tflite.file import Operator, TfliteFile
from crydistill.tflite.memory import MEMORY, memory_tensor


@dataclass(frozen=True)
class ArenaPlan:
    """Layout of a network's tensor arena.

    size : total bytes
    offsets : start of each intermediate tensor, by tensor index; the network's input and its
        reshaped views have none, as they stay in the caller's buffer
    memory_bytes : size of the memory of earlier windows at offset 0, which nothing else uses; 0 if
        the network has none
    scratch : start of each operator's scratch memory, by position
    """

    size: int
    offsets: dict[int, int]
    memory_bytes: int
    scratch: dict[int, int] = field(default_factory=dict)

    def places(self, file: TfliteFile, operator: Operator) -> list[int | None]:
        """Where an operator's inputs that are no constants lie, and last its output.

        None: in the caller's buffer.
        """
        flowing = [i for i in operator.inputs if i != -1 and file.tensors[i].data is None]
        return [self.offsets.get(tensor) for tensor in (*flowing, operator.outputs[0])]


@dataclass(frozen=True)
class _Buffer(Lifetime):
    """Tensors that share memory; no tensors: the operator's scratch memory."""

    tensors: tuple[int, ...] = ()


_NO_SCRATCH: Mapping[int, int] = {}


def plan_arena(file: TfliteFile, scratch: Mapping[int, int] = _NO_SCRATCH) -> ArenaPlan:
    """Place the intermediate tensors, largest first, each at the lowest free offset.

    Offsets are multiples of 16 bytes. Operators never work in place; the output of RESHAPE shares
    its input's memory. A network's memory comes first and stays where it is from window to window;
    the operator that makes the new one writes it over the old.

    Parameters
    ----------
    file : model that `inspect_tflite` has accepted
    scratch : bytes that an operator uses besides its tensors while it runs, by position

    Raises
    ------
    ModelError
        if an operator reads the old memory when the new one has already been written.
    """
    roots = _roots(file)
    memory = _memory(file, roots)
    buffers = sorted([*_buffers(file, roots), *_scratch(scratch)], key=lambda b: (-b.size, b.first))
    plan = placed(buffers, [] if memory is None else [(memory, 0)])
    return ArenaPlan(
        total_bytes(plan),
        {tensor: offset for buffer, offset in plan for tensor in buffer.tensors},
        0 if memory is None else memory.size,
        {buffer.first: offset for buffer, offset in plan if not buffer.tensors},
    )


def _scratch(sizes: Mapping[int, int]) -> Iterator[_Buffer]:
    for position, size in sizes.items():
        if size:
            yield _Buffer(size, position, position)


def _roots(file: TfliteFile) -> dict[int, int]:
    """By tensor, the one whose bytes it has: itself, or what it is a reshaped view of."""
    roots = {index: index for index in range(len(file.tensors))}
    for operator in file.operators:
        if operator.name == "RESHAPE":
            roots[operator.outputs[0]] = roots[operator.inputs[0]]
    return roots


def _views(roots: dict[int, int], *origins: int) -> tuple[int, ...]:
    return tuple(tensor for tensor, origin in roots.items() if origin in origins)


def _memory(file: TfliteFile, roots: dict[int, int]) -> _Buffer | None:
    tensor = memory_tensor(file)
    if tensor is None:
        return None
    before, after = file.inputs[MEMORY], file.outputs[MEMORY]
    written = next(i for i, operator in enumerate(file.operators) if after in operator.outputs)
    for position, operator in enumerate(file.operators[written:], start=written):
        if operator.name != "RESHAPE" and before in {roots.get(i) for i in operator.inputs}:
            raise ModelError(
                f"layer {position} ({operator.name}): reads the memory after layer {written} "
                "replaced it, and the C engine keeps one; put it before that layer"
            )
    return _Buffer(tensor.size, 0, len(file.operators), _views(roots, before, after))


def _buffers(file: TfliteFile, roots: dict[int, int]) -> Iterator[_Buffer]:
    made: dict[int, int] = {}
    used: dict[int, int] = {}
    for position, operator in enumerate(file.operators):
        for index in operator.inputs:
            if index != -1:
                used[roots[index]] = position
        (output,) = operator.outputs
        if roots[output] == output and output not in file.outputs[MEMORY:]:
            made[output] = used[output] = position
    # The output is read after the last operator.
    used[roots[file.outputs[0]]] = len(file.operators)
    for index, position in made.items():
        yield _Buffer(file.tensors[index].size, position, used[index], _views(roots, index))
