import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.distill.masking import masked


def patches(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 96, 64)).astype(np.float32)


def test_without_widths_nothing_changes() -> None:
    given_patches = patches()
    assert masked(given_patches, 0, 0, np.random.default_rng(0)) is given_patches


@settings(max_examples=30)
@given(st.integers(0, 96), st.integers(0, 64), st.integers(0, 2**32 - 1))
def test_one_stretch_of_each_kind_becomes_the_mean(frames: int, bands: int, seed: int) -> None:
    before = patches(1)
    after = masked(before, frames, bands, np.random.default_rng(seed))
    changed = (after != before)[0]
    whole_frames, whole_bands = changed.all(axis=1), changed.all(axis=0)
    assert whole_frames.sum() <= frames
    assert whole_bands.sum() <= bands
    for stretch in (whole_frames, whole_bands):
        assert np.abs(np.diff(stretch.astype(int))).sum() <= 2
    np.testing.assert_array_equal(changed, whole_frames[:, None] | whole_bands[None, :])
    np.testing.assert_allclose(after[0][changed], before.mean(), rtol=1e-5)


def test_patches_are_masked_in_different_places() -> None:
    after = masked(patches(64), 30, 0, np.random.default_rng(0))
    masks = {tuple((row == row[0]).all() for row in patch) for patch in after}
    assert len(masks) > 30
