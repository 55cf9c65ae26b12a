import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.detector.vote import VoteSettings, alerts, vote_statistic
from crydistill.nights.alarms import (
    GRACE_SECONDS,
    WINDOWS_PER_HOUR,
    Episode,
    ScoredStream,
    det_curve,
    independent_rate,
    independent_share,
    labelled_episodes,
    measure_nights,
)
from crydistill.nights.spans import Span

RELAXED = settings(max_examples=150)
VOTE = VoteSettings(threshold=0.5, n=2, m=3, hold_seconds=1.0)


@st.composite
def streams(draw: st.DrawFn) -> ScoredStream:
    score = st.sampled_from([0.0, 0.2, 0.5, 0.8])
    runs = draw(st.lists(st.tuples(score, st.integers(1, 12)), min_size=1, max_size=25))
    scores = np.repeat([run[0] for run in runs], [run[1] for run in runs]).astype(np.float32)
    episodes, free_from = [], 0.0
    for number in range(draw(st.integers(0, 3))):
        start = free_from + draw(st.floats(0.1, 10))
        end = start + draw(st.floats(0, 8))
        if end + GRACE_SECONDS > len(scores) * 0.48:
            break
        episodes.append(Episode(start, end, f"group {number}"))
        free_from = end + GRACE_SECONDS
    return ScoredStream(scores, tuple(episodes))


def in_episode(seconds: float, stream: ScoredStream) -> bool:
    return any(e.start <= seconds <= e.end + GRACE_SECONDS for e in stream.episodes)


def window_end(window: int) -> float:
    return window * 0.48 + 0.975


@RELAXED
@given(st.lists(streams(), min_size=1, max_size=3), st.sampled_from([0.1, 0.5, 0.7, 0.9]))
def test_figures_are_those_of_the_definition(night: list[ScoredStream], threshold: float) -> None:
    vote = VOTE.model_copy(update={"threshold": threshold})
    figures = measure_nights(night, vote, replicates=10)
    false, delays, outside = 0, [], 0
    for stream in night:
        found = alerts(stream.scores, vote)
        false += sum(not in_episode(alert.raised_at, stream) for alert in found)
        outside += sum(not in_episode(window_end(w), stream) for w in range(len(stream.scores)))
        for episode in stream.episodes:
            last = episode.end + GRACE_SECONDS
            moments = [
                max(0.0, a.raised_at - episode.start)
                for a in found
                # An alert is on until the window before the one that ends it.
                if a.raised_at <= last
                and (a.end_window is None or window_end(a.end_window - 1) >= episode.start)
            ]
            delays += [min(moments)] if moments else []
    assert figures.false_alarms == false
    assert figures.hours == pytest.approx(outside * 0.48 / 3600)
    assert figures.delays == pytest.approx(tuple(delays))
    assert figures.episodes == sum(len(stream.episodes) for stream in night)
    if figures.episodes:
        assert figures.caught.value == pytest.approx(len(delays) / figures.episodes)
    json.dumps(figures.to_json(), allow_nan=False)


@RELAXED
@given(st.lists(streams(), min_size=1, max_size=3))
def test_the_curve_holds_every_setting(night: list[ScoredStream]) -> None:
    curve = det_curve(night, VOTE)
    assert np.all(np.diff(curve.thresholds) < 0)
    worst = 0.0
    for threshold, per_hour, missed in zip(
        curve.thresholds[1:], curve.per_hour[1:], curve.missed[1:], strict=True
    ):
        if threshold < 0:
            continue
        vote = VOTE.model_copy(update={"threshold": float(threshold)})
        figures = measure_nights(night, vote, replicates=10)
        if figures.hours:
            worst = max(worst, figures.per_hour.value)
            assert per_hour == pytest.approx(worst)
        if figures.episodes:
            assert missed == pytest.approx(1 - figures.caught.value)
    if curve.missed.size and not np.isnan(curve.missed).any():
        assert np.all(np.diff(curve.missed) <= 0) and curve.missed[0] == 1
    json.dumps(curve.to_json(), allow_nan=False)


def test_the_curve_is_read_at_a_rate() -> None:
    scores = np.full(7_500, 0.1, dtype=np.float32)
    for start, height in ((1000, 0.9), (2000, 0.8), (3000, 0.7), (4000, 0.6)):
        scores[start : start + 20] = height
    crying = Episode(3000 * 0.48, 3015 * 0.48, "a")
    curve = det_curve([ScoredStream(scores, (crying,))], VOTE)
    threshold, missed = curve.at(1.5)
    assert threshold == np.float32(0.9) and missed == 1.0  # the next false alarm is one too many
    threshold, missed = curve.at(2.5)
    assert threshold == np.float32(0.7) and missed == 0.0
    assert curve.at(0.0) == (math.inf, 1.0)


@RELAXED
@given(st.lists(streams(), min_size=1, max_size=3))
def test_corners_are_the_points_no_other_beats(night: list[ScoredStream]) -> None:
    curve = det_curve(night, VOTE)
    corners = curve.corners()
    points = set(zip(corners.thresholds, corners.per_hour, strict=True))
    assert points <= set(zip(curve.thresholds, curve.per_hour, strict=True))
    if np.isnan(curve.missed).any():
        assert set(corners.per_hour[~np.isnan(corners.per_hour)]) == set(
            curve.per_hour[~np.isnan(curve.per_hour)]
        )
        return
    assert np.all(np.diff(corners.missed) < 0)
    for per_hour, missed in zip(curve.per_hour, curve.missed, strict=True):
        as_good = (corners.missed <= missed) & ~(corners.per_hour > per_hour)
        assert as_good.any()


def test_an_alert_that_never_ends_catches_all_and_shows_in_its_time() -> None:
    stream = ScoredStream(np.ones(500, np.float32), (Episode(100.0, 110.0, "a"),))
    figures = measure_nights([stream], VOTE)
    assert figures.caught.value == 1 and figures.delays == (0.0,)
    assert figures.false_alarms == 1 and figures.time_in_alert > 0.99


def test_the_delay_runs_from_onset_to_the_end_of_the_raising_window() -> None:
    scores = np.zeros(500, np.float32)
    scores[100:110] = 1.0
    stream = ScoredStream(scores, (Episode(48.0, 55.0, "a"),))
    assert measure_nights([stream], VOTE).delays == pytest.approx((0.48 + 0.975,))


def test_shares_have_intervals_by_group() -> None:
    scores = np.zeros(3_000, np.float32)
    episodes = []
    for number in range(20):
        start = 100 + number * 100
        episodes.append(Episode(start * 0.48, (start + 20) * 0.48, f"child {number // 2}"))
        scores[start : start + 20] = 1.0 if number // 2 % 2 else 0.0
    caught = measure_nights([ScoredStream(scores, tuple(episodes))], VOTE).caught
    assert caught.value == 0.5
    assert 0.1 < caught.low < 0.35 and 0.65 < caught.high < 0.9
    one_child = tuple(Episode(e.start, e.end, "one") for e in episodes)
    assert math.isnan(measure_nights([ScoredStream(scores, one_child)], VOTE).caught.low)


def test_no_cry_at_all_is_a_stream_too() -> None:
    figures = measure_nights([ScoredStream(np.zeros(7_500, np.float32))], VOTE)
    assert (figures.false_alarms, figures.per_hour.low) == (0, 0.0)
    assert figures.per_hour.high == pytest.approx(3.689, abs=1e-3)
    assert figures.per_night.high == pytest.approx(8 * 3.689, abs=1e-2)
    assert math.isnan(figures.caught.value) and math.isnan(figures.median_delay)


@pytest.mark.parametrize(("share", "n", "m"), [(0.2, 5, 9), (0.5, 2, 3), (0.3, 3, 3), (0.1, 1, 4)])
def test_the_formula_holds_where_windows_are_independent(share: float, n: int, m: int) -> None:
    votes = (np.random.default_rng(0).random(400_000) < share).astype(np.float32)
    enough = vote_statistic(votes, n, m) >= 0.5
    assert independent_share(share, n, m) == pytest.approx(float(enough.mean()), rel=0.1)
    risen = float((enough[1:] & ~enough[:-1]).mean()) * WINDOWS_PER_HOUR
    assert independent_rate(share, n, m) == pytest.approx(risen, rel=0.1)


def test_the_systems_example_of_the_formula() -> None:
    assert independent_share(0.227, 5, 9) == pytest.approx(0.033, abs=5e-4)


@pytest.mark.parametrize(
    "episodes",
    [
        (Episode(5.0, 4.0, "a"),),
        (Episode(5.0, 10.0, "a"), Episode(14.0, 15.0, "b")),
        (Episode(500.0, 510.0, "a"),),
    ],
)
def test_impossible_episodes_are_refused(episodes: tuple[Episode, ...]) -> None:
    with pytest.raises(ValueError):
        ScoredStream(np.zeros(100, np.float32), episodes)


def test_labels_become_episodes_that_a_stream_takes() -> None:
    spans = [Span(40, 42), Span(10, 12, "Baby crying"), Span(16, 20), Span(30, 31, "cat")]
    episodes = labelled_episodes(spans, group="home")
    assert episodes == (Episode(10, 20, "home"), Episode(40, 42, "home"))
    ScoredStream(np.zeros(200, np.float32), episodes)
