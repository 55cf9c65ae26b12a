import json
from typing import Any

import pytest
from tests.detector.sounds import LoudnessScorer, loud, quiet

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.controls import Controls
from crydistill.detector.live import Listener
from crydistill.detector.operating_point import OperatingPoint
from crydistill.detector.vote import WINDOW_SECONDS, VoteSettings
from crydistill.errors import ConfigError

SENSITIVE, QUIET = VoteSettings(threshold=0.25), VoteSettings(threshold=0.75, n=7)
PRESETS = {"sensitive": SENSITIVE, "quiet": QUIET}
ROOM = VoteSettings(threshold=0.6, n=3, m=4, hold_seconds=2.0)


def controls(
    start: VoteSettings = SENSITIVE, student: str = "one", applied: list[VoteSettings] | None = None
) -> Controls:
    changes = [] if applied is None else applied
    return Controls(
        start,
        PRESETS,
        student=student,
        reachable=0.99,
        apply=lambda vote, name: changes.append(vote),
    )


def kept(changed: Controls) -> Any:
    return json.loads(json.dumps(changed.to_json()))


def test_presets_and_thresholds_are_applied_and_named() -> None:
    applied: list[VoteSettings] = []
    changing = controls(applied=applied)
    assert (changing.name, changing.options) == ("sensitive", ("sensitive", "quiet", "custom"))
    changing.choose("quiet")
    assert changing.name == "quiet"
    changing.set_threshold("0.5")
    assert changing.name == "custom"
    assert applied == [QUIET, VoteSettings(threshold=0.5, n=7)]
    changing.choose("custom")
    changing.set_threshold("0.75")
    assert changing.name == "quiet" and changing.vote == QUIET


def test_the_settings_of_the_command_line_can_be_had_back() -> None:
    changing = controls(ROOM)
    assert changing.options == ("sensitive", "quiet", "as started", "custom")
    assert changing.name == "as started"
    changing.choose("quiet")
    changing.choose("as started")
    assert changing.vote == ROOM


@pytest.mark.parametrize(
    "text", ["", "a", "0", "1", "1.5", "0.995", "-0.1", "nan", "inf", "0,5", "1e-500"]
)
def test_a_threshold_that_votes_always_or_never_is_refused(text: str) -> None:
    applied: list[VoteSettings] = []
    changing = controls(applied=applied)
    with pytest.raises(ConfigError, match=r"must be a number above 0, at most 0\.99"):
        changing.set_threshold(text)
    assert applied == [] and changing.vote == SENSITIVE


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"preset 'loud': choose sensitive, quiet$"):
        controls().choose("loud")


def test_a_restart_takes_up_a_change() -> None:
    before = controls()
    before.set_threshold("0.4")
    applied: list[VoteSettings] = []
    after = controls(applied=applied)
    assert after.take_up(kept(before))
    assert applied == [VoteSettings(threshold=0.4)] and after.name == "custom"
    assert not after.take_up(kept(before))  # it is in force


def test_a_change_does_not_outlive_other_options_or_another_student() -> None:
    before = controls()
    before.choose("quiet")
    for after in (controls(ROOM), controls(student="two")):
        assert not after.take_up(kept(before))
    assert controls().take_up(kept(before))


@pytest.mark.parametrize("change", [{"threshold": -1}, {"n": 99}, {"m": "x"}, {"more": 1}])
def test_what_holds_no_settings_is_left_alone(change: dict[str, Any]) -> None:
    before = controls()
    before.choose("quiet")
    after = controls()
    for content in (kept(before) | change, kept(before) | {"started_with": 3}, None, [], "x"):
        assert not after.take_up(content)
    assert after.vote == SENSITIVE


def test_a_running_listener_changes_at_its_next_window() -> None:
    scorer = LoudnessScorer()
    deaf = VoteSettings(threshold=1.5, n=3, m=5, hold_seconds=2.0)
    listener = Listener(scorer, deaf)
    assert listener.push(loud(5)) == []
    listener.apply_settings(ROOM, "room")
    assert listener.state.settings == deaf
    events = listener.push(loud(5))
    assert [event.kind.value for event in events] == ["on"]
    # Windows that had not voted did not vote in retrospect: three more were needed.
    assert events[0].at - events[0].onset == pytest.approx(2 * WINDOW_HOP_SECONDS + WINDOW_SECONDS)
    assert events[0].onset > 4
    assert listener.state.settings == ROOM


def test_an_alert_survives_a_change_and_ends_by_the_new_settings() -> None:
    listener = Listener(LoudnessScorer(), VoteSettings(threshold=0.5, n=3, m=5, hold_seconds=60.0))
    assert [event.kind.value for event in listener.push(loud(5))] == ["on"]
    listener.apply_settings(ROOM, "room")
    assert listener.push(loud(2)) == []
    (off,) = listener.push(quiet(8))
    assert off.kind.value == "off" and 8.5 < off.at < 11


def test_events_after_a_change_name_the_new_operating_point() -> None:
    start = VoteSettings(threshold=0.5, n=3, m=5, hold_seconds=2.0)
    point = OperatingPoint("demo", "0" * 64, start, "settings", "room.json")
    listener = Listener(LoudnessScorer(), start, point=point)
    (first,) = listener.push(loud(5))
    assert first.to_json()["operating_point"]["settings"] == "room.json"
    listener.apply_settings(ROOM, "quiet")
    (off,) = listener.push(quiet(8))
    assert off.to_json()["operating_point"] == {
        "preset": "quiet", "threshold": 0.6, "n": 3, "m": 4, "hold_s": 2.0,
    }  # fmt: skip
    listener.apply_settings(start, "as started")
    (on,) = listener.push(loud(5))
    assert on.to_json()["operating_point"]["settings"] == "room.json"
