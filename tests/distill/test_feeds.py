from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crydistill.corpora.clip import Clip, Label
from crydistill.distill.colouring import Colouring
from crydistill.distill.feeds import StreamFeed
from crydistill.errors import ConfigError


class NumberedPool:
    """Streams of windows in which every value is the window's number."""

    def __init__(self, *windows: int) -> None:
        self.clips = [Clip(str(n), Path(str(n)), Label.UNLABELLED, str(n)) for n in windows]
        self.clip_of = np.repeat(np.arange(len(windows)), windows)

    def __len__(self) -> int:
        return len(self.clip_of)

    def patches(self, indices: np.ndarray) -> np.ndarray:
        return np.tile(indices[:, None, None], (1, 96, 64)).astype(np.float32)


class SteadyPool(NumberedPool):
    """Streams whose frames are all alike, so that overlapping windows agree."""

    def patches(self, indices: np.ndarray) -> np.ndarray:
        return np.zeros((len(indices), 96, 64), np.float32)


def feed(*windows: int, stretches: int = 2, seed: int = 0) -> StreamFeed:
    pool = NumberedPool(*windows)
    return StreamFeed(
        pool,
        lambda indices: indices[:, None].astype(np.float32),
        length=5,
        stretches=stretches,
        warm_up=3,
        seed=seed,
    )


def test_stretches_are_consecutive_windows_of_one_stream() -> None:
    shown = feed(40, 23, 4)
    for patches, taught in shown.batches(0):
        assert patches.shape == (2, 5, 96, 64)
        numbers = patches[:, :, 0, 0]
        assert (np.diff(numbers, axis=1) == 1).all()
        streams = shown.pool.clip_of[numbers.astype(int)]
        assert (streams == streams[:, :1]).all()
        np.testing.assert_array_equal(taught[..., 1], numbers)


def test_the_first_windows_count_only_where_the_stream_begins() -> None:
    begun = set()
    for epoch in range(20):
        for patches, taught in feed(40, 23).batches(epoch):
            for numbers, counts in zip(patches[:, :, 0, 0], taught[..., 0], strict=True):
                begins = numbers[0] in (0, 40)
                begun.add(begins)
                assert counts.tolist() == ([1] * 5 if begins else [0, 0, 0, 1, 1])
    assert begun == {True, False}


def test_an_epoch_is_a_function_of_its_number_and_the_seed() -> None:
    def numbers(epoch: int, seed: int = 0) -> list[float]:
        batches = feed(100, 100, seed=seed).batches(epoch)
        return [value for patches, _ in batches for value in patches[:, :, 0, 0].ravel()]

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)
    assert numbers(1) != numbers(1, seed=1)
    assert len(numbers(1)) == 5 * 2 * feed(100, 100).steps(1)


def test_too_little_for_a_batch() -> None:
    with pytest.raises(ConfigError, match=r"fewer than training\.memory\.stretches 4"):
        feed(9, stretches=4).steps(0)


def test_windows_of_a_stretch_are_coloured_alike() -> None:
    shown = replace(feed(40, 23), pool=SteadyPool(40, 23), colouring=Colouring(hiss=1.0))
    for patches, _ in shown.batches(0):
        np.testing.assert_array_equal(patches[:, 1:, :48], patches[:, :-1, 48:])
        assert (patches[0] != patches[1]).any()
        assert np.isfinite(patches).all()
    first, again = (next(iter(shown.batches(3)))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
