import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crydistill.metrics.reliability import BINS, calibration_error, reliability


def true_probabilities(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    scores = rng.random(count)
    return rng.random(count) < scores, scores


def test_true_probabilities_lie_on_the_diagonal() -> None:
    labels, scores = true_probabilities(100_000)
    found = reliability(labels, scores)
    np.testing.assert_allclose(found.cries, found.score, atol=0.02)
    assert found.clips.sum() == 100_000
    assert calibration_error(labels, scores) < 0.01


def test_by_hand() -> None:
    labels, scores = [True, False, True, True], [0.92, 0.98, 0.31, 1.7]
    found = reliability(labels, scores)
    np.testing.assert_allclose(found.score, [0.31, (0.92 + 0.98 + 1) / 3])
    np.testing.assert_allclose(found.cries, [1, 2 / 3])
    assert found.clips.tolist() == [1, 3]
    by_hand = (abs(1 - 0.31) + abs(2 - 0.92 - 0.98 - 1)) / 4
    assert calibration_error(labels, scores) == pytest.approx(by_hand)


def test_weights_count_clips_several_times() -> None:
    labels, scores = true_probabilities(50)
    weights = np.random.default_rng(1).integers(0, 4, (3, 50))
    expected = [
        calibration_error(np.repeat(labels, row), np.repeat(scores, row)) for row in weights
    ]
    np.testing.assert_allclose(calibration_error(labels, scores, weights), expected)


@settings(max_examples=50)
@given(arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 2)), st.randoms())
def test_bounds(scores: np.ndarray, random) -> None:  # type: ignore[no-untyped-def]
    labels = np.array([random.random() < 0.5 for _ in scores])
    assert 0 <= calibration_error(labels, scores) <= 1
    found = reliability(labels, scores)
    assert len(found.clips) <= BINS
    assert found.clips.sum() == len(scores)
