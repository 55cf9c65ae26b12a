"""AudioSet's classes and the cry score."""

import numpy as np
import pytest

from crydistill.taxonomy import CLASSES, class_mids, class_names, cry_indices, cry_score, index_of


def test_every_class_once() -> None:
    assert len(class_names()) == len(set(class_mids())) == CLASSES
    assert [class_names()[index] for index in cry_indices()] == [
        "Crying, sobbing",
        "Baby cry, infant cry",
    ]


def test_an_unknown_class() -> None:
    with pytest.raises(KeyError):
        index_of("/m/none")


def test_cry_score_sums_the_cry_outputs() -> None:
    scores = np.array([[0.5, 0.25, 0.125], [1.0, 0.5, 0.75]], dtype=np.float32)
    np.testing.assert_array_equal(cry_score(scores, [0, 2]), [0.625, 1.75])
    np.testing.assert_array_equal(cry_score(scores), [0.875, 2.25])
    assert cry_score(scores).dtype == np.float32
    assert cry_score(np.empty((0, 3)), [1]).shape == (0,)
