import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.detector.levels import alert_levels, joined, on_levels
from crydistill.detector.vote import VoteSettings, alerts, vote_track

RELAXED = settings(max_examples=300)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, VoteSettings]:
    m = draw(st.integers(1, 10))
    vote = VoteSettings(
        threshold=0.0,
        n=draw(st.integers(1, m)),
        m=m,
        hold_seconds=draw(st.sampled_from([0, 0.5, 1, 2, 5, 60])),
    )
    score = st.sampled_from([0.0, 0.1, 0.2, 0.3, float("nan")]) | st.floats(0, 1, width=32)
    return np.array(draw(st.lists(score, max_size=80)), dtype=np.float32), vote


def at(threshold: float, vote: VoteSettings) -> VoteSettings:
    return vote.model_copy(update={"threshold": threshold})


@RELAXED
@given(cases(), st.floats(0, 1, width=32))
def test_levels_are_the_alerts_of_every_threshold(
    case: tuple[np.ndarray, VoteSettings], other: float
) -> None:
    scores, vote = case
    levels = alert_levels(scores, vote)
    for threshold in [other, *np.unique(scores[~np.isnan(scores)]).tolist()]:
        found = alerts(scores, at(threshold, vote))
        raised = (levels.above < np.float32(threshold)) & (np.float32(threshold) <= levels.upto)
        assert levels.window[raised].tolist() == [alert.start_window for alert in found]
        assert int(levels.counts(threshold)) == len(found)


@RELAXED
@given(cases(), st.floats(0, 1, width=32))
def test_the_alert_is_on_up_to_its_level(
    case: tuple[np.ndarray, VoteSettings], threshold: float
) -> None:
    scores, vote = case
    on = on_levels(scores, vote) >= np.float32(threshold)
    assert on.tolist() == vote_track(scores, at(threshold, vote)).tolist()


@RELAXED
@given(cases(), st.floats(0, 1, width=32))
def test_the_number_of_alerts_rises_at_the_falling_levels_only(
    case: tuple[np.ndarray, VoteSettings], threshold: float
) -> None:
    scores, vote = case
    levels = alert_levels(scores, vote)
    thresholds, counts = levels.falling()
    higher = counts[thresholds >= np.float32(threshold)]
    assert len(alerts(scores, at(threshold, vote))) <= (higher.max() if len(higher) else 0)
    if len(higher):
        nearest = float(thresholds[thresholds >= np.float32(threshold)].min())
        assert len(alerts(scores, at(threshold, vote))) <= len(alerts(scores, at(nearest, vote)))


def test_recordings_are_counted_apart() -> None:
    vote = VoteSettings(threshold=0.0, n=1, m=1)
    one = alert_levels([0.5], vote)
    both = joined([one, one])
    assert both.counts([0.5, 0.6]).tolist() == [2, 0]
    assert joined([]).counts(0.5) == 0


@pytest.mark.parametrize("n", [1, 5])
def test_a_night_takes_no_time(n: int) -> None:
    scores = np.random.default_rng(0).random(60_000).astype(np.float32)
    before = time.process_time()
    alert_levels(scores, VoteSettings(threshold=0.0, n=n, m=9)).falling()
    assert time.process_time() - before < 2
