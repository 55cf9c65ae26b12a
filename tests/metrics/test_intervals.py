"""The group bootstrap: what it draws, and the coverage of its intervals."""

import numpy as np
import numpy.typing as npt
import pytest

from crydistill.metrics import ranking
from crydistill.metrics.intervals import (
    Estimate,
    GroupBootstrap,
    Resampled,
    Statistic,
    Weights,
    mean_estimate,
)
from crydistill.metrics.ranking import Floats, Ranking


def auc_of(labels: npt.ArrayLike, *scores: npt.ArrayLike) -> Statistic:
    ranked = [Ranking(labels=labels, scores=each) for each in scores]

    def statistic(weights: Weights) -> Floats:
        return np.stack([ranking.roc_auc(each.detections(weights)) for each in ranked], axis=-1)

    return statistic


def the_weights(bootstrap: GroupBootstrap) -> Floats:
    """All resamples of a bootstrap, `[replicates, clips]`."""
    return np.stack(
        [clip.replicates for clip in bootstrap.run(lambda weights: weights.astype(np.float64))],
        axis=-1,
    )


def grouped_scores(
    rng: np.random.Generator, groups: int = 40, clips_each: int = 6
) -> tuple[npt.NDArray[np.bool_], Floats, list[str]]:
    """Cries and non-cries with as much score variance between groups as within."""
    group = np.repeat(np.arange(groups), clips_each)
    labels = group % 2 == 0
    scores = labels + rng.normal(size=groups)[group] + rng.normal(size=len(group))
    return labels, scores, [f"group {number}" for number in group]


def test_groups_come_whole_and_each_kind_in_its_number() -> None:
    labels = np.array([True, False, True, False, False, False, False])
    groups = ["mixed", "mixed", "cry", "a", "a", "b", "c"]
    bootstrap = GroupBootstrap(groups=groups, labels=labels, replicates=200, seed=3)
    weights = the_weights(bootstrap)
    assert (bootstrap.cry_groups, bootstrap.other_groups) == (2, 3)
    assert np.array_equal(weights[:, 0], weights[:, 1])
    assert np.array_equal(weights[:, 3], weights[:, 4])
    assert np.all(weights[:, 0] + weights[:, 2] == 2)
    assert np.all(weights[:, 3] + weights[:, 5] + weights[:, 6] == 3)
    # Every group is drawn once per resample on average.
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.15)


def test_resamples_follow_the_seed() -> None:
    labels, groups = np.array([True, True, False, False]), list("abcd")
    first, again, other = (
        the_weights(GroupBootstrap(groups=groups, labels=labels, replicates=20, seed=seed))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_replicate_is_the_metric_of_the_repeated_clips() -> None:
    labels, scores, groups = grouped_scores(np.random.default_rng(0), groups=8)
    bootstrap = GroupBootstrap(groups=groups, labels=labels, replicates=5)
    (auc,) = bootstrap.run(auc_of(labels, scores))
    for weights, replicate in zip(the_weights(bootstrap).astype(int), auc.replicates, strict=True):
        clips = np.repeat(np.arange(len(labels)), weights)
        alone = Ranking(labels=labels[clips], scores=scores[clips])
        assert replicate == pytest.approx(float(ranking.roc_auc(alone.detections())))


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    labels, scores, _ = grouped_scores(rng, groups=40_000, clips_each=1)
    truth = float(ranking.roc_auc(Ranking(labels=labels, scores=scores).detections()))
    covered_by_groups, covered_by_clips = 0, 0
    trials = 150
    for _ in range(trials):
        labels, scores, groups = grouped_scores(rng)
        for drawn, clipwise in ((groups, False), ([str(n) for n in range(len(labels))], True)):
            bootstrap = GroupBootstrap(groups=drawn, labels=labels, replicates=200)
            estimate = bootstrap.run(auc_of(labels, scores))[0].estimate()
            covers = estimate.low <= truth <= estimate.high
            covered_by_groups += covers and not clipwise
            covered_by_clips += covers and clipwise
    # Percentile intervals over 20 groups per class fall a little short of 95 %; those that treat
    # correlated clips as independent fall far short.
    assert 0.88 <= covered_by_groups / trials <= 0.99
    assert covered_by_clips / trials < 0.80


def test_a_paired_difference_is_surer_than_an_unpaired_one() -> None:
    rng = np.random.default_rng(2)
    labels, scores, groups = grouped_scores(rng)
    student = scores + 0.2 * rng.normal(size=len(scores))
    bootstrap = GroupBootstrap(groups=groups, labels=labels, replicates=400)
    ours, theirs = bootstrap.run(auc_of(labels, student, scores))
    elsewhere = GroupBootstrap(groups=groups, labels=labels, replicates=400, seed=1)
    (unrelated,) = elsewhere.run(auc_of(labels, scores))
    paired, unpaired = (ours - theirs).estimate(), (ours - unrelated).estimate()
    assert paired.value == unpaired.value
    assert paired.high - paired.low < 0.5 * (unpaired.high - unpaired.low)


def test_percentiles_are_of_the_defined_resamples() -> None:
    replicates = np.concatenate([np.arange(1000.0), np.full(20, np.nan)])
    estimate = Resampled(500.0, replicates).estimate()
    assert (estimate.low, estimate.high) == pytest.approx((24.975, 974.025))


def test_too_many_undefined_resamples_give_no_interval() -> None:
    replicates = np.concatenate([np.arange(90.0), np.full(10, np.nan)])
    estimate = Resampled(45.0, replicates).estimate()
    assert estimate.value == 45.0
    assert np.isnan([estimate.low, estimate.high]).all()


def test_a_number_that_no_resample_moves_has_no_interval() -> None:
    unmoved = Resampled(0.0, np.zeros(100)).estimate()
    hardly_moved = Resampled(0.0, np.append(np.zeros(99), 0.5)).estimate()
    assert str(unmoved) == str(hardly_moved) == "0.000"


def test_a_single_group_of_a_kind_gives_no_interval() -> None:
    labels = np.array([True, True, False, False])
    bootstrap = GroupBootstrap(groups=["one", "one", "a", "b"], labels=labels, replicates=50)
    (auc,) = bootstrap.run(auc_of(labels, [0.9, 0.4, 0.5, 0.1]))
    assert auc.value == 0.75
    assert np.isnan(auc.estimate().low)


def test_one_class_alone_can_be_resampled() -> None:
    labels = np.zeros(4, dtype=bool)
    bootstrap = GroupBootstrap(groups=list("aabc"), labels=labels, replicates=50)
    assert np.all(the_weights(bootstrap)[:, 1:].sum(axis=1) == 3)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="2 groups for 1 labels"):
        GroupBootstrap(groups=["a", "b"], labels=[True])
    with pytest.raises(ValueError, match="at least 1"):
        GroupBootstrap(groups=["a", "b"], labels=[True, False], replicates=0)


def test_estimates_as_text() -> None:
    assert str(Estimate(0.98123, 0.972, 0.9891)) == "0.981 [0.972, 0.989]"
    assert str(Estimate(0.5, np.nan, np.nan)) == "0.500"
    assert str(Estimate(np.nan, np.nan, np.nan)) == "–"


def test_a_mean_is_drawn_by_groups() -> None:
    values, groups = [0.0, 0.0, 1.0, 1.0, 1.0, 4.0], ["a", "a", "b", "b", "c", "d"]
    found = mean_estimate(values, groups=groups, replicates=400, seed=1)
    bootstrap = GroupBootstrap(groups=groups, labels=[1] * 6, replicates=400, seed=1)
    by_hand = [np.average(values, weights=weights) for weights in the_weights(bootstrap)]
    assert found.value == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])))
    assert np.isnan(mean_estimate(values, groups=["one"] * 6).low)
