import io
import json
import math
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
from tests.detector.sounds import EachByItself, LoudnessScorer, Remembering, faint, loud, quiet

from crydistill.audio.mel import SAMPLE_RATE, Samples, frame_count
from crydistill.audio.windows import WINDOW_HOP_SECONDS, window_count
from crydistill.detector.alert_clips import AlertClips
from crydistill.detector.live import (
    EndReason,
    Listener,
    LiveEvent,
    LiveState,
    display,
    listen,
)
from crydistill.detector.operating_point import OperatingPoint
from crydistill.detector.sources import NOTHING, Dropped, SourceLost, pcm_blocks
from crydistill.detector.vote import VoteSettings, alerts

VOTE = VoteSettings(threshold=0.5, n=3, m=5, hold_seconds=2.0)
NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def listener(scorer: LoudnessScorer, clips: AlertClips | None = None) -> Listener:
    return Listener(scorer, VOTE, clips=clips, clock=lambda: NOON)


def heard(blocks: list[Samples]) -> tuple[list[LiveEvent], LoudnessScorer]:
    scorer = LoudnessScorer()
    events: list[LiveEvent] = []
    listen(lambda: iter(blocks), listener(scorer), emit=events.append)
    return events, scorer


def expected(
    scores: np.ndarray, seconds: float, vote: VoteSettings = VOTE
) -> list[tuple[str, float, float]]:
    """Kind, time and onset of the events that the vectorised detector finds.

    An alert that is on at the end of the sound ends with the listening.
    """
    found = []
    for alert in alerts(scores, vote):
        found.append(("on", alert.raised_at, alert.onset))
        ended_at = seconds if alert.ended_at is None else alert.ended_at
        found.append(("off", ended_at, alert.onset))
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
    sound = np.concatenate([faint(1), *(loud(s) if on else faint(s) for on, s in parts)])
    blocks, start, number = [], 0, 0
    while start < len(sound):
        size = sizes[number % len(sizes)] + 500
        blocks.append(sound[start : start + size])
        start, number = start + size, number + 1
    events, scorer = heard(blocks)
    assert plain(events) == expected(scorer.scores, len(sound) / SAMPLE_RATE)


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
    assert "reason" not in on and off["reason"] == "quiet"


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

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def test_a_lost_source_is_opened_again_until_it_works() -> None:
    clock, scorer = Clock(), LoudnessScorer()
    opened, events = list[float](), list[LiveEvent]()
    said, told = list[str](), list[bool]()

    def source() -> Iterator[Samples]:
        opened.append(clock.time)
        if len(opened) == 1:
            for _ in range(8):
                clock.time += 0.5
                yield loud(0.5)
            raise SourceLost("the microphone gave no sound")
        if len(opened) < 8:
            raise SourceLost("no such microphone")
        for _ in range(8):
            clock.time += 0.5
            yield loud(0.5)

    live = listener(scorer)
    listen(
        source,
        live,
        emit=events.append,
        say=said.append,
        available=told.append,
        now=clock.now,
        sleep=clock.sleep,
    )
    assert opened == [0, 5, 7, 11, 19, 35, 65, 95]  # 1, 2, 4, 8, 16, 30 and 30 s after a failure
    assert said == [
        "the microphone gave no sound; retrying until it works",
        "no such microphone; retrying until it works",
        "sound is back after 91 s",
    ]
    assert told == [False, True]
    assert events[1].at == pytest.approx(4 + 2, abs=1.5)  # while waiting, by the hold time
    assert [event.kind.value for event in events] == ["on", "off", "on", "off"]
    assert [event.reason for event in events[1::2]] == [EndReason.NO_SOUND, EndReason.STOPPED]
    assert live.state.seconds == pytest.approx(clock.time, abs=1.0)
    assert events[2].onset == pytest.approx(4 + 91, abs=1.0)


class Playing:
    """A source that moves a clock: the time of its sounds, and the ticks while there are none."""

    def __init__(self, clock: Clock, *parts: Samples | float) -> None:
        self._clock, self._parts = clock, parts

    def __call__(self) -> Iterator[Samples]:
        for part in self._parts:
            if isinstance(part, float):  # seconds in which nothing arrives
                for _ in range(int(part / 0.25)):
                    self._clock.time += 0.25
                    yield NOTHING
                continue
            for start in range(0, len(part), 4_000):
                self._clock.time += len(part[start : start + 4_000]) / SAMPLE_RATE
                yield part[start : start + 4_000]


class Watched:
    """What is reported while listening to something, with the time of each report."""

    def __init__(self, *parts: Samples | float, vote: VoteSettings = VOTE) -> None:
        clock = Clock()
        self.said: list[tuple[float, str]] = []
        self.told: list[tuple[float, bool]] = []
        self.events: list[tuple[float, LiveEvent]] = []
        self.listener = Listener(LoudnessScorer(), vote, clock=lambda: NOON)
        listen(
            Playing(clock, *parts),
            self.listener,
            emit=lambda event: self.events.append((clock.time, event)),
            say=lambda line: self.said.append((clock.time, line)),
            available=lambda sound: self.told.append((clock.time, sound)),
            now=clock.now,
            sleep=clock.sleep,
        )
        self.clock = clock


HELD = VoteSettings(threshold=0.5, n=3, m=5, hold_seconds=20.0)


@pytest.mark.parametrize("gap", [60.0, quiet(60)], ids=["no bytes", "zeros"])
def test_a_dead_source_ends_the_alert_and_is_said(gap: Samples | float) -> None:
    watched = Watched(loud(5), gap, loud(5), vote=HELD)
    (gone_at, gone), (back_at, back) = watched.said
    assert gone_at == pytest.approx(15, abs=0.5) and back_at == pytest.approx(65, abs=0.5)
    assert "no sound has arrived for 10 s" in gone or "digital silence for 10 s" in gone
    assert back == "sound is back after 60 s"
    assert watched.told == [(gone_at, False), (back_at, True)]
    assert [event.kind.value for _, event in watched.events] == ["on", "off", "on", "off"]
    off_at, off = watched.events[1]
    assert off_at == pytest.approx(5 + HELD.hold_seconds, abs=1.5)
    assert off.at == pytest.approx(off_at, abs=1.0) and off.reason is EndReason.NO_SOUND
    assert watched.events[2][1].onset == pytest.approx(65, abs=WINDOW_HOP_SECONDS)
    assert watched.listener.state.seconds == pytest.approx(70, abs=WINDOW_HOP_SECONDS)
    assert watched.listener.state.sound


def test_bytes_that_stop_and_zeros_that_follow_are_one_gap() -> None:
    watched = Watched(loud(5), 20.0, quiet(20), 20.0, faint(5))
    assert [at for at, _ in watched.told] == pytest.approx([15, 65], abs=0.5)
    assert watched.listener.state.seconds == pytest.approx(70, abs=1.0)


def test_a_source_that_is_dead_from_the_start_is_told() -> None:
    assert [sound for _, sound in Watched(quiet(11)).told] == [False]
    assert [sound for _, sound in Watched(11.0).told] == [False]


def test_short_pauses_and_short_silence_are_no_gap() -> None:
    watched = Watched(loud(5), 9.0, loud(1), quiet(9.5), faint(0.25), quiet(9.5), faint(1))
    assert not watched.said and not watched.told


def test_a_sound_too_short_to_vote_is_said() -> None:
    ((_, line),) = Watched(loud(1)).said
    assert line.startswith("the sound ended after 1.0 s, too short to vote: ")


def test_a_value_that_is_stuck_is_no_sound() -> None:
    stuck = np.full(15 * SAMPLE_RATE, -1.0, dtype=np.float32)
    assert [sound for _, sound in Watched(faint(1), stuck, faint(1)).told] == [False, True]


@settings(max_examples=10)
@given(st.lists(st.integers(1, 50_000), min_size=1, max_size=6), st.integers(0, 9_999))
def test_silence_is_found_to_the_sample_however_the_sound_is_divided(
    sizes: list[int], odd: int
) -> None:
    silence = np.zeros(12 * SAMPLE_RATE + odd, np.float32)
    sound = np.concatenate([faint(1), loud(4), silence, loud(3), faint(1), silence, silence[:odd]])
    whole, divided = LoudnessScorer(), LoudnessScorer()
    events = [listened([sound], whole), listened(in_pieces(sound, sizes), divided)]
    np.testing.assert_array_equal(divided.scores, whole.scores)
    for one, other in zip(*events, strict=True):
        assert (one.kind, one.reason, one.score) == (other.kind, other.reason, other.score)
        assert (one.at, one.onset) == pytest.approx((other.at, other.onset))
    # No window has a sample of the silence after the sound was said to be gone.
    assert len(whole.scores) == window_count(frame_count(15 * SAMPLE_RATE)) + window_count(
        frame_count(14 * SAMPLE_RATE)
    )


def in_pieces(sound: Samples, sizes: list[int]) -> list[Samples]:
    cuts = np.cumsum(np.resize(np.array(sizes) + 5_000, len(sound) // 5_000))
    return np.split(sound, cuts[cuts < len(sound)])


def listened(blocks: list[Samples], scorer: LoudnessScorer) -> list[LiveEvent]:
    """Events of a source that delivers blocks in no time."""
    events = list[LiveEvent]()
    live = Listener(scorer, HELD, clock=lambda: NOON)
    listen(lambda: iter(blocks), live, emit=events.append, now=lambda: 0.0)
    return events


def test_a_stop_ends_the_alert_and_saves_its_clip(tmp_path: Path) -> None:
    clips, events = AlertClips(tmp_path, before=1, after=1, longest=30), list[LiveEvent]()
    live = listener(LoudnessScorer(), clips)
    listen(
        Playing(Clock(), loud(60)),
        live,
        emit=events.append,
        stopping=lambda: live.state.seconds >= 6,
    )
    assert [event.kind.value for event in events] == ["on", "off"]
    assert events[1].at == 6 and events[1].reason is EndReason.STOPPED
    assert not live.state.on
    (clip,) = tmp_path.iterdir()
    assert len(soundfile.read(clip)[0]) == 6 * SAMPLE_RATE


def test_the_score_of_both_events_is_the_highest_since_the_onset() -> None:
    class Given(EachByItself):
        """Scores as given, whatever the sound."""

        left = iter([0.98, 0.1, 0.1, 0.9, 0.6, 0.1, 0.7, 0.95] + 20 * [0.0])

        def push(self, patches: np.ndarray) -> np.ndarray:
            return np.array([next(self.left) for _ in patches], dtype=np.float32)

    live = Listener(Given(), VoteSettings(threshold=0.5, n=3, m=4, hold_seconds=2.0))
    on, off = live.push(faint(11))
    assert on.onset == pytest.approx(3 * WINDOW_HOP_SECONDS)
    assert on.at == pytest.approx(6 * WINDOW_HOP_SECONDS + 0.975)
    assert on.score == pytest.approx(0.9)  # neither that of its own window nor of one before
    assert off.score == pytest.approx(0.95)


def test_events_name_student_and_operating_point() -> None:
    point = OperatingPoint("base", "ab" * 32, VOTE, "settings", "room.json", ("threshold",))
    live = Listener(LoudnessScorer(), VOTE, point=point)
    (on,) = live.push(loud(4))
    content = json.loads(json.dumps(on.to_json()))
    assert content["student"] == {"name": "base", "sha256": "abababababab"}
    assert content["operating_point"] == {
        "settings": "room.json",
        "threshold": 0.5,
        "n": 3,
        "m": 5,
        "hold_s": 2.0,
        "replaced": ["threshold"],
    }


def test_a_clip_goes_on_after_a_gap_in_its_alert(tmp_path: Path) -> None:
    clips = AlertClips(tmp_path, before=1, after=1, longest=60)
    live = Listener(LoudnessScorer(), HELD, clips=clips, clock=lambda: NOON)
    for step in (loud(5), 12.0, loud(4), 12.0, 12.0):
        if isinstance(step, float):
            live.gap(step)
        else:
            live.push(step)
    lengths = sorted(len(soundfile.read(path)[0]) for path in tmp_path.iterdir())
    assert lengths == [4 * SAMPLE_RATE, 5 * SAMPLE_RATE]


def test_other_errors_are_not_swallowed() -> None:
    def source() -> Iterator[Samples]:
        yield quiet(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        listen(source, listener(LoudnessScorer()), emit=lambda event: None)


def test_clips_hold_the_sound_around_alerts(tmp_path: Path) -> None:
    clips = AlertClips(tmp_path / "clips", before=2, after=1, longest=30)
    live = listener(LoudnessScorer(), clips)
    blocks = [faint(20), loud(5), faint(10), loud(3)]
    listen(lambda: iter(blocks), live, emit=lambda event: None)
    first, second = sorted((tmp_path / "clips").iterdir(), key=lambda path: len(path.name))
    sound, _ = soundfile.read(first)
    onset = np.flatnonzero(np.abs(sound) > 0.01)[0] / SAMPLE_RATE
    assert onset == pytest.approx(2.0, abs=0.96)
    assert np.abs(soundfile.read(second)[0]).max() > 0.4  # the end of the sound closes it


def test_a_folder_that_cannot_be_written_does_not_end_the_listening(tmp_path: Path) -> None:
    said: list[str] = []
    clips = AlertClips(tmp_path / "clips", before=0, after=0, longest=5)
    (tmp_path / "clips").rmdir()
    (tmp_path / "clips").write_text("a file where the folder was")
    live = Listener(LoudnessScorer(), VOTE, clips=clips, say=said.append)
    live.push(loud(4))
    live.push(quiet(10))
    assert live.state.alerts == 1
    assert len(said) == 1 and "a clip was not saved" in said[0]


def test_the_display_is_drawn() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(display(LiveState(VOTE)))
    console.print(display(LiveState(VOTE, sound=False)))
    console.print(display(LiveState(VOTE, 3725.0, -20.0, 0.75, 4, True, 2)))
    text = console.export_text()
    assert "listening for 1:02:05" in text and "4 of 5" in text
    assert "quiet" in text and "crying" in text and "0.75" in text
    assert "no sound" in text


class Night(io.BytesIO):
    """Raw PCM of a night, made while it is read: now and then some seconds are loud."""

    def __init__(self, hours: float) -> None:
        super().__init__()
        self._left = int(hours * 3600)
        self._rng = np.random.default_rng(7)
        self._loud = (loud(1) * 32_767).astype("<i2").tobytes()
        self._faint = (faint(1) * 32_768).astype("<i2").tobytes()
        self._run = 0

    def read1(self, size: int | None = -1, /) -> bytes:
        if self._left == 0:
            return b""
        self._left -= 1
        self._run = max(0, self._run - 1)
        if self._rng.random() < 0.01:
            self._run = int(self._rng.integers(1, 8))
        return self._loud if self._run else self._faint


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
    assert plain(events) == expected(scorer.scores, hours * 3600)
    assert len(events) > 8 * hours
    raised = sum(event.kind.value == "on" for event in events)
    assert raised == len(list(tmp_path.glob("alert-*.wav")))
    assert clips.saved == len(list(tmp_path.glob("*.wav")))
    assert events[-1].at <= hours * 3600


def test_a_gap_makes_a_student_forget() -> None:
    live = Listener(Remembering(), VoteSettings(threshold=1e6, n=1, m=1, hold_seconds=1.0))
    live.push(faint(10))
    before = live.state.score
    assert before == 19
    live.push(faint(0.48))
    assert live.state.score == 20  # no gap, nothing forgotten
    live.gap(2.0)
    live.push(faint(0.9))
    assert math.isnan(live.state.score)
    live.push(faint(0.1))
    assert live.state.score == 1


@pytest.mark.parametrize("lost", [3.0, 30.0])
def test_a_source_that_is_opened_again_is_heard_from_the_beginning(lost: float) -> None:
    clock, opened, scores = Clock(), list[float](), list[float]()

    def source() -> Iterator[Samples]:
        opened.append(clock.time)
        if clock.time in range(6, int(6 + lost)):
            raise SourceLost("the stream broke off")
        for _ in range(12):
            clock.time += 0.5
            yield faint(0.5)
        if len(opened) == 1:
            raise SourceLost("the stream broke off")

    live = Listener(Remembering(), VoteSettings(threshold=1e6, n=1, m=1, hold_seconds=1.0))
    listen(
        source,
        live,
        emit=lambda event: None,
        show=lambda state: scores.append(state.score),
        now=clock.now,
        sleep=clock.sleep,
    )
    heard = [score for score in scores if not math.isnan(score)]
    assert heard.count(1) >= 2 and max(heard) == heard[-1] == 11


def test_dropped_audio_is_a_gap() -> None:
    live = Listener(Remembering(), VoteSettings(threshold=1e6, n=1, m=1, hold_seconds=1.0))
    states, said, told = list[LiveState](), list[str](), list[bool]()
    listen(
        lambda: iter([faint(10), Dropped(7.2), faint(10)]),
        live,
        emit=lambda event: None,
        show=states.append,
        say=said.append,
        available=told.append,
    )
    assert [state.score for state in states[::2]] == [19, 19]
    assert states[-1].seconds == pytest.approx(27.2, abs=WINDOW_HOP_SECONDS)
    assert not said and not told  # the microphone says so itself, and its sound is not gone
