import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.distill.mixing import mixed

RNG = np.random.default_rng(0)
PATCHES = RNG.normal(size=(16, 96, 64)).astype(np.float32)
TARGETS = RNG.uniform(size=(16, 5)).astype(np.float32)


def test_without_alpha_nothing_changes() -> None:
    patches, targets = mixed(PATCHES, TARGETS, 0.0, np.random.default_rng(0))
    assert patches is PATCHES
    assert targets is TARGETS


@settings(max_examples=20)
@given(st.floats(0.05, 5), st.integers(0, 2**32 - 1))
def test_each_is_a_blend_of_two_and_so_is_what_it_teaches(alpha: float, seed: int) -> None:
    # One-hot "patches" say which windows went in, and in which shares.
    marked = np.zeros((16, 96, 64), dtype=np.float32)
    marked[np.arange(16), np.arange(16), 0] = 1
    patches, targets = mixed(marked, TARGETS, alpha, np.random.default_rng(seed))
    shares = patches[:, :16, 0]
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert ((shares > 0).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(targets, shares @ TARGETS, rtol=1e-4, atol=1e-6)


def test_a_small_alpha_mostly_keeps_one_of_the_two() -> None:
    marked = np.zeros((4_000, 1, 1), dtype=np.float32)
    marked[::2] = 1
    for alpha, few in ((0.1, 0.15), (1.0, 0.45)):
        patches, _ = mixed(marked, marked[:, 0], alpha, np.random.default_rng(1))
        halfway = ((patches > 0.1) & (patches < 0.9)).mean()
        assert abs(halfway - few) < 0.1
