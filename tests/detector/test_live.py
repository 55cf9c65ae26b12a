import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tests.detector.sounds import LoudnessScorer, loud, quiet

from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.alert_clips import AlertClips
from crydistill.detector.live import Listener, LiveEvent, LiveState, display, listen
from crydistill.detector.sources import SourceLost, pcm_blocks
from crydistill.detector.vote import VoteSettings, alerts, window_end_seconds

VOTE = VoteSettings(threshold=0.5, n=3, m=5, hold_seconds=2.0)
NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def listener(scorer: LoudnessScorer, clips: AlertClips | None = None) -> Listener:
    return Listener(scorer, VOTE, clips=clips, clock=lambda: NOON)


def heard(blocks: list[Samples]) -> tuple[list[LiveEvent], LoudnessScorer]:
    scorer = LoudnessScorer()
    events: list[LiveEvent] = []
    listen(lambda: iter(blocks), listener(scorer), emit=events.append)
    return events, scorer


def expected(scores: np.ndarray, vote: VoteSettings = VOTE) -> list[tuple[str, float, float]]:
    """Kind, time and onset of the events that the vectorised detector finds."""
    found = []
    for alert in alerts(scores, vote):
        found.append(("on", alert.raised_at, alert.onset))
        if alert.ended_at is not None:
            found.append(("off", alert.ended_at, alert.onset))
    return found


def plain(events: list[LiveEvent]) -> list[tuple[str, float, float]]:
    return [(event.kind.value, event.at, event.onset) for event in events]


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.1, 6)), max_size=8),
    st.lists(st.integers(1, 40_000), min_size=1, max_size=5),
)
def test_events_are_those_of_the_whole_recording(
    parts: list[tuple[bool, float]], sizes: list[int]
) -> None:
    sound = np.concatenate([quiet(1), *(loud(s) if on else quiet(s) for on, s in parts)])
    blocks, start, number = [], 0, 0
    while start < len(sound):
        size = sizes[number % len(sizes)] + 500
        blocks.append(sound[start : start + size])
        start, number = start + size, number + 1
    events, scorer = heard(blocks)
    assert plain(events) == expected(scorer.scores)


def test_state_follows_the_sound() -> None:
    live = listener(LoudnessScorer())
    assert live.state.votes == 0 and np.isnan(live.state.score)
    live.push(loud(3))
    assert live.state.on and live.state.votes == 5 and live.state.alerts == 1
    assert live.state.level == pytest.approx(-9, abs=0.1)
    assert live.state.seconds == 3.0 and live.state.score == 1.0
    live.push(quiet(6))
    assert not live.state.on and live.state.level == -120


def test_events_are_json() -> None:
    events, _ = heard([quiet(1), loud(4), quiet(6)])
    on, off = (json.loads(json.dumps(event.to_json())) for event in events)
    assert (on["event"], off["event"]) == ("on", "off")
    assert on["time"] == "2026-01-02T12:00:00+00:00"
    assert on["at_s"] > on["onset_s"] == off["onset_s"]
    assert off["score"] == 1.0  # the alert's highest, not that of the quiet window that ended it


def test_time_without_sound_ends_an_alert_and_keeps_the_clock() -> None:
    live = listener(LoudnessScorer())
    events = [*live.push(loud(4)), *live.gap(100.0), *live.push(loud(4))]
    assert [event.kind.value for event in events] == ["on", "off", "on"]
    assert events[1].at < 4 + 2 + 2
    assert events[2].onset == pytest.approx(104, abs=WINDOW_HOP_SECONDS)
    assert live.state.seconds == pytest.approx(108, abs=WINDOW_HOP_SECONDS)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), max_size=20))
def test_the_clock_does_not_drift_over_many_gaps(times: list[tuple[float, float]]) -> None:
    live, passed = listener(LoudnessScorer()), 0.0
    for sound, gap in times:
        live.push(quiet(sound))
        live.gap(gap)
        passed += int(sound * SAMPLE_RATE) / SAMPLE_RATE + gap
        assert passed - WINDOW_HOP_SECONDS - 1e-6 <= live.state.seconds <= passed + 1e-6


class Clock:
    """A clock that only moves when told to, and by sleeping."""

    def __init__(self) -> None:
        self.time = 0.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds


def test_a_lost_source_is_opened_again_until_it_works() -> None:
    clock, scorer = Clock(), LoudnessScorer()
    attempts, events, said = 0, list[LiveEvent](), list[str]()

    def source() -> Iterator[Samples]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            for _ in range(8):
                clock.time += 0.5
                yield loud(0.5)
            raise SourceLost("the microphone gave no sound")
        if attempts < 8:
            raise SourceLost("no such microphone")
        for _ in range(8):
            clock.time += 0.5
            yield loud(0.5)

    live = listener(scorer)
    listen(source, live, emit=events.append, say=said.append, now=clock.now, sleep=clock.sleep)
    assert clock.pauses == [1, 2, 4, 8, 16, 30, 30]
    assert said == [
        "the microphone gave no sound; retrying until it works",
        "audio is back",
    ]
    assert [event.kind.value for event in events] == ["on", "off", "on"]
    assert live.state.seconds == pytest.approx(clock.time, abs=1.0)
    assert events[2].onset == pytest.approx(4 + 91, abs=1.0)


def test_other_errors_are_not_swallowed() -> None:
    def source() -> Iterator[Samples]:
        yield quiet(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        listen(source, listener(LoudnessScorer()), emit=lambda event: None)


def test_clips_hold_the_sound_around_alerts(tmp_path: Path) -> None:
    clips = AlertClips(tmp_path / "clips", before=2, after=1, longest=30)
    live = listener(LoudnessScorer(), clips)
    blocks = [quiet(20), loud(5), quiet(10), loud(3)]
    listen(lambda: iter(blocks), live, emit=lambda event: None)
    first, second = sorted((tmp_path / "clips").iterdir(), key=lambda path: len(path.name))
    sound, _ = soundfile.read(first)
    onset = np.flatnonzero(np.abs(sound) > 0.01)[0] / SAMPLE_RATE
    assert onset == pytest.approx(2.0, abs=0.96)
    assert np.abs(soundfile.read(second)[0]).max() > 0.4  # the end of the sound closes it


def test_a_folder_that_cannot_be_written_does_not_end_the_listening(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("a file where the folder should be")
    said: list[str] = []
    clips = AlertClips(tmp_path / "clips", before=0, after=0, longest=5)
    live = Listener(LoudnessScorer(), VOTE, clips=clips, say=said.append)
    live.push(loud(4))
    live.push(quiet(10))
    assert live.state.alerts == 1
    assert len(said) == 1 and "a clip was not saved" in said[0]


def test_the_display_is_drawn() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(display(LiveState(VOTE)))
    console.print(display(LiveState(VOTE, 3725.0, -20.0, 0.75, 4, True, 2)))
    text = console.export_text()
    assert "listening for 1:02:05" in text and "4 of 5" in text
    assert "quiet" in text and "crying" in text and "0.75" in text


class Night(io.BytesIO):
    """Raw PCM of a night, made while it is read: now and then some seconds are loud."""

    def __init__(self, hours: float) -> None:
        super().__init__()
        self._left = int(hours * 3600)
        self._rng = np.random.default_rng(7)
        self._loud = (loud(1) * 32_767).astype("<i2").tobytes()
        self._run = 0

    def read1(self, size: int | None = -1, /) -> bytes:
        if self._left == 0:
            return b""
        self._left -= 1
        self._run = max(0, self._run - 1)
        if self._rng.random() < 0.01:
            self._run = int(self._rng.integers(1, 8))
        return self._loud if self._run else bytes(2 * SAMPLE_RATE)


@pytest.mark.parametrize("hours", [0.25, pytest.param(12.0, marks=pytest.mark.slow)])
def test_a_night_stays_small_and_loses_no_event(hours: float, tmp_path: Path) -> None:
    scorer, events = LoudnessScorer(), list[LiveEvent]()
    clips = AlertClips(tmp_path, before=5, after=1, longest=20)
    live = listener(scorer, clips)
    tracemalloc.start()
    listen(lambda: pcm_blocks(Night(hours)), live, emit=events.append)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6
    windows = int((hours * 3600 - 0.975) / WINDOW_HOP_SECONDS) + 1
    assert len(scorer.scores) == windows
    assert plain(events) == expected(scorer.scores)
    assert len(events) > 8 * hours
    raised = sum(event.kind.value == "on" for event in events)
    assert clips.saved == raised == len(list(tmp_path.iterdir()))
    assert events[-1].at <= window_end_seconds(windows - 1)
