"""Foreign and damaged `.tflite` files, seeded: read or refused, never a crash, little memory."""

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.exercise import read, small_student, use
from tests.tflite.editing import damaged, structure_bytes

from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.file import OPERATOR_KINDS

MEMORY_FACTOR = 8
MEMORY_FLOOR = 300_000
"""Bytes that reading takes for a file of no size: Python's own."""

_fast = settings(max_examples=400)


@pytest.fixture(scope="module")
def small() -> bytes:
    return small_student()


@pytest.fixture(scope="module")
def positions(small: bytes) -> list[int]:
    return structure_bytes(small)


def test_the_seed_is_a_student(small: bytes) -> None:
    assert len(small) < 30_000
    assert inspect_tflite(small).ops.keys() == {kind.name for kind in OPERATOR_KINDS.values()}
    assert read(small)
    use(small)


def test_damaged_structure(small: bytes, positions: list[int]) -> None:
    refused = sum(not read(damaged(small, positions, seed)) for seed in range(800))
    assert 300 < refused < 800


def test_damaged_files_that_pass_can_be_used(small: bytes, positions: list[int]) -> None:
    passed = 0
    for seed in range(400):
        data = damaged(small, positions, seed)
        if data != small and passed < 12 and read(data):
            use(data)
            passed += 1
    assert passed == 12


def test_damaged_weights_can_be_used(small: bytes, positions: list[int]) -> None:
    weights = sorted(set(range(len(small))) - set(positions))
    for seed in range(6):
        data = small
        for turn in range(20):
            data = damaged(data, weights, 100 * seed + turn)
        assert read(data)
        use(data)


@_fast
@given(st.binary(max_size=2_000))
def test_any_bytes(data: bytes) -> None:
    assert not read(data)
    assert not read(b"\x1c\0\0\0TFL3" + data)


@_fast
@given(cut=st.integers(0, 30_000), more=st.binary(max_size=50))
def test_cut_and_continued(cut: int, more: bytes) -> None:
    small = small_student()
    assert not read(small[: cut % len(small)] + more) or more


@_fast
@given(seed=st.integers(0, 2**32), length=st.integers(1, 64))
def test_blocks_moved_within_the_file(seed: int, length: int) -> None:
    rng, data = random.Random(seed), bytearray(small_student())
    source, target = (rng.randrange(len(data) - length) for _ in range(2))
    data[target : target + length] = data[source : source + length]
    read(bytes(data))


def test_memory_stays_in_proportion(small: bytes, positions: list[int]) -> None:
    read(small)  # imports
    worst = 0.0
    tracemalloc.start()
    try:
        for seed in range(100):
            data = damaged(small, positions, seed)
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            read(data)
            _, peak = tracemalloc.get_traced_memory()
            worst = max(worst, peak - before)
    finally:
        tracemalloc.stop()
    assert worst < MEMORY_FACTOR * len(small) + MEMORY_FLOOR
