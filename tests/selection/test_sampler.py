import numpy as np
import pytest

from crydistill.errors import CorpusError
from crydistill.selection.sampler import (
    BalancedSampler,
    FixedSampler,
    harder,
    random_windows,
    shuffled,
)
from crydistill.selection.teacher_filter import ConfidentWindows, confident_windows

POSITIVE = np.arange(100)
NEGATIVE = np.arange(100, 1100)
WINDOWS = ConfidentWindows(POSITIVE, NEGATIVE, dropped=0)


def negatives(indices: np.ndarray) -> set[int]:
    return set(indices.tolist()) - set(POSITIVE.tolist())


@pytest.mark.parametrize(("ratio", "count"), [(1, 200), (3, 400), (0.5, 150), (50, 1100)])
def test_all_positives_and_the_ratio_of_negatives(ratio: float, count: int) -> None:
    for resample in (False, True):
        epoch = BalancedSampler(WINDOWS, ratio=ratio, resample=resample, seed=1).epoch(0)
        assert len(epoch) == len(set(epoch.tolist())) == count
        assert set(POSITIVE.tolist()) <= set(epoch.tolist())


def test_a_fixed_pool_shows_the_same_negatives_in_another_order() -> None:
    sampler = BalancedSampler(WINDOWS, ratio=1, resample=False, seed=1)
    assert negatives(sampler.epoch(0)) == negatives(sampler.epoch(7))
    assert not np.array_equal(sampler.epoch(0), sampler.epoch(7))


def test_resampling_shows_them_all_in_time() -> None:
    sampler = BalancedSampler(WINDOWS, ratio=1, resample=True, seed=1)
    seen = set().union(*(negatives(sampler.epoch(number)) for number in range(80)))
    assert len(seen) > 0.99 * len(NEGATIVE)


def test_an_epoch_is_a_function_of_seed_and_number() -> None:
    first = BalancedSampler(WINDOWS, ratio=2, resample=True, seed=1)
    later = BalancedSampler(WINDOWS, ratio=2, resample=True, seed=1)
    first.epoch(0)
    assert np.array_equal(first.epoch(5), later.epoch(5))
    other = BalancedSampler(WINDOWS, ratio=2, resample=True, seed=2)
    assert not np.array_equal(first.epoch(5), other.epoch(5))


@pytest.mark.parametrize("kind", ["positive", "negative"])
def test_nothing_to_learn_from(kind: str) -> None:
    none = np.array([], dtype=np.int64)
    windows = (
        ConfidentWindows(none, NEGATIVE, 0)
        if kind == "positive"
        else ConfidentWindows(POSITIVE, none, 0)
    )
    with pytest.raises(CorpusError, match=f"no confident {kind} window"):
        BalancedSampler(windows, ratio=1, resample=False, seed=0)


def test_the_filter_drops_what_lies_between() -> None:
    scores = np.array([0.0, 0.049, 0.05, 0.2, 0.30, 0.31, 1.9], dtype=np.float32)
    windows = confident_windows(scores, positive_above=0.30, negative_below=0.05)
    assert windows.negative.tolist() == [0, 1]
    assert windows.positive.tolist()[-2:] == [5, 6]
    assert windows.dropped == len(scores) - len(windows.negative) - len(windows.positive)


def test_random_windows_take_some_of_every_clip() -> None:
    clip_of = np.repeat(np.arange(5), [1, 3, 4, 20, 100])
    chosen = random_windows(clip_of, per_clip=4, seed=3)
    assert np.bincount(clip_of[chosen]).tolist() == [1, 3, 4, 4, 4]
    assert len(set(chosen.tolist())) == len(chosen)
    assert np.array_equal(chosen, random_windows(clip_of, per_clip=4, seed=3))
    epochs = FixedSampler(chosen, seed=3)
    assert set(epochs.epoch(1).tolist()) == set(chosen.tolist())


def test_negatives_that_sound_like_a_cry_are_drawn_more_often() -> None:
    scores = np.where(np.arange(1100) < 100, 0.9, np.where(np.arange(1100) < 600, 0.1, 0.0))
    weights = harder(scores.astype(np.float32), negative_below=0.1, hardness=0.5)
    assert weights[0] == weights[100] == 1
    assert weights[-1] == pytest.approx((0.001 / 0.101) ** 0.5)
    sampler = BalancedSampler(WINDOWS, ratio=1, resample=True, seed=1, weights=weights)
    drawn = sampler.epoch(0)
    assert np.isin(POSITIVE, drawn).all()
    assert np.sum((drawn >= 100) & (drawn < 600)) > 6 * np.sum(drawn >= 600)


def test_no_hardness_draws_all_alike() -> None:
    scores = np.linspace(0, 1, 50, dtype=np.float32)
    assert set(harder(scores, negative_below=0.1, hardness=0.0)) == {1.0}


def test_epochs_are_those_of_former_versions() -> None:
    """Trainings that were begun before windows were numbered in 32 bits go on as they were."""
    small = ConfidentWindows(POSITIVE.astype(np.int32), NEGATIVE.astype(np.int32), dropped=0)
    weights = np.linspace(0.5, 2, 1100)
    for given in (None, weights):
        found = BalancedSampler(small, ratio=3, resample=True, seed=7, weights=given).epoch(5)
        draw, order = np.random.default_rng([7, 5]), np.random.default_rng([7, 5, 1])
        positives = POSITIVE
        if given is not None:
            times = np.floor(given[POSITIVE] + draw.random(100)).astype(int)
            positives = np.repeat(POSITIVE, times)
        share = None if given is None else given[NEGATIVE] / given[NEGATIVE].sum()
        negative = draw.choice(NEGATIVE, round(3 * len(positives)), replace=False, p=share)
        expected = order.permutation(np.concatenate([positives, negative]))
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(("count", "at_once"), [(1000, 160), (1000, 999), (1003, 64), (50, 3)])
def test_a_shuffle_in_stretches_shows_each_window_once(count: int, at_once: int) -> None:
    windows = np.random.default_rng(0).permutation(count) + 10
    found = shuffled(windows, np.random.default_rng(3), at_once)
    assert sorted(found.tolist()) == sorted(windows.tolist())
    assert np.array_equal(found, shuffled(windows, np.random.default_rng(3), at_once))
    assert not np.array_equal(found, shuffled(windows, np.random.default_rng(4), at_once))


def test_a_shuffle_in_stretches_reads_few_places_at_a_time() -> None:
    """What is shown together is from sixteen stretches, and mixed among these."""
    windows = np.arange(16_000)
    found = shuffled(windows, np.random.default_rng(0), at_once=1600)
    for start in range(0, 16_000, 1600):
        part = np.sort(found[start : start + 1600])
        assert np.count_nonzero(np.diff(part) > 1) < 16
        assert np.mean(np.abs(np.diff(found[start : start + 1600])) > 100) > 0.5
    assert np.array_equal(
        shuffled(windows, np.random.default_rng(0), at_once=16_000),
        np.random.default_rng(0).permutation(windows),
    )


def test_an_epoch_in_stretches_is_a_function_of_seed_and_number() -> None:
    def sampler() -> BalancedSampler:
        return BalancedSampler(WINDOWS, ratio=3, resample=True, seed=1, at_once=64)

    later = sampler()
    later.epoch(0)
    assert np.array_equal(sampler().epoch(5), later.epoch(5))
    whole = BalancedSampler(WINDOWS, ratio=3, resample=True, seed=1).epoch(5)
    assert sorted(later.epoch(5).tolist()) == sorted(whole.tolist())
    assert not np.array_equal(later.epoch(5), later.epoch(6))
