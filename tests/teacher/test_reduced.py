import numpy as np
import pytest
from scipy.special import expit, logsumexp

from crydistill.distill.targets import against_rivals
from crydistill.taxonomy import CLASSES, cry_indices, rival_indices
from crydistill.teacher.reduced import DenseRows, Reduction


def logits(windows: int = 40) -> np.ndarray:
    """As YAMNet's: most classes are near -8, a few are high."""
    rng = np.random.default_rng(0)
    found = rng.normal(-8, 2, (windows, CLASSES))
    found[np.arange(windows), rng.integers(CLASSES, size=windows)] += 9
    return found.astype(np.float32)


@pytest.mark.parametrize("top", [1, 16, 256])
def test_what_targets_depend_on_is_exact(top: int) -> None:
    whole = logits().astype(np.float16)
    kept = Reduction(top).dense(Reduction(top).reduced(whole))
    cries = list(cry_indices())
    assert kept.shape == whole.shape
    assert np.array_equal(kept[:, cries], whole[:, cries])
    cry = expit(whole[:, cries].astype(np.float32)).sum(axis=1)
    assert np.array_equal(
        against_rivals(cry, kept.astype(np.float32), 0.05),
        against_rivals(cry, whole.astype(np.float32), 0.05),
    )


def test_the_highest_are_exact_and_the_rest_keep_their_sum() -> None:
    whole = logits()
    rows = Reduction(16).reduced(whole)
    assert rows.shape == (len(whole), 37)
    kept = Reduction(16).dense(rows).astype(np.float32)
    highest = np.argsort(-whole, axis=1)[:, :16]
    expected = np.take_along_axis(whole, highest, axis=1).astype(np.float16)
    assert np.array_equal(np.take_along_axis(kept, highest, axis=1), expected)
    np.testing.assert_allclose(logsumexp(kept, axis=1), logsumexp(whole, axis=1), atol=5e-3)


def test_equal_logits_are_kept_in_one_order() -> None:
    flat = np.zeros((1, CLASSES), dtype=np.float32)
    row = Reduction(3).reduced(flat)[0]
    free = [c for c in range(CLASSES) if c not in (*cry_indices(), rival_indices()[0])]
    assert row[:3].tolist() == free[:3]
    assert np.array_equal(Reduction(3).dense(row[None]), flat.astype(np.float16))


class Stored(np.ndarray):
    def between(self, start: int, stop: int) -> np.ndarray:
        return np.asarray(self[start:stop])


def test_rows_are_read_as_logits() -> None:
    reduction = Reduction(8)
    rows = reduction.reduced(logits())
    dense = DenseRows(rows.view(Stored), reduction)
    assert len(dense) == 40
    assert np.array_equal(dense.between(5, 9), reduction.dense(rows)[5:9])
