"""Whole evaluations of made-up models on made-up clips."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluation.made_up import Floats, clip, model, noisy_model, nursery_clips

from crydistill.corpora.clip import Label
from crydistill.errors import ConfigError, CorpusError, ModelError
from crydistill.evaluation import compare
from crydistill.evaluation.clips import EvaluatedClips, ModelScores
from crydistill.evaluation.compare import (
    DIFFERENCES,
    METRICS,
    Evaluation,
    choose_thresholds,
    evaluate,
    worst_mistakes,
)
from crydistill.evaluation.slices import Slice
from crydistill.metrics.agreement import track_correlation, window_kl
from crydistill.metrics.ranking import ClipScore

BOTH = tuple(ClipScore)


def perfect(cry: bool, number: int) -> Floats:
    return np.linspace(0.6, 0.9, 5) if cry else np.linspace(0.1, 0.4, 5) + 0.001 * number


def inverted(cry: bool, number: int) -> Floats:
    return 1.0 - perfect(cry, number)


@pytest.fixture(scope="module")
def clips() -> EvaluatedClips:
    return nursery_clips()


@pytest.fixture(scope="module")
def evaluation(clips: EvaluatedClips) -> Evaluation:
    """A teacher, a student a little worse and one that is much worse."""
    models = [
        noisy_model("close", clips, noise=0.17),
        noisy_model("teacher", clips, noise=0.15),
        noisy_model("poor", clips, noise=0.6, seed=1),
    ]
    thresholds = choose_thresholds(clips, models)
    return evaluate(clips, models, thresholds=thresholds, replicates=200, seed=4)


def part_of(evaluation: Evaluation, model: str, kind: str, name: str, label: Label) -> Slice:
    slices = evaluation.models[model].by_score[ClipScore.MEAN].slices
    return next(s for s in slices if (s.kind, s.name, s.label) == (kind, name, label))


def test_a_perfect_and_an_inverted_model(clips: EvaluatedClips) -> None:
    models = [model("teacher", clips, perfect), model("inverted", clips, inverted)]
    judged = evaluate(clips, models, replicates=20)
    for how in BOTH:
        best = judged.models["teacher"].by_score[how].metrics
        worst = judged.models["inverted"].by_score[how].metrics
        for name in ("roc_auc", "average_precision", "best_f1", "recall_at_fpr_0.1pct"):
            assert best[name].value == 1.0
        assert best["best_f1_fpr"].value == 0.0
        assert worst["roc_auc"].value == 0.0
        assert worst["recall_at_fpr_1pct"].value == 0.0
        # The best that can be done is to call everything a cry: 20 of 80 are.
        assert worst["best_f1"].value == pytest.approx(2 * 0.25 / 1.25)
        difference = judged.models["inverted"].by_score[how].differences["roc_auc"]
        assert (difference.value, str(difference)) == (-1.0, "-1.000")
    agreement = judged.models["inverted"].agreement
    assert agreement is not None
    assert agreement.correlation.value == pytest.approx(-1.0)


def test_the_teacher_comes_first_and_is_not_compared_with_itself(evaluation: Evaluation) -> None:
    assert list(evaluation.models) == ["teacher", "close", "poor"]
    assert evaluation.students == ["close", "poor"]
    assert evaluation.models["teacher"].agreement is None
    assert evaluation.models["teacher"].by_score[ClipScore.MEAN].differences == {}


def test_every_metric_lies_in_its_interval(evaluation: Evaluation) -> None:
    for judged in evaluation.models["poor"].by_score.values():
        assert list(judged.metrics) == list(METRICS)
        assert list(judged.differences) == list(DIFFERENCES)
        for name in ("roc_auc", "average_precision", "f1_at_half", "fpr_at_validation"):
            estimate = judged.metrics[name]
            assert estimate.low < estimate.value < estimate.high


def test_differences_are_paired(evaluation: Evaluation) -> None:
    teacher, close = (
        evaluation.models[name].by_score[ClipScore.MEAN] for name in ("teacher", "close")
    )
    difference, auc = close.differences["roc_auc"], close.metrics["roc_auc"]
    assert difference.value == pytest.approx(auc.value - teacher.metrics["roc_auc"].value)
    assert difference.high - difference.low < 0.5 * (auc.high - auc.low)
    assert evaluation.models["poor"].by_score[ClipScore.MEAN].differences["roc_auc"].high < 0


def test_a_threshold_of_validation_clips_is_applied_as_it_is(clips: EvaluatedClips) -> None:
    teacher = noisy_model("teacher", clips, noise=0.15)
    judged = evaluate(clips, [teacher], thresholds={"teacher": {"mean": 0.55}}, replicates=5)
    detected = np.array([track.mean() for track in teacher.windows]) >= 0.55
    mean, *others = (judged.models["teacher"].by_score[how] for how in ClipScore)
    assert mean.thresholds["validation"] == 0.55
    assert mean.metrics["recall_at_validation"].value == detected[clips.labels].mean()
    assert mean.metrics["fpr_at_validation"].value == detected[~clips.labels].mean()
    assert len(others) == 2
    for other in others:
        assert "validation" not in other.thresholds
        assert np.isnan(other.metrics["f1_at_validation"].value)


def test_a_chosen_threshold_reproduces_the_best_f1(evaluation: Evaluation) -> None:
    for judged in evaluation.models["close"].by_score.values():
        assert judged.metrics["f1_at_validation"].value == judged.metrics["best_f1"].value
        threshold = judged.thresholds["validation"]
        assert threshold == float(f"{threshold:.6g}")
        assert threshold == judged.thresholds["best_f1"]


@given(st.floats(1e-9, 2.0))
def test_a_shortened_threshold_is_still_reached(threshold: float) -> None:
    shortened = compare._rounded_down(threshold)
    assert threshold * (1 - 2e-5) <= shortened <= threshold
    assert len(f"{shortened:.15g}".replace("0.", "").split("e")[0].lstrip("0")) <= 7


def test_slices_are_detections_at_one_threshold(
    clips: EvaluatedClips, evaluation: Evaluation
) -> None:
    judged = evaluation.models["poor"].by_score[ClipScore.MEAN]
    detected = judged.clip_scores >= judged.thresholds["fpr_1pct"]
    rates = np.array(clips.native_rates)
    narrow = part_of(evaluation, "poor", "band", "narrow", Label.CRY)
    assert narrow.detected.value == detected[clips.labels & (rates == 8_000)].mean()
    assert (narrow.clips, narrow.groups) == (10, 10)
    cats = part_of(evaluation, "poor", "category", "cat", Label.NONCRY)
    assert cats.detected.value == detected[np.array(clips.categories) == "cat"].mean()
    street = part_of(evaluation, "poor", "source", "street", Label.CRY)
    assert (
        street.detected.value
        == detected[clips.labels & (np.array(clips.sources) == "street")].mean()
    )
    assert set(judged.source_auc) == {"home", "street"}


def test_a_slice_of_one_group_has_no_interval() -> None:
    listed = [clip(n, cry=n < 6, category="a" if n < 10 else "b") for n in range(20)]
    listed += [clip(n, cry=False, group="one", category="alone") for n in range(20, 24)]
    clips = EvaluatedClips.from_clips(listed)
    judged = evaluate(clips, [noisy_model("teacher", clips, noise=0.5)], replicates=50)
    alone = part_of(judged, "teacher", "category", "alone", Label.NONCRY)
    assert (alone.clips, alone.groups) == (4, 1)
    assert np.isnan(alone.detected.low)


def test_the_category_with_most_false_alarms_comes_first(clips: EvaluatedClips) -> None:
    # Four of 400 non-cries, all cats, score above the cries: 1 %, which the threshold allows.
    clips = nursery_clips(cries=20, others=400)
    scores = np.where(clips.labels, 0.8, 0.1)
    scores[np.flatnonzero(np.array(clips.categories) == "cat")[:4]] = 0.95
    teacher = ModelScores("teacher", [np.array([score]) for score in scores])
    judged = evaluate(clips, [teacher], replicates=5).models["teacher"].by_score[ClipScore.MEAN]
    categories = [part.name for part in judged.slices if part.kind == "category"]
    assert categories == ["cat", "fan"]


def test_recordings_of_unknown_rate_are_in_no_band() -> None:
    clips = EvaluatedClips.from_clips([clip(n, cry=n < 3) for n in range(9)])
    judged = evaluate(clips, [noisy_model("teacher", clips, noise=0.1)], replicates=5)
    kinds = {part.kind for part in judged.models["teacher"].by_score[ClipScore.MEAN].slices}
    assert kinds == {"category", "source"}


def test_clips_of_one_class_are_judged_as_far_as_that_goes() -> None:
    clips = EvaluatedClips.from_clips([clip(n, cry=False) for n in range(9)])
    teacher = noisy_model("teacher", clips, noise=0.3)
    judged = evaluate(clips, [teacher], thresholds={"teacher": {"mean": 0.3}}, replicates=50)
    metrics = judged.models["teacher"].by_score[ClipScore.MEAN].metrics
    assert np.isnan(metrics["roc_auc"].value)
    assert 0 < metrics["fpr_at_validation"].low < metrics["fpr_at_validation"].high < 1
    assert judged.to_json()["models"]["teacher"]["clip_scores"]["mean"]["metrics"]["roc_auc"] == {
        "value": None,
        "low": None,
        "high": None,
    }


def test_agreement_with_the_teacher(clips: EvaluatedClips) -> None:
    teacher = noisy_model("teacher", clips, noise=0.1)
    # Follows the teacher in cries, runs against it elsewhere, and says one thing of the first clip.
    tracks = [
        np.asarray(track if label else -track)
        for track, label in zip(teacher.windows, clips.labels, strict=True)
    ]
    tracks[0] = np.full(8, 0.5)
    student = ModelScores("student", tracks, kl=[float(number) for number in range(len(clips))])
    agreement = evaluate(clips, [teacher, student], replicates=50).models["student"].agreement
    assert agreement is not None
    assert agreement.correlation_cries.value == pytest.approx(1.0)
    assert agreement.correlation.value == pytest.approx((19 - 60) / 79)
    ours, theirs = (
        np.concatenate([t for t, label in zip(tracks_of, clips.labels, strict=True) if label])
        for tracks_of in (tracks, teacher.windows)
    )
    pooled = np.corrcoef(ours, theirs)[0, 1]
    assert agreement.correlation_cry_windows.value == pytest.approx(pooled)
    assert (agreement.correlated_clips, agreement.skipped_clips) == (79, 1)
    assert agreement.kl.value == pytest.approx(39.5)
    assert agreement.kl.low < 39.5 < agreement.kl.high


def test_kl_is_a_mean_over_windows_not_clips() -> None:
    clips = EvaluatedClips.from_clips([clip(n, cry=n < 2) for n in range(4)])
    tracks = [np.linspace(0, 1, windows) for windows in (1, 2, 3, 4)]
    models = [ModelScores("teacher", tracks), ModelScores("student", tracks, kl=[1, 0, 0, 2])]
    agreement = evaluate(clips, models, replicates=5).models["student"].agreement
    assert agreement is not None
    assert agreement.kl.value == pytest.approx((1 * 1 + 4 * 2) / 10)


def test_kl_of_windows() -> None:
    teacher = np.array([[0.2, 0.2, 0.4], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    student = np.array([[0.25, 0.25, 0.5], [0.5, 0.5, 0.0], [1.0, 1.0, 1.0]])
    kl = window_kl(teacher, student)
    assert kl[0] == pytest.approx(0.0, abs=1e-12)
    assert kl[1] == pytest.approx(np.log(2), rel=1e-6)
    assert kl[2] == pytest.approx(0.0, abs=1e-12)
    # A class that the student rules out costs the logarithm of the epsilon, not infinity.
    assert window_kl([[1.0, 0.0]], [[0.0, 1.0]])[0] == pytest.approx(-np.log(1e-8), rel=1e-6)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_kl_is_never_negative(rows: list[tuple[float, float]]) -> None:
    teacher, student = zip(*rows, strict=True)
    assert window_kl([teacher], [student])[0] >= -1e-12


@given(st.lists(st.tuples(st.floats(0, 2, width=16), st.floats(0, 2, width=16)), min_size=1))
def test_correlation_agrees_with_numpy(windows: list[tuple[float, float]]) -> None:
    ours, theirs = zip(*windows, strict=True)
    found = track_correlation(ours, theirs)
    if len(set(ours)) == 1 or len(set(theirs)) == 1:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(ours, theirs)[0, 1], abs=1e-9)


def test_the_hardest_clips(clips: EvaluatedClips, evaluation: Evaluation) -> None:
    false_alarms, misses = worst_mistakes(evaluation, "poor", count=3)
    scores = evaluation.models["poor"].by_score[ClipScore.MEAN].clip_scores
    assert not clips.labels[false_alarms].any()
    assert clips.labels[misses].all()
    assert scores[false_alarms].tolist() == sorted(scores[~clips.labels], reverse=True)[:3]
    assert scores[misses].tolist() == sorted(scores[clips.labels])[:3]


def test_json_is_plain_and_complete(evaluation: Evaluation) -> None:
    document = evaluation.to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["clips"] == {
        "clips": 80,
        "cries": 20,
        "groups": 40,
        "cry_groups": 10,
        "private": False,
        "undeclared": 0,
    }
    assert (document["intervals"]["replicates"], document["intervals"]["seed"]) == (200, 4)
    mean = document["models"]["close"]["clip_scores"]["mean"]
    auc = evaluation.models["close"].by_score[ClipScore.MEAN].metrics["roc_auc"]
    assert mean["metrics"]["roc_auc"]["value"] == float(f"{auc.value:.6g}")
    assert mean["slices"][0]["kind"] == "band"
    assert "recall" in mean["slices"][0]


def test_an_evaluation_repeats_itself(clips: EvaluatedClips) -> None:
    models = [noisy_model("teacher", clips, noise=0.3)]
    first, again, other = (
        evaluate(clips, models, replicates=30, seed=seed).to_json() for seed in (1, 1, 2)
    )
    assert first == again
    assert first["models"] != other["models"]


def test_one_private_clip_marks_the_evaluation() -> None:
    listed = [clip(n, cry=n < 3) for n in range(8)]
    listed[5] = replace(listed[5], private=True)
    clips = EvaluatedClips.from_clips(listed)
    judged = evaluate(clips, [noisy_model("teacher", clips, noise=0.1)], replicates=5)
    assert judged.to_json()["clips"]["private"] is True


def test_unfit_clips_are_refused() -> None:
    good = clip(1, cry=True)
    with pytest.raises(CorpusError, match="no clips"):
        EvaluatedClips.from_clips([])
    with pytest.raises(CorpusError, match="clip 1: unlabelled"):
        EvaluatedClips.from_clips([replace(good, label=Label.UNLABELLED)])
    with pytest.raises(CorpusError, match="clip 1: two clips"):
        EvaluatedClips.from_clips([good, good])


def test_unfit_models_are_refused(clips: EvaluatedClips) -> None:
    good = noisy_model("teacher", clips, noise=0.1)
    tracks = list(good.windows)
    for windows, message in (
        (tracks[1:], "student: scores of 79 clips for 80"),
        ([np.array([]), *tracks[1:]], "no window of clip clip 0"),
        ([np.array([0.1, np.nan]), *tracks[1:]], "a score of clip clip 0 is NaN"),
        ([tracks[0][1:], *tracks[1:]], "7 window scores for clip clip 0, teacher has 8"),
    ):
        with pytest.raises(ModelError, match=message):
            evaluate(clips, [good, ModelScores("student", windows)], replicates=1)
    with pytest.raises(ModelError, match="KL of 1 clips for 80"):
        evaluate(clips, [good, ModelScores("student", tracks, kl=[0.1])], replicates=1)


def test_contradicting_arguments_are_refused(clips: EvaluatedClips) -> None:
    good = noisy_model("teacher", clips, noise=0.1)
    with pytest.raises(ConfigError, match="same name"):
        evaluate(clips, [good, good])
    with pytest.raises(ConfigError, match="oracle: not one of the models"):
        evaluate(clips, [good], reference="oracle")
    with pytest.raises(ConfigError, match="student: not one of the models"):
        evaluate(clips, [good], thresholds={"student": {"mean": 0.1}})
    with pytest.raises(ConfigError, match="threshold for clip score median"):
        evaluate(clips, [good], thresholds={"teacher": {"median": 0.1}})


def test_no_threshold_without_cries() -> None:
    clips = EvaluatedClips.from_clips([clip(n, cry=False) for n in range(3)])
    with pytest.raises(CorpusError, match="no threshold"):
        choose_thresholds(clips, [noisy_model("teacher", clips, noise=0.1)])
