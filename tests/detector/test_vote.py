import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.detector.golden_vote import GOLDEN, Case, cases, float_of, parse, render
from tests.detector.reference_vote import Step, reference_vote

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.vote import (
    MAX_M,
    WINDOW_HOP_MILLISECONDS,
    Alert,
    Event,
    EventKind,
    Vote,
    VoteSettings,
    alerts,
    vote_statistic,
    vote_track,
)
from crydistill.errors import ConfigError

RELAXED = settings(max_examples=300)  # shared machines stall

NAN = math.nan


@st.composite
def settings_strategy(draw: st.DrawFn) -> VoteSettings:
    m = draw(st.integers(1, 12) | st.just(MAX_M))
    return VoteSettings(
        threshold=draw(st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.5])),
        n=draw(st.integers(1, m)),
        m=m,
        hold_seconds=draw(st.sampled_from([0, 0.2, 0.48, 0.481, 0.96, 1.5, 4.8, 10])),
    )


def score_lists() -> st.SearchStrategy[list[float]]:
    """Scores that often lie at the thresholds above, in runs long enough to raise and release."""
    score = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, NAN]) | st.floats(0, 2, width=32)
    runs = st.tuples(score, st.integers(1, 15)).map(lambda run: [run[0]] * run[1])
    return st.lists(runs | score.map(lambda one: [one]), max_size=30).map(
        lambda parts: [score for part in parts for score in part]
    )


def streamed(scores: Sequence[float], settings: VoteSettings) -> list[Step]:
    vote = Vote.of(settings)
    steps = []
    for window, score in enumerate(scores):
        event = vote.push(score)
        assert event is None or event.window == window
        steps.append(
            Step("-", -1, vote.on)
            if event is None
            else Step(event.kind.value, event.onset, vote.on)
        )
    return steps


def expected(scores: Sequence[float], settings: VoteSettings) -> list[Step]:
    hold_ms = round(settings.hold_seconds * 1000)
    return reference_vote(list(scores), settings.threshold, settings.n, settings.m, hold_ms)


def alerts_of(steps: list[Step]) -> list[Alert]:
    found: list[Alert] = []
    for window, step in enumerate(steps):
        if step.event == "on":
            found.append(Alert(step.onset, window, None))
        elif step.event == "off":
            found[-1] = Alert(found[-1].onset_window, found[-1].start_window, window)
    return found


@RELAXED
@given(score_lists(), settings_strategy())
def test_streaming_equals_the_reference(scores: list[float], settings: VoteSettings) -> None:
    assert streamed(scores, settings) == expected(scores, settings)


@RELAXED
@given(score_lists(), settings_strategy())
def test_the_vectorised_track_equals_the_reference(
    scores: list[float], settings: VoteSettings
) -> None:
    track = vote_track(scores, settings)
    assert track.dtype == np.bool_
    assert track.tolist() == [step.on for step in expected(scores, settings)]


@RELAXED
@given(score_lists(), settings_strategy())
def test_the_vectorised_alerts_equal_the_reference(
    scores: list[float], settings: VoteSettings
) -> None:
    assert alerts(scores, settings) == alerts_of(expected(scores, settings))


@RELAXED
@given(score_lists().filter(bool), settings_strategy())
def test_the_statistic_is_the_highest_threshold_that_raises(
    scores: list[float], settings: VoteSettings
) -> None:
    statistic = vote_statistic(scores, settings.n, settings.m)
    vote = Vote.of(settings)
    for window, score in enumerate(scores):
        vote.push(score)
        reached = bool(statistic[window] >= np.float32(settings.threshold))
        assert reached == (vote.votes >= settings.n)


def test_golden_file_is_what_the_generator_writes() -> None:
    assert GOLDEN.read_text(encoding="ascii") == render()
    assert parse(render()) == list(cases())


@pytest.mark.parametrize("case", parse(GOLDEN.read_text(encoding="ascii")), ids=lambda c: c.name)
def test_golden_vectors(case: Case) -> None:
    settings = VoteSettings(
        threshold=float_of(case.threshold_bits),
        n=case.n,
        m=case.m,
        hold_seconds=case.hold_ms / 1000,
    )
    scores = np.array(case.score_bits, dtype=np.uint32).view(np.float32)
    steps = streamed(scores.tolist(), settings)
    assert [(step.event, step.onset) for step in steps] == list(case.events)
    assert vote_track(scores, settings).tolist() == [step.on for step in steps]


def test_golden_cases_raise_and_release() -> None:
    events = [event for case in cases() for event, _ in case.events]
    assert events.count("on") > 20
    assert events.count("off") > 10


def test_a_night_by_hand() -> None:
    scores = [0.0] * 4 + [0.9] * 5 + [0.0] * 30
    found = alerts(scores, VoteSettings(threshold=0.5, hold_seconds=10))
    assert found == [Alert(onset_window=4, start_window=8, end_window=29)]
    assert found[0].onset == pytest.approx(1.92)
    assert found[0].raised_at == pytest.approx(8 * 0.48 + 0.975)
    assert found[0].ended_at == pytest.approx(29 * 0.48 + 0.975)
    vote = Vote(0.5, hold_seconds=10)
    events = [event for score in scores if (event := vote.push(score))]
    assert events == [Event(EventKind.ON, 8, 4), Event(EventKind.OFF, 29, 4)]


def test_an_alert_that_lasts_has_no_end() -> None:
    (alert,) = alerts([1.0] * 9, VoteSettings(threshold=0.5))
    assert alert.end_window is None
    assert alert.ended_at is None


def test_no_scores_no_alerts() -> None:
    settings = VoteSettings(threshold=0.5)
    assert alerts([], settings) == []
    assert vote_track([], settings).shape == (0,)
    assert vote_statistic([], 5, 9).shape == (0,)


def test_comparison_is_float32() -> None:
    # As a double, float32(0.1) lies above 0.1; rounded to float32, the two are equal.
    just_below = float(np.nextafter(np.float32(0.1), np.float32(0)))
    settings = VoteSettings(threshold=0.1, n=1, m=1)
    assert (
        vote_track([0.1, float(np.float32(0.1)), just_below], settings).tolist()[:2] == [True] * 2
    )
    assert Vote(0.1, 1, 1).push(just_below) is None
    assert Vote(float(np.float32(0.1)), 1, 1).push(0.1) is not None


@pytest.mark.parametrize(
    ("seconds", "windows"),
    [(0, 1), (0.48, 1), (0.4804, 1), (0.481, 2), (0.96, 2), (4.8, 10), (10, 21), (86_400, 180_000)],
)
def test_hold_in_windows(seconds: float, windows: int) -> None:
    assert VoteSettings(threshold=0.1, hold_seconds=seconds).hold_windows == windows


def test_hop_in_milliseconds_is_the_grids_hop() -> None:
    assert WINDOW_HOP_MILLISECONDS == WINDOW_HOP_SECONDS * 1000


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"threshold": -0.1}, "threshold"),
        ({"threshold": math.nan}, "threshold"),
        ({"threshold": math.inf}, "threshold"),
        ({"threshold": 1e39}, "threshold"),
        ({"n": 0}, "n, m"),
        ({"n": 6, "m": 5}, "n, m"),
        ({"m": MAX_M + 1}, "n, m"),
        ({"hold_seconds": -1}, "hold_seconds"),
        ({"hold_seconds": math.nan}, "hold_seconds"),
        ({"hold_seconds": 86_401}, "hold_seconds"),
    ],
)
def test_values_out_of_range(wrong: dict[str, Any], named: str) -> None:
    values = {"threshold": 0.5} | wrong
    with pytest.raises(ConfigError, match=f"^{named}: "):
        VoteSettings(**values)
    with pytest.raises(ConfigError, match=f"^{named}: "):
        Vote(**values)


def test_unknown_key() -> None:
    with pytest.raises(ValidationError, match="hold_second"):
        VoteSettings.model_validate({"threshold": 0.5, "hold_second": 3})


def test_a_night_of_eight_hours_takes_milliseconds() -> None:
    scores = np.random.default_rng(0).random(60_000, dtype=np.float32)
    settings = VoteSettings(threshold=0.6)
    alerts(scores, settings)
    start = time.perf_counter()
    alerts(scores, settings)
    assert time.perf_counter() - start < 0.1
