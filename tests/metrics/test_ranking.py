"""The fast metrics against scikit-learn and against loops, on scores with many ties."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import sklearn.metrics
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.metrics import reference

from crydistill.metrics import ranking
from crydistill.metrics.ranking import ClipScore, Detections, Ranking, clip_score

Clips = list[tuple[bool, float]]

# scikit-learn takes milliseconds for what is compared here, more on a busy machine.
unhurried = settings(max_examples=60)

# Few distinct scores, so that ties within and between the classes are the rule.
scored_clips = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0])),
    min_size=2,
    max_size=30,
).filter(lambda clips: len({label for label, _ in clips}) == 2)

bounds = st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.25, 1 / 3, 0.5, 1.0])


def unzip(clips: Clips) -> tuple[list[bool], list[float]]:
    labels, scores = zip(*clips, strict=True)
    return list(labels), list(scores)


def detections_of(
    labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.NDArray[Any] | None = None
) -> Detections:
    return Ranking(labels=labels, scores=scores).detections(weights)


@unhurried
@given(scored_clips)
def test_areas_agree_with_scikit_learn(clips: Clips) -> None:
    labels, scores = unzip(clips)
    detections = detections_of(labels, scores)
    assert ranking.roc_auc(detections) == pytest.approx(
        sklearn.metrics.roc_auc_score(labels, scores)
    )
    assert ranking.average_precision(detections) == pytest.approx(
        sklearn.metrics.average_precision_score(labels, scores)
    )


@unhurried
@given(scored_clips, bounds)
def test_metrics_agree_with_the_loops(clips: Clips, bound: float) -> None:
    labels, scores = unzip(clips)
    detections = detections_of(labels, scores)
    best = ranking.best_f1(detections)
    assert ranking.roc_auc(detections) == pytest.approx(reference.roc_auc(labels, scores))
    assert (best.f1, best.thresholds) == pytest.approx(reference.best_f1(labels, scores))
    assert ranking.recall_at_false_positive_rate(detections, bound) == pytest.approx(
        reference.recall_at_false_positive_rate(labels, scores, bound)
    )


@unhurried
@given(scored_clips, st.floats(-0.5, 1.5))
def test_what_a_given_threshold_detects(clips: Clips, threshold: float) -> None:
    labels, scores = unzip(clips)
    point = ranking.at_threshold(detections_of(labels, scores), threshold)
    cries, others = reference.counts_at(labels, scores, threshold)
    assert point.true_positives == cries
    assert point.false_positives == others
    detected = np.asarray(scores) >= threshold
    assert point.f1 == pytest.approx(sklearn.metrics.f1_score(labels, detected, zero_division=0))
    assert point.recall == pytest.approx(sklearn.metrics.recall_score(labels, detected))
    if detected.any():
        assert point.precision == pytest.approx(sklearn.metrics.precision_score(labels, detected))
    else:
        assert np.isnan(point.precision)


@unhurried
@given(scored_clips)
def test_curves_agree_with_scikit_learn(clips: Clips) -> None:
    labels, scores = unzip(clips)
    detections = detections_of(labels, scores)
    fpr, tpr, thresholds = sklearn.metrics.roc_curve(labels, scores, drop_intermediate=False)
    assert np.allclose(ranking.roc_curve(detections), (fpr, tpr))
    assert np.array_equal(detections.thresholds, thresholds)
    # scikit-learn's curve runs the other way and ends with a conventional point (1, 0).
    precision, recall, _ = sklearn.metrics.precision_recall_curve(labels, scores)
    assert np.allclose(
        ranking.precision_recall_curve(detections), (recall[-2::-1], precision[-2::-1])
    )
    assert np.allclose(ranking.det_curve(detections), (fpr, 1 - tpr))


@unhurried
@given(st.data())
def test_weights_count_clips_several_times(data: st.DataObject) -> None:
    labels, scores = unzip(data.draw(scored_clips))
    rows = data.draw(
        st.lists(
            st.lists(st.integers(0, 3), min_size=len(labels), max_size=len(labels)),
            min_size=1,
            max_size=3,
        )
    )
    together = detections_of(labels, scores, np.array(rows))
    for row, weights in enumerate(rows):
        repeated = np.repeat(np.arange(len(labels)), weights)
        assume(len({labels[clip] for clip in repeated}) == 2)
        some_labels, some_scores = (
            np.asarray(labels)[repeated].tolist(),
            np.asarray(scores)[repeated].tolist(),
        )
        assert ranking.roc_auc(together)[row] == pytest.approx(
            reference.roc_auc(some_labels, some_scores)
        )
        assert ranking.average_precision(together)[row] == pytest.approx(
            reference.average_precision(some_labels, some_scores)
        )
        best = ranking.best_f1(together)
        assert (best.f1[row], best.thresholds[row]) == pytest.approx(
            reference.best_f1(some_labels, some_scores)
        )
        assert ranking.recall_at_false_positive_rate(together, 0.1)[row] == pytest.approx(
            reference.recall_at_false_positive_rate(some_labels, some_scores, 0.1)
        )


def test_the_bound_of_false_positives_is_met_exactly() -> None:
    # 100 non-cries: 1 % allows one of them, the one at 0.9, and so the cries down to 0.8.
    labels = [False] * 100 + [True] * 4
    scores = [0.9, 0.5, *np.linspace(0, 0.3, 98), 0.95, 0.8, 0.5, 0.4]
    point = ranking.at_false_positive_rate(detections_of(labels, scores), 0.01)
    assert point.recall == 0.5
    assert point.false_positive_rate == 0.01
    assert point.thresholds == 0.8


def test_too_few_negatives_for_the_bound_allow_no_false_positive() -> None:
    # One in 20 is more than 0.1 %. The cry tied with the highest non-cry cannot be had without it.
    labels = [False] * 20 + [True] * 4
    scores = [*np.linspace(0, 0.6, 20), 0.9, 0.7, 0.6, 0.1]
    point = ranking.at_false_positive_rate(detections_of(labels, scores), 0.001)
    assert point.recall == 0.5
    assert point.false_positives == 0
    assert point.thresholds == 0.7


def test_where_the_highest_score_is_a_non_cry_nothing_may_be_detected() -> None:
    detections = detections_of([False, True], [1.0, 0.5])
    point = ranking.at_false_positive_rate(detections, 0.001)
    assert point.thresholds == np.inf
    assert point.recall == 0.0


def test_the_threshold_is_the_highest_of_equal_ones() -> None:
    # At 0.2 the recall is that at 0.6 with two more false positives.
    detections = detections_of([True, False, False, True], [0.6, 0.3, 0.2, 0.1])
    assert ranking.at_false_positive_rate(detections, 1.0).thresholds == 0.1
    assert ranking.at_false_positive_rate(detections, 0.99).thresholds == 0.6


def test_metrics_without_cries_are_undefined() -> None:
    detections = detections_of([False, False], [0.1, 0.2])
    assert np.isnan(ranking.roc_auc(detections))
    assert np.isnan(ranking.average_precision(detections))
    assert np.isnan(ranking.best_f1(detections).f1)
    assert np.isnan(ranking.recall_at_false_positive_rate(detections, 0.01))
    assert ranking.at_threshold(detections, 0.15).false_positive_rate == 0.5


def test_metrics_without_non_cries_are_undefined() -> None:
    detections = detections_of([True, True], [0.1, 0.2])
    assert np.isnan(ranking.roc_auc(detections))
    assert np.isnan(ranking.recall_at_false_positive_rate(detections, 0.01))
    assert np.isnan(ranking.at_threshold(detections, 0.15).false_positive_rate)
    assert ranking.at_threshold(detections, 0.15).recall == 0.5


@pytest.mark.parametrize(
    ("labels", "scores"), [([], []), ([True], [0.1, 0.2]), ([True, False], [0.1, np.nan])]
)
def test_nonsense_is_refused(labels: list[bool], scores: list[float]) -> None:
    with pytest.raises(ValueError, match=r"labels and scores|NaN"):
        Ranking(labels=labels, scores=scores)


def test_infinite_scores_are_ranked() -> None:
    detections = detections_of([True, False, True], [np.inf, 0.0, -np.inf])
    assert ranking.roc_auc(detections) == 0.5
    assert ranking.best_f1(detections).f1 == pytest.approx(0.8)


def test_clip_scores() -> None:
    windows = np.array([0.25, 0.5, 0.75, 1.0], dtype=np.float16)
    assert clip_score(windows, ClipScore.MEAN) == 0.625
    assert clip_score(windows, ClipScore.MAX) == 1.0
    assert clip_score(windows, ClipScore.TOP4) == 0.625
    assert clip_score([0.0, *windows, 0.125], ClipScore.TOP4) == 0.625
    with pytest.raises(ValueError, match="without windows"):
        clip_score([], ClipScore.MEAN)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_the_mean_of_the_highest_agrees_with_the_loop(windows: list[float]) -> None:
    top = clip_score(windows, ClipScore.TOP4)
    assert top == pytest.approx(reference.mean_of_highest(windows, 4))
    mean, highest = clip_score(windows, ClipScore.MEAN), clip_score(windows, ClipScore.MAX)
    assert mean - 1e-12 <= top <= highest + 1e-12
    if len(windows) <= 4:
        assert top == pytest.approx(mean)
