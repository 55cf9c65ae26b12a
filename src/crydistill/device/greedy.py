"""Place buffers that live for a while in one block of memory.

Source: "greedy by size" of Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
Inference" (2020), which TFLite Micro's planner follows too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from crydistill.device.geometry import aligned


@dataclass(frozen=True)
class Lifetime:
    """Bytes that are needed from the first operator to the last."""

    size: int
    first: int
    last: int


Buffer = TypeVar("Buffer", bound=Lifetime)


def placed(
    buffers: Iterable[Buffer], before: Sequence[tuple[Buffer, int]] = ()
) -> list[tuple[Buffer, int]]:
    """Place buffers one after the other, each at the lowest offset that is free for its lifetime.

    Parameters
    ----------
    buffers : in the order in which they are placed, the largest first
    before : buffers with the offsets that they have already

    Returns
    -------
    All buffers with their offsets, which are multiples of 16 bytes.
    """
    found = list(before)
    for buffer in buffers:
        found.append((buffer, _lowest_gap(buffer, found)))
    return found


def total_bytes(buffers: Iterable[tuple[Lifetime, int]]) -> int:
    """Size of the block that placed buffers need."""
    return max((offset + buffer.size for buffer, offset in buffers), default=0)


def _lowest_gap(buffer: Lifetime, others: Iterable[tuple[Lifetime, int]]) -> int:
    at = 0
    for other, offset in sorted(others, key=lambda entry: entry[1]):
        if other.last < buffer.first or buffer.last < other.first:
            continue
        if at + buffer.size <= offset:
            break
        at = max(at, aligned(offset + other.size))
    return at
