"""Detect cries live, from a microphone or a stream, in constant memory.

`listen` takes blocks of samples from a source, passes them to a `Listener` (scores, vote, optional
clips of alerts) and reports events and state. It watches the source: without bytes, or with nothing
but the same value, for some seconds, the source counts as dead until sound is back. A source that
fails is reopened until it works. The time without sound counts as windows that do not vote, so that
an alert still ends after its hold time and later events have the right times; and a student with
memory forgets what it heard before.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from crydistill.audio.augment import SILENCE_DBFS
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.windows import WINDOW_HOP_SAMPLES, WINDOW_HOP_SECONDS
from crydistill.detector.alert_clips import AlertClips, is_near_miss
from crydistill.detector.night import NightSummary
from crydistill.detector.operating_point import OperatingPoint
from crydistill.detector.sources import (
    NOTHING,
    PATIENCE_SECONDS,
    TICK_SECONDS,
    Dropped,
    SourceLost,
)
from crydistill.detector.stream import ScoreStream, WindowScorer
from crydistill.detector.vote import Event, EventKind, Vote, VoteSettings, window_end_seconds
from crydistill.errors import CrydistillError, what_failed

RETRY_SECONDS = (1.0, 30.0)
"""Delay before a source is reopened: initial and maximum; it doubles each time."""

_BAR_WIDTH = 30


class EndReason(StrEnum):
    """Why an alert went off.

    QUIET : no window voted for the hold time
    NO_SOUND : the source was dead for the hold time
    STOPPED : listening ended
    """

    QUIET = "quiet"
    NO_SOUND = "no sound"
    STOPPED = "stopped"


@dataclass(frozen=True)
class LiveEvent:
    """The alert went on or off.

    at : end of the window that changed the alert, in seconds since listening began
    onset : start of the alert's first vote, in seconds since listening began
    score : highest of the windows from the onset to this event
    time : wall-clock time of the event
    reason : why it went off; None for "on"
    point : the student and operating point; None if the listener was not told
    """

    kind: EventKind
    at: float
    onset: float
    score: float
    time: datetime
    reason: EndReason | None = None
    point: OperatingPoint | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-serializable form; times in seconds and ISO 8601."""
        return {
            "event": self.kind.value,
            "time": self.time.isoformat(timespec="seconds"),
            "at_s": round(self.at, 3),
            "onset_s": round(self.onset, 3),
            "score": round(self.score, 4),
            **({"reason": self.reason.value} if self.reason else {}),
            **(self.point.to_json() if self.point else {}),
        }


class Publisher(Protocol):
    """Tells others about alerts; no method blocks for long or raises the network's errors."""

    def publish(self, event: LiveEvent) -> None:
        """Publish an event and the resulting state."""

    def heard(self, state: "LiveState") -> None:
        """Take note of the state after a block; called several times a second."""

    def available(self, sound: bool) -> None:
        """Publish whether there is sound to listen to; there is until told otherwise."""

    def night(self, summary: NightSummary) -> None:
        """Publish what a night was, when it is over."""

    def close(self) -> None:
        """Publish that listening has ended, and disconnect."""


@dataclass(frozen=True)
class LiveState:
    """State for a display.

    seconds : since listening began
    level : of the latest block, dBFS
    score : of the latest window; NaN before the first and without audio
    votes : number among the last m windows
    alerts : number since listening began
    sound : whether there is any
    """

    settings: VoteSettings
    seconds: float = 0.0
    level: float = SILENCE_DBFS
    score: float = float("nan")
    votes: int = 0
    on: bool = False
    alerts: int = 0
    sound: bool = True


class Listener:
    """Turns incoming audio into events; buffers a few seconds at most, apart from clips.

    Parameters
    ----------
    point : named in events
    clips : saves the audio around alerts and near-misses; None to save nothing
    clock : returns the wall-clock time for events
    say : called with a message when a clip could not be saved; listening continues
    """

    def __init__(
        self,
        scorer: WindowScorer,
        settings: VoteSettings,
        *,
        point: OperatingPoint | None = None,
        clips: AlertClips | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._settings, self._point = settings, point
        self._wanted, self._wanted_name = settings, ""  # in force from the next window on
        self._started = point
        self._stream, self._vote = ScoreStream(scorer), Vote.of(settings)
        self._clips, self._clock, self._say = clips, clock, say
        self._window = 0  # the next one
        self._samples = 0  # received or missed since listening began
        self._behind = 0.0  # seconds of gaps not yet counted as a whole window
        self._recent: deque[float] = deque(maxlen=settings.m)  # scores
        self._onset = 0  # window of the latest alert
        self._peak = 0.0  # its highest score so far
        self._alerts = 0
        self.state = LiveState(settings)

    def push(self, samples: Samples) -> list[LiveEvent]:
        """Process the next samples, `[n]` at 16 kHz; return the events they cause."""
        self._samples += len(samples)
        self._update_clips(lambda clips: clips.push(samples))
        events, score = [], self.state.score
        for score in self._stream.push(samples).tolist():
            events += self._voted(score)
        self._update(_level(samples), score)
        return events

    def gap(self, seconds: float) -> list[LiveEvent]:
        """Account for time without audio: its windows do not vote, and no window spans it."""
        position = self._samples / SAMPLE_RATE + self._behind + seconds
        events = []
        while (self._window + 1) * WINDOW_HOP_SECONDS <= position:
            events += self._voted(float("nan"), EndReason.NO_SOUND)
        # The window grid restarts at the next sample.
        self._stream.reset()
        self._samples = self._window * WINDOW_HOP_SAMPLES
        self._behind = position - self._samples / SAMPLE_RATE
        on = self._vote.on
        self._update_clips(lambda clips: clips.interrupt(self._samples, resume=on))
        self._update(SILENCE_DBFS, float("nan"), sound=False)
        return events

    def close(self) -> list[LiveEvent]:
        """End the alert, if one is on, and save the clip in progress; return the alert's end."""
        events = []
        if self._vote.on:
            self._vote = Vote.of(self._settings)
            at = self._samples / SAMPLE_RATE + self._behind
            events = [self._off(at, EndReason.STOPPED)]
            self._update(self.state.level, self.state.score, sound=self.state.sound)
        self._update_clips(lambda clips: clips.interrupt(self._samples))
        return events

    def apply_settings(self, settings: VoteSettings, name: str) -> None:
        """Change the running detector from its next window on; may be called from any thread.

        Parameters
        ----------
        name : of the operating point, for events
        """
        self._wanted_name = name
        self._wanted = settings

    def _voted(self, score: float, reason: EndReason = EndReason.QUIET) -> list[LiveEvent]:
        if self._wanted is not self._settings:
            self._change(self._wanted, self._wanted_name)
        event = self._vote.push(score)
        self._window += 1
        self._recent.append(score)
        self._peak = max(self._peak, score)  # NaN never raises the maximum
        if event is None:
            self._note_near_miss()
            return []
        at = window_end_seconds(event.window)
        return [self._on(event, at) if event.kind is EventKind.ON else self._off(at, reason)]

    def _change(self, settings: VoteSettings, name: str) -> None:
        self._settings = settings
        self._vote.change(settings)
        self._recent = deque(self._recent, maxlen=settings.m)
        if self._started is not None:
            changed = replace(self._started, vote=settings, source="preset", name=name, replaced=())
            self._point = self._started if settings == self._started.vote else changed

    def _note_near_miss(self) -> None:
        if self._clips is None or self._vote.on:
            return
        recent = np.array(self._recent, dtype=np.float32)
        if is_near_miss(recent, self._settings):
            onset = (self._window - len(recent)) * WINDOW_HOP_SAMPLES
            now = self._clock()
            self._update_clips(lambda clips: clips.near_miss(onset, now))

    def _on(self, event: Event, at: float) -> LiveEvent:
        since_onset = list(self._recent)[event.onset - event.window - 1 :]
        self._peak = max(score for score in since_onset if not math.isnan(score))
        self._onset, self._alerts = event.onset, self._alerts + 1
        now = self._clock()
        self._update_clips(lambda clips: clips.begin(event.onset * WINDOW_HOP_SAMPLES, now))
        return self._event(EventKind.ON, at, now)

    def _off(self, at: float, reason: EndReason) -> LiveEvent:
        self._update_clips(lambda clips: clips.end())
        return self._event(EventKind.OFF, at, self._clock(), reason)

    def _event(
        self, kind: EventKind, at: float, now: datetime, reason: EndReason | None = None
    ) -> LiveEvent:
        onset = self._onset * WINDOW_HOP_SECONDS
        return LiveEvent(kind, at, onset, self._peak, now, reason, self._point)

    def _update_clips(self, step: Callable[[AlertClips], None]) -> None:
        if self._clips is None:
            return
        try:
            step(self._clips)
        except (OSError, CrydistillError) as error:
            self._say(f"a clip was not saved ({what_failed(error)}); listening continues")

    def _update(self, level: float, score: float, *, sound: bool = True) -> None:
        self.state = LiveState(
            settings=self._settings,
            seconds=self._samples / SAMPLE_RATE,
            level=level,
            score=score,
            votes=self._vote.votes,
            on=self._vote.on,
            alerts=self._alerts,
            sound=sound,
        )


def listen(
    source: Callable[[], Iterator[Samples | Dropped]],
    listener: Listener,
    *,
    emit: Callable[[LiveEvent], None],
    show: Callable[[LiveState], None] = lambda state: None,
    say: Callable[[str], None] = lambda line: None,
    available: Callable[[bool], None] = lambda sound: None,
    stopping: Callable[[], bool] = lambda: False,
    patience: float = PATIENCE_SECONDS,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Listen until the source ends or a stop is asked for; reopen a source that fails.

    A running alert ends, and its clip is saved, whatever ends the listening.

    Parameters
    ----------
    source : opens the source and yields blocks of 16 kHz mono audio, an empty block whenever none
        has arrived for a short time (`sources.in_background`), and `Dropped` where audio is missing
    emit : called with every event, once, in order
    show : called with the state after every block
    say : called with a message when the sound is gone, when it is back, and when it ends too soon
    available : called with False when the sound is gone and with True when it is back
    stopping : asked after every block whether to end
    patience : seconds without bytes, or with nothing but the same value, after which the sound
        counts as gone
    """
    watch = _Watch(listener, emit, show, say, available, patience, now)
    try:
        _listen(source, watch, stopping, now, sleep)
        if not stopping():
            watch.end()
    finally:
        watch.deliver(listener.close())


def display(state: LiveState) -> Any:
    """Render the state for a terminal, as a rich renderable of a few lines."""
    from rich.table import Table
    from rich.text import Text

    vote = state.settings
    hours, rest = divmod(int(state.seconds), 3600)
    table = Table.grid(padding=(0, 2))
    loudness = (state.level + 60) / 60
    score = "–" if np.isnan(state.score) else f"{state.score:.2f}"
    share = 0.0 if np.isnan(state.score) else state.score
    level = f"{state.level:.0f} dB" if state.sound else "no sound"
    table.add_row("level", _bar(loudness), level)
    table.add_row("score", _bar(share), f"{score}, votes from {vote.threshold:.2f}")
    table.add_row(
        "vote", _bar(state.votes / vote.m), f"{state.votes} of {vote.m}, alert at {vote.n}"
    )
    alert = Text("crying", style="bold red") if state.on else Text("quiet", style="green")
    table.add_row("alert", alert, f"{state.alerts} so far")
    table.add_row("", "", f"listening for {hours}:{rest // 60:02d}:{rest % 60:02d}")
    return table


class _Watch:
    """Passes blocks on to the listener, and watches that there is sound in them."""

    def __init__(
        self,
        listener: Listener,
        emit: Callable[[LiveEvent], None],
        show: Callable[[LiveState], None],
        say: Callable[[str], None],
        available: Callable[[bool], None],
        patience: float,
        now: Callable[[], float],
    ) -> None:
        self._listener, self._emit, self._show, self._say = listener, emit, show, say
        self._available, self._patience, self._now = available, patience, now
        self._counted = self._arrived = now()  # up to when time is counted; last block's arrival
        self._value = 0.0  # the last sample's
        self._still = 0  # samples that have had this value
        self._gone_at = 0.0  # in seconds since listening began
        self._said: set[str] = set()  # reasons, since the sound is gone
        self.lost = False

    def heard(self, samples: Samples | Dropped) -> None:
        """Process a block; an empty one says that nothing has arrived.

        Where sound ends and begins again is found to the sample, so that what is heard does not
        depend on how the samples are divided into blocks.
        """
        if isinstance(samples, Dropped):
            self._gap(samples.seconds)
        elif len(samples) == 0:
            self._wait()
        else:
            while len(samples):
                samples = self._silence(samples) if self.lost else self._sound(samples)
        self._show(self._listener.state)

    def lose(self, reason: str, *, silent: float | None = None) -> None:
        """Count the sound as gone: no bytes arrive, or their value has not changed for a while."""
        if silent is None:
            silent, self._value = self._now() - self._arrived, 0.0
        self._still = 0
        self._gap(self._now() - self._counted)
        if not self.lost:
            self.lost = True
            self._gone_at = self._listener.state.seconds - silent
            self._said.clear()
            self._available(False)
        if reason not in self._said:  # it may change: a camera that boots refuses, then answers
            self._said.add(reason)
            self._say(reason)

    def end(self) -> None:
        """Say so if the source has ended before there could be an alert."""
        seconds, vote = self._listener.state.seconds, self._listener.state.settings
        if seconds < vote.shortest_seconds:
            self._say(f"the sound ended after {seconds:.1f} s, {vote.too_short}")

    def deliver(self, events: list[LiveEvent]) -> None:
        """Pass events on."""
        for event in events:
            self._emit(event)

    def _wait(self) -> None:
        if self.lost:
            self._gap(self._now() - self._counted)
        elif self._now() - self._arrived >= self._patience:
            self.lose(f"no sound has arrived for {self._patience:g} s; waiting for it")

    def _silence(self, samples: Samples) -> Samples:
        """Pass over the value that has lasted; return what follows it, which is sound again."""
        others = np.flatnonzero(samples != self._value)
        if len(others) == 0:
            self._gap(len(samples) / SAMPLE_RATE)
            return NOTHING
        self._gap(max(0.0, self._now() - self._counted - len(samples) / SAMPLE_RATE))
        self._gap(float(others[0]) / SAMPLE_RATE)
        self.lost = False
        gone = self._listener.state.seconds - self._gone_at
        self._say(f"sound is back after {gone:.0f} s")
        self._available(True)
        return samples[others[0] :]

    def _sound(self, samples: Samples) -> Samples:
        """Pass on samples until one value has lasted for too long; return what follows."""
        patience = round(self._patience * SAMPLE_RATE)
        changes = np.flatnonzero(np.diff(samples, prepend=self._value))
        since = np.concatenate([[-self._still], changes])  # where each value begins
        lasted = np.append(changes, len(samples)) - since
        too_long = since[lasted >= patience]
        end = int(too_long[0]) + patience if len(too_long) else len(samples)
        self.deliver(self._listener.push(samples[:end]))
        self._counted = self._arrived = self._now()
        self._value, self._still = float(samples[end - 1]), end - int(since[since < end][-1])
        if len(too_long):
            self.lose(
                f"nothing but digital silence for {self._patience:g} s (is the microphone muted or "
                "unplugged?); waiting for sound",
                silent=self._patience,
            )
        return samples[end:]

    def _gap(self, seconds: float) -> None:
        self.deliver(self._listener.gap(seconds))
        self._counted = self._now()


def _listen(
    source: Callable[[], Iterator[Samples | Dropped]],
    watch: _Watch,
    stopping: Callable[[], bool],
    now: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    shortest, longest = RETRY_SECONDS
    pause = shortest
    while not stopping():
        try:
            for block in source():
                watch.heard(block)
                if stopping():
                    return
                if not (watch.lost or isinstance(block, Dropped)) and len(block):
                    pause = shortest
            return
        except SourceLost as error:
            watch.lose(f"{error}; retrying until it works")
        retry_at = now() + pause
        while not stopping() and (left := retry_at - now()) > 0:
            sleep(min(TICK_SECONDS, left))
            watch.heard(NOTHING)
        pause = min(2 * pause, longest)


def _bar(share: float) -> str:
    filled = round(_BAR_WIDTH * min(1.0, max(0.0, share)))
    return "█" * filled + "░" * (_BAR_WIDTH - filled)


def _level(samples: Samples) -> float:
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(SILENCE_DBFS, 10 * float(np.log10(power))) if power > 0 else SILENCE_DBFS
