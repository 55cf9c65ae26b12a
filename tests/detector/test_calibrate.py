from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from crydistill.detector.calibrate import (
    MARGIN,
    REACH,
    calibrate,
    calibrate_max_margin,
    check_cries,
    highest_score,
)
from crydistill.detector.calibrated import Method, RoomCalibration
from crydistill.detector.vote import VoteSettings, alerts, vote_statistic
from crydistill.errors import ConfigError

RELAXED = settings(max_examples=150)
VOTE = VoteSettings(threshold=0.0)
FLOOR = -4.0

Track = npt.NDArray[np.float32]


def room(rng: np.random.Generator, hours: float, per_hour: float, mean: float = 1.2) -> Track:
    """Low noise, and sounds of 7 s whose height over FLOOR is exponential on the logit scale."""
    windows = int(hours * 3600 / 0.48)
    height = rng.normal(-7.0, 0.3, windows)
    for start in rng.integers(0, windows, rng.poisson(per_hour * hours)):
        stop = start + 15
        height[start:stop] = np.maximum(height[start:stop], FLOOR + rng.exponential(mean))
    return np.asarray(expit(height), dtype=np.float32)


def hushed_room(rng: np.random.Generator, hours: float, per_hour: float) -> Track:
    """The same as a student with memory hears it: of most that sounds, next to nothing."""
    track = room(rng, hours, per_hour)
    nothing = np.full(len(track), -30.0)
    for start in range(0, len(track), 30):
        nothing[start : start + 12] = rng.uniform(-28, -17)
    return np.where(track > expit(FLOOR), track, expit(nothing)).astype(np.float32)


def true_rate(threshold: float, per_hour: float, mean: float = 1.2) -> float:
    """Alerts per night of 8 h that `room` raises in the long run."""
    return 8 * per_hour * float(np.exp(-max(0.0, float(logit(threshold)) - FLOOR) / mean))


def found(tracks: list[Track], wanted: float, vote: VoteSettings = VOTE) -> RoomCalibration:
    return calibrate(tracks, vote, wanted_per_night=wanted, highest=1.0)


@st.composite
def rooms(draw: st.DrawFn) -> tuple[list[Track], VoteSettings]:
    m = draw(st.integers(1, 9))
    vote = VoteSettings(
        threshold=0.0,
        n=draw(st.integers(1, m)),
        m=m,
        hold_seconds=draw(st.sampled_from([0.0, 2.0, 10.0])),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    per_hour = draw(st.sampled_from([5.0, 60.0, 400.0]))
    tracks = [room(rng, draw(st.sampled_from([0.02, 0.2, 1.0])), per_hour) for _ in range(2)]
    if draw(st.booleans()):  # an int8 student's few distinct scores
        tracks = [(np.round(track * 64) / 64).astype(np.float32) for track in tracks]
    return tracks, vote


@RELAXED
@given(rooms(), st.lists(st.floats(0.01, 1000), min_size=2, max_size=5))
def test_a_higher_rate_never_asks_for_a_higher_threshold(
    case: tuple[list[Track], VoteSettings], rates: list[float]
) -> None:
    tracks, vote = case
    thresholds = [found(tracks, rate, vote).vote.threshold for rate in sorted(rates)]
    assert thresholds == sorted(thresholds, reverse=True)


@RELAXED
@given(rooms(), st.floats(0.01, 1000))
def test_the_recording_itself_stays_below_the_rate(
    case: tuple[list[Track], VoteSettings], wanted: float
) -> None:
    tracks, vote = case
    result = found(tracks, wanted, vote)
    raised = sum(len(alerts(track, result.vote)) for track in tracks)
    assert raised == result.alerts
    assert result.capped or raised / result.hours * 8 <= wanted * (1 + 1e-9)
    assert result.vote.threshold <= np.float32(REACH)
    assert result == found(tracks, wanted, vote)


@cache
def calibrations(
    hours: float, wanted: float, per_hour: float, record: Callable[..., Track] = room
) -> tuple[tuple[RoomCalibration, float], ...]:
    """Calibrations on 60 recordings of one room, and the true alert rate at each threshold."""
    rng = np.random.default_rng(5)
    results = [found([record(rng, hours, per_hour)], wanted) for _ in range(60)]
    return tuple((one, true_rate(one.vote.threshold, per_hour)) for one in results)


@pytest.mark.parametrize(
    ("hours", "wanted", "per_hour", "method"),
    [
        (1 / 6, 1.0, 120.0, Method.TAIL),
        (1.0, 1.0, 16.0, Method.TAIL),
        (1.0, 1.0, 40.0, Method.TAIL),
        (4.0, 1.0, 40.0, Method.TAIL),
        (4.0, 4.0, 40.0, Method.COUNTED),
        (1.0, 60.0, 40.0, Method.COUNTED),
    ],
)
@pytest.mark.parametrize("record", [room, hushed_room])
def test_the_interval_holds_the_true_rate(
    hours: float, wanted: float, per_hour: float, method: Method, record: Callable[..., Track]
) -> None:
    results = calibrations(hours, wanted, per_hour, record)
    assert {one.method for one, _ in results} == {method}
    ranges = [(one.expected_per_night, rate) for one, rate in results if one.expected_per_night]
    assert len(ranges) == len(results)
    inside = [(one.low or 0) <= rate <= (one.high or 0) for one, rate in ranges]
    assert np.mean(inside) >= 0.9
    # The estimate is unbiased, not merely somewhere inside a wide interval.
    ratio = np.median([rate / one.value for one, rate in ranges])
    assert 0.5 < ratio < 2.0


def test_longer_recordings_promise_more_exactly() -> None:
    def spread(hours: float) -> float:
        results = calibrations(hours, 1.0, 40.0)
        return float(np.std([np.log(rate) for _, rate in results]))

    assert spread(4.0) < spread(1.0)


def test_the_count_is_of_alerts_and_the_threshold_just_above_the_next() -> None:
    track = room(np.random.default_rng(0), 8.0, 40.0)
    result = found([track], 3.0)
    assert result.method is Method.COUNTED
    assert result.alerts == 2
    below = np.nextafter(np.float32(result.vote.threshold), np.float32(0))
    lower = result.vote.model_copy(update={"threshold": float(below)})
    assert len(alerts(track, lower)) == 3


def test_two_short_recordings_are_not_joined() -> None:
    # Three votes at the end of one and two at the start of the next do not make five of nine.
    ends, starts = np.full(200, 0.01, np.float32), np.full(200, 0.01, np.float32)
    ends[-3:], starts[:2] = 0.9, 0.9
    assert found([ends, starts], 0.5).vote.threshold < 0.1
    assert found([np.concatenate([ends, starts])], 0.5).vote.threshold > 0.9


def test_scores_above_one_are_calibrated_on_their_own_scale() -> None:
    track = np.float32(2) * room(np.random.default_rng(0), 1.0, 60.0)
    half = found([np.asarray(track / 2, np.float32)], 0.5).vote.threshold
    both = calibrate([track], VOTE, wanted_per_night=0.5, highest=2.0).vote.threshold
    assert both == pytest.approx(2 * half, rel=1e-5)


def test_a_short_recording_is_warned_about_with_the_rule_of_three() -> None:
    short, long = (room(np.random.default_rng(0), hours, 60.0) for hours in (0.5, 8.0))
    (warning,) = found([short], 1.0).warnings
    assert "0.5 h" in warning and "rule out no less than 48" in warning and "record 24 h" in warning
    assert found([long], 3.0).warnings == ()


def test_a_threshold_that_no_cry_reaches_is_warned_about() -> None:
    noisy = room(np.random.default_rng(0), 0.5, 60.0, mean=1.5)
    assert any("few cries reach" in warning for warning in found([noisy], 1.0).warnings)


def saturated(rng: np.random.Generator) -> Track:
    """An hour with twelve sounds as sure as any student can be, and a few lesser ones."""
    track = room(rng, 1.0, 60.0)
    for start in range(300, 7_500, 600):
        track[start : start + 12] = 0.9999
    return track


@pytest.mark.parametrize(
    ("wanted", "method"), [(0.5, Method.TAIL), (16.0, Method.COUNTED), (None, Method.MAX_MARGIN)]
)
def test_no_recording_makes_a_detector_that_cannot_fire(
    wanted: float | None, method: Method
) -> None:
    track = saturated(np.random.default_rng(0))
    result = (
        calibrate_max_margin([track], VOTE, highest=1.0) if wanted is None
        else found([track], wanted)
    )  # fmt: skip
    assert result.method is method
    assert result.capped
    assert result.vote.threshold == np.float32(0.99)
    assert result.alerts == 12
    assert any("capped at 0.990" in warning for warning in result.warnings)
    # It states the rate that follows, not the one that was asked for: 12 alerts an hour.
    assert result.expected_per_night is not None
    assert 60 < result.expected_per_night.value < 140
    assert check_cries([np.full(9, 0.995, np.float32)], result.vote).raised == 1


def test_the_cap_follows_what_the_output_can_give() -> None:
    track = saturated(np.random.default_rng(0))
    half = calibrate([track / 2], VOTE, wanted_per_night=0.5, highest=1.0, reachable=0.5)
    assert half.vote.threshold == np.float32(0.99 * 0.5)
    assert half.capped
    two = calibrate([track * 2], VOTE, wanted_per_night=0.5, highest=2.0, reachable=1.9998)
    assert two.vote.threshold == np.float32(0.99 * 1.9998)


def test_a_threshold_below_the_cap_is_not_called_capped() -> None:
    result = found([room(np.random.default_rng(0), 8.0, 40.0)], 3.0)
    assert not result.capped
    assert not any("capped" in warning for warning in result.warnings)


def test_a_flat_recording_gets_the_reference_recipe_and_a_warning() -> None:
    silence = np.full(1250, 0.004, dtype=np.float32)
    result = found([silence], 1.0)
    assert result.method is Method.MAX_MARGIN
    assert result.vote.threshold == pytest.approx(0.004 + MARGIN)
    assert any("too few to extrapolate" in warning for warning in result.warnings)


def test_a_rate_that_no_threshold_reaches_is_said() -> None:
    result = found([room(np.random.default_rng(0), 0.1, 60.0)], 1e6)
    assert any("never raises more than" in warning for warning in result.warnings)
    assert result.vote.threshold > 0


def test_max_margin_is_the_highest_statistic_plus_margin() -> None:
    track = room(np.random.default_rng(1), 0.5, 60.0)
    result = calibrate_max_margin([track], VOTE, highest=1.0)
    assert result.vote.threshold == pytest.approx(float(vote_statistic(track, 5, 9).max()) + MARGIN)
    assert result.alerts == 0
    assert result.expected_per_night is not None
    assert result.expected_per_night.high == pytest.approx(3.689 * 8 / result.hours, rel=1e-3)


def test_blanked_windows_count_neither_as_alerts_nor_as_time() -> None:
    track = room(np.random.default_rng(3), 2.0, 40.0)
    crying = track.copy()
    crying[5_000:6_000] = np.nan
    result = found([crying], 4.0)
    assert result.alerts == 0
    assert result.hours == pytest.approx(2.0 - 1_000 * 0.48 / 3600, abs=0.001)


def test_the_loudest_stretches_are_named() -> None:
    track = room(np.random.default_rng(2), 1.0, 60.0)
    track[1000:1030] = 0.97
    first, *others = found([track], 0.5).loudest
    assert (first.recording, first.seconds) == (0, 480.0)
    assert first.level == pytest.approx(0.97)
    assert [peak.level for peak in others] == sorted((p.level for p in others), reverse=True)


def test_cries_are_checked_against_the_threshold() -> None:
    loud, soft = np.full(20, 0.8, np.float32), np.full(30, 0.2, np.float32)
    check = check_cries([loud, soft], VoteSettings(threshold=0.5))
    assert (check.recordings, check.raised, check.windows, check.voting) == (2, 1, 50, 20)


@pytest.mark.parametrize("wanted", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_must_be_above_zero(wanted: float) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        found([np.zeros(100, np.float32)], wanted)


@pytest.mark.parametrize("tracks", [[], [np.empty(0, np.float32)], [np.zeros(4, np.float32)]])
def test_a_recording_too_short_to_vote_is_refused(tracks: list[Track]) -> None:
    with pytest.raises(ConfigError, match="record at least ten minutes"):
        found(tracks, 1.0)


def test_highest_score_follows_the_activation() -> None:
    class Manifest:
        cry_outputs = (19, 20)
        activation = "softmax"

    assert highest_score(Manifest()) == 1.0  # type: ignore[arg-type]
    Manifest.activation = "sigmoid"
    assert highest_score(Manifest()) == 2.0  # type: ignore[arg-type]


def test_scores_next_to_zero_are_no_tail() -> None:
    """They differ, but their logits are the lowest there is."""
    track = np.full(1500, 1e-12)
    track[::60] = np.geomspace(1e-11, 1e-9, 25)
    found = calibrate(
        [track], VoteSettings(threshold=0.5, n=1, m=1), wanted_per_night=1.0, highest=1.0
    )
    assert found.method == "max-margin"
    assert found.expected_per_night is not None
