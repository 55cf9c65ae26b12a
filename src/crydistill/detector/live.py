"""Detect cries live, from a microphone or raw PCM, in constant memory.

`listen` takes blocks of samples from a source, passes them to a `Listener` (scores, vote, optional
clips of alerts) and reports events and state. A source that fails is reopened until it works; the
time without audio counts as windows that do not vote, so that an alert still ends after its hold
time and later events have the right times.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import soundfile

from crydistill.audio.augment import SILENCE_DBFS
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.windows import WINDOW_HOP_SAMPLES, WINDOW_HOP_SECONDS
from crydistill.detector.alert_clips import AlertClips
from crydistill.detector.sources import SourceLost
from crydistill.detector.stream import ScoreStream, WindowScorer
from crydistill.detector.vote import Event, EventKind, Vote, VoteSettings, window_end_seconds

RETRY_SECONDS = (1.0, 30.0)
"""Delay before a source is reopened: initial and maximum; it doubles each time."""

_BAR_WIDTH = 30


@dataclass(frozen=True)
class LiveEvent:
    """The alert went on or off.

    at : end of the window that changed the alert, in seconds since listening began
    onset : start of the alert's first vote, in seconds since listening began
    score : that window's score for "on", the alert's highest for "off"
    time : wall-clock time of the event
    """

    kind: EventKind
    at: float
    onset: float
    score: float
    time: datetime

    def to_json(self) -> dict[str, Any]:
        """JSON-serializable form; times in seconds and ISO 8601."""
        return {
            "event": self.kind.value,
            "time": self.time.isoformat(timespec="seconds"),
            "at_s": round(self.at, 3),
            "onset_s": round(self.onset, 3),
            "score": round(self.score, 4),
        }


@dataclass(frozen=True)
class LiveState:
    """State for a display.

    seconds : since listening began
    level : of the latest block, dBFS
    score : of the latest window; NaN before the first and without audio
    votes : number among the last m windows
    alerts : number since listening began
    """

    settings: VoteSettings
    seconds: float = 0.0
    level: float = SILENCE_DBFS
    score: float = float("nan")
    votes: int = 0
    on: bool = False
    alerts: int = 0


class Listener:
    """Turns incoming audio into events; buffers a few seconds at most, apart from clips.

    Parameters
    ----------
    clips : saves the audio around alerts; None to save nothing
    clock : returns the wall-clock time for events
    say : called with a message when a clip could not be saved; listening continues
    """

    def __init__(
        self,
        scorer: WindowScorer,
        settings: VoteSettings,
        *,
        clips: AlertClips | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._scorer, self._settings = scorer, settings
        self._wanted = settings  # in force from the next window on
        self._stream, self._vote = ScoreStream(scorer), Vote.of(settings)
        self._clips, self._clock, self._say = clips, clock, say
        self._window = 0  # the next one
        self._samples = 0  # received or missed since listening began
        self._behind = 0.0  # seconds of gaps not yet counted as a whole window
        self._peak = 0.0
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
            events += self._voted(float("nan"))
        # The window grid restarts at the next sample.
        self._stream = ScoreStream(self._scorer)
        self._samples = self._window * WINDOW_HOP_SAMPLES
        self._behind = position - self._samples / SAMPLE_RATE
        self._update_clips(lambda clips: clips.interrupt(self._samples))
        self._update(SILENCE_DBFS, float("nan"))
        return events

    def close(self) -> None:
        """Save the clip in progress, if any."""
        self._update_clips(lambda clips: clips.interrupt(self._samples))

    def apply_settings(self, settings: VoteSettings) -> None:
        """Change the running detector from its next window on; may be called from any thread."""
        self._wanted = settings

    def _voted(self, score: float) -> list[LiveEvent]:
        if self._wanted is not self._settings:
            self._settings = self._wanted
            self._vote.change(self._settings)
        event = self._vote.push(score)
        self._window += 1
        if self._vote.on:
            self._peak = max(self._peak, score)  # NaN never raises the maximum
        return [] if event is None else [self._live_event(event, score)]

    def _live_event(self, event: Event, score: float) -> LiveEvent:
        now = self._clock()
        if event.kind is EventKind.ON:
            self._alerts += 1
            self._peak = score
            self._update_clips(lambda clips: clips.begin(event.onset * WINDOW_HOP_SAMPLES, now))
        else:
            score = self._peak
            self._update_clips(lambda clips: clips.end())
        at, onset = window_end_seconds(event.window), event.onset * WINDOW_HOP_SECONDS
        return LiveEvent(event.kind, at, onset, score, now)

    def _update_clips(self, step: Callable[[AlertClips], None]) -> None:
        if self._clips is None:
            return
        try:
            step(self._clips)
        except (OSError, soundfile.LibsndfileError) as error:
            self._say(f"a clip was not saved ({error}); listening continues")

    def _update(self, level: float, score: float) -> None:
        self.state = LiveState(
            settings=self._settings,
            seconds=self._samples / SAMPLE_RATE,
            level=level,
            score=score,
            votes=self._vote.votes,
            on=self._vote.on,
            alerts=self._alerts,
        )


def listen(
    source: Callable[[], Iterator[Samples]],
    listener: Listener,
    *,
    emit: Callable[[LiveEvent], None],
    show: Callable[[LiveState], None] = lambda state: None,
    say: Callable[[str], None] = lambda line: None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Listen until the source ends; reopen it whenever it fails.

    Parameters
    ----------
    source : opens the source and yields blocks of 16 kHz mono audio
    emit : called with every event, once, in order
    show : called with the state after every block
    say : called with a message when the source fails and when it recovers
    """
    try:
        _listen(source, listener, emit, show, say, now, sleep)
    finally:
        listener.close()


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
    table.add_row("level", _bar(loudness), f"{state.level:.0f} dB")
    table.add_row("score", _bar(share), f"{score}, votes from {vote.threshold:.2f}")
    table.add_row(
        "vote", _bar(state.votes / vote.m), f"{state.votes} of {vote.m}, alert at {vote.n}"
    )
    alert = Text("crying", style="bold red") if state.on else Text("quiet", style="green")
    table.add_row("alert", alert, f"{state.alerts} so far")
    table.add_row("", "", f"listening for {hours}:{rest // 60:02d}:{rest % 60:02d}")
    return table


def _listen(
    source: Callable[[], Iterator[Samples]],
    listener: Listener,
    emit: Callable[[LiveEvent], None],
    show: Callable[[LiveState], None],
    say: Callable[[str], None],
    now: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    shortest, longest = RETRY_SECONDS
    heard_at, pause, lost = now(), shortest, False
    while True:
        try:
            for block in source():
                if lost:
                    say("audio is back")
                    _deliver(listener.gap(now() - heard_at), emit)
                    pause, lost = shortest, False
                _deliver(listener.push(block), emit)
                heard_at = now()
                show(listener.state)
            return
        except SourceLost as error:
            if not lost:
                say(f"{error}; retrying until it works")
            lost = True
            sleep(pause)
            pause = min(2 * pause, longest)
            _deliver(listener.gap(now() - heard_at), emit)
            heard_at = now()
            show(listener.state)


def _bar(share: float) -> str:
    filled = round(_BAR_WIDTH * min(1.0, max(0.0, share)))
    return "█" * filled + "░" * (_BAR_WIDTH - filled)


def _deliver(events: list[LiveEvent], emit: Callable[[LiveEvent], None]) -> None:
    for event in events:
        emit(event)


def _level(samples: Samples) -> float:
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(SILENCE_DBFS, 10 * float(np.log10(power))) if power > 0 else SILENCE_DBFS
