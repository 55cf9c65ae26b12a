"""Raise alerts by N-of-M voting over window scores, streaming or vectorised.

`docs/detector.md` specifies the rule, its corner cases and the C implementation. In short: a window
votes when its score reaches the threshold; the alert is on from the window at which at least N of
the last M windows vote, until the window at which fewer do and none has voted for the hold time.

Source: the system description's reference detector (5 of 9 with a hold time).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, model_validator

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.audio.windows import (
    WINDOW_HOP_SAMPLES,
    WINDOW_HOP_SECONDS,
    WINDOW_SAMPLES,
)
from crydistill.errors import ConfigError

MAX_M = 64
"""Longest voting history in windows, 31 s: the device keeps it in the bits of one word."""

MAX_HOLD_SECONDS = 86_400.0
"""A day: longer hold times must be typing errors, and in milliseconds this fits 32 bits."""

DEFAULT_N = 5
DEFAULT_M = 9
DEFAULT_HOLD_SECONDS = 10.0

WINDOW_HOP_MILLISECONDS = WINDOW_HOP_SAMPLES * 1000 // SAMPLE_RATE
WINDOW_SECONDS = WINDOW_SAMPLES / SAMPLE_RATE

Scores = npt.NDArray[np.float32]
"""One cry score per window, shape `[windows]`, in time order."""

Track = npt.NDArray[np.bool_]
"""One boolean per window, shape `[windows]`."""


class VoteSettings(BaseModel):
    """The detector's parameters, as in configs, settings files and threshold presets.

    threshold : score at which a window votes, at least 0; compared as float32
    n, m : the alert needs n votes among the last m windows, 1 <= n <= m <= 64
    hold_seconds : hold time; the alert ends after this long without a vote, 0 to 86,400; rounded to
        milliseconds

    Raises
    ------
    ConfigError
        if a value is out of range; a wrong type or an unknown key raises pydantic's
        ValidationError, which the code that reads the file turns into a line naming the key.

    Examples
    --------
    >>> settings = VoteSettings(threshold=0.5, n=3, m=5, hold_seconds=2.0)
    >>> settings.hold_windows
    5
    >>> VoteSettings(threshold=0.5, n=6, m=5)
    Traceback (most recent call last):
        ...
    crydistill.errors.ConfigError: n, m: 6 of 5 is not a vote; choose 1 <= n <= m <= 64
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float
    n: int = DEFAULT_N
    m: int = DEFAULT_M
    hold_seconds: float = DEFAULT_HOLD_SECONDS

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not 0 <= self.threshold <= float(np.finfo(np.float32).max):
            raise ConfigError(
                f"threshold: must be a finite number, at least 0, not {self.threshold}"
            )
        if not 1 <= self.n <= self.m <= MAX_M:
            raise ConfigError(
                f"n, m: {self.n} of {self.m} is not a vote; choose 1 <= n <= m <= {MAX_M}"
            )
        if not 0 <= self.hold_seconds <= MAX_HOLD_SECONDS:
            raise ConfigError(
                f"hold_seconds: must be between 0 and {MAX_HOLD_SECONDS:.0f}, "
                f"not {self.hold_seconds}"
            )
        return self

    @property
    def hold_windows(self) -> int:
        """Consecutive windows without a vote that end an alert, at least 1."""
        milliseconds = round(self.hold_seconds * 1000)
        return max(1, -(-milliseconds // WINDOW_HOP_MILLISECONDS))

    @property
    def shortest_seconds(self) -> float:
        """Seconds of sound without which there cannot be an alert."""
        return window_end_seconds(self.n - 1)

    @property
    def too_short(self) -> str:
        """What is to be said of less sound."""
        return f"too short to vote: {self.n} of {self.m} windows need {self.shortest_seconds:.1f} s"


class EventKind(StrEnum):
    """Change of the alert's state."""

    ON = "on"
    OFF = "off"


@dataclass(frozen=True)
class Event:
    """A change of the alert's state.

    kind : whether the alert went on or off
    window : index of the window that changed it; the first score pushed is window 0
    onset : index of the alert's first vote, the oldest among the m windows that raised it
    """

    kind: EventKind
    window: int
    onset: int


@dataclass(frozen=True)
class Alert:
    """One alert, in windows and in seconds from the start of the audio.

    onset_window : oldest vote among the m windows that raised it
    start_window : window that raised it
    end_window : first window at which it is off again; None if still on at the last window
    """

    onset_window: int
    start_window: int
    end_window: int | None

    @property
    def onset(self) -> float:
        """Start of the first window that voted: roughly when the crying began."""
        return self.onset_window * WINDOW_HOP_SECONDS

    @property
    def raised_at(self) -> float:
        """End of the window that raised it: when a live detector raises the alert."""
        return window_end_seconds(self.start_window)

    @property
    def ended_at(self) -> float | None:
        """End of the window that ended it; None if it is still on."""
        return None if self.end_window is None else window_end_seconds(self.end_window)


class Vote:
    """Streaming detector: one score in, at most one event out, a few words of state.

    Raises
    ------
    ConfigError
        as `VoteSettings`.

    Examples
    --------
    >>> vote = Vote(threshold=0.5, n=2, m=3, hold_seconds=0.96)
    >>> for score in [0.1, 0.9, 0.8, 0.2, 0.1, 0.0]:
    ...     event = vote.push(score)
    ...     if event:
    ...         print(event.kind.value, event.window, event.onset)
    on 2 1
    off 4 1
    """

    def __init__(
        self,
        threshold: float,
        n: int = DEFAULT_N,
        m: int = DEFAULT_M,
        hold_seconds: float = DEFAULT_HOLD_SECONDS,
    ) -> None:
        self.change(VoteSettings(threshold=threshold, n=n, m=m, hold_seconds=hold_seconds))
        self._history = 0  # bit i: whether the window i windows ago voted
        self._silent_windows = 0  # since the last vote
        self._next_window = 0
        self._onset = -1
        self.on = False

    @classmethod
    def of(cls, settings: VoteSettings) -> Self:
        """Create a detector from settings."""
        return cls(settings.threshold, settings.n, settings.m, settings.hold_seconds)

    def change(self, settings: VoteSettings) -> None:
        """Use other settings from the next window on.

        Windows that have voted keep their vote, and an alert that is on stays on until the new
        settings end it.
        """
        self._threshold = np.float32(settings.threshold)
        self._n = settings.n
        self._history_mask = (1 << settings.m) - 1
        self._hold_windows = settings.hold_windows

    @property
    def votes(self) -> int:
        """Number of votes among the last m windows."""
        return self._history.bit_count()

    def push(self, score: float) -> Event | None:
        """Process the next window's score; return the event it causes, if any. NaN never votes."""
        window = self._next_window
        self._next_window += 1
        voted = bool(np.float32(score) >= self._threshold)
        self._history = (self._history << 1 | voted) & self._history_mask
        self._silent_windows = 0 if voted else self._silent_windows + 1
        enough = self.votes >= self._n
        if enough and not self.on:
            self.on = True
            self._onset = window - (self._history.bit_length() - 1)
            return Event(EventKind.ON, window, self._onset)
        if self.on and not enough and self._silent_windows >= self._hold_windows:
            self.on = False
            return Event(EventKind.OFF, window, self._onset)
        return None


def vote_track(scores: npt.ArrayLike, settings: VoteSettings) -> Track:
    """Whether the alert is on after each window; same result as pushing the scores to `Vote`.

    Parameters
    ----------
    scores : [shape=(windows,)], converted to float32; NaN never votes

    Returns
    -------
    np.ndarray [shape=(windows,)], bool
    """
    voted = _voted(scores, settings)
    window = np.arange(len(voted))
    enough = _votes_among_last(voted, settings.m) >= settings.n
    silent_windows = window - _latest(voted, before=-1)
    release = ~enough & (silent_windows >= settings.hold_windows)
    # The later of the two decides; before either, the alert is off.
    return _latest(enough, before=-1) > _latest(release, before=-1)


def alerts(scores: npt.ArrayLike, settings: VoteSettings) -> list[Alert]:
    """Alerts of a whole recording, in time order.

    Parameters
    ----------
    scores : [shape=(windows,)], converted to float32; NaN never votes

    Examples
    --------
    >>> settings = VoteSettings(threshold=0.5, n=2, m=3, hold_seconds=0.96)
    >>> found = alerts([0.1, 0.9, 0.8, 0.2, 0.1, 0.0], settings)
    >>> found
    [Alert(onset_window=1, start_window=2, end_window=4)]
    >>> round(found[0].raised_at, 2)
    1.94
    """
    scores = np.asarray(scores, dtype=np.float32)
    on = vote_track(scores, settings)
    change = np.diff(on.astype(np.int8), prepend=0)
    starts = np.flatnonzero(change == 1)
    ends: list[int | None] = [*np.flatnonzero(change == -1).tolist(), None]
    vote_windows = np.flatnonzero(_voted(scores, settings))
    onsets = vote_windows[np.searchsorted(vote_windows, starts - settings.m + 1)]
    return [
        Alert(onset, start, end)
        for onset, start, end in zip(onsets.tolist(), starts.tolist(), ends, strict=False)
    ]


def vote_statistic(scores: npt.ArrayLike, n: int, m: int) -> Scores:
    """Highest threshold at which each window has n votes among the last m.

    It is the n-th largest of the last m scores: a recording raises an alert if and only if the
    threshold does not exceed the statistic's maximum. Calibration extrapolates its tail.

    Returns
    -------
    np.ndarray [shape=(windows,)], float32; -inf where there are fewer than n scores
    """
    VoteSettings(threshold=0.0, n=n, m=m)
    scores = np.asarray(scores, dtype=np.float32)
    if len(scores) == 0:
        return scores
    never = np.float32(-np.inf)
    padded = np.concatenate([np.full(m - 1, never), np.where(np.isnan(scores), never, scores)])
    last_m = np.lib.stride_tricks.sliding_window_view(padded, m)
    return np.asarray(np.partition(last_m, m - n, axis=1)[:, m - n])


def window_end_seconds(window: int) -> float:
    """End of a window, in seconds from the start of the audio."""
    return window * WINDOW_HOP_SECONDS + WINDOW_SECONDS


def _voted(scores: npt.ArrayLike, settings: VoteSettings) -> Track:
    return np.asarray(scores, dtype=np.float32) >= np.float32(settings.threshold)


def _votes_among_last(voted: Track, m: int) -> npt.NDArray[np.int64]:
    total: npt.NDArray[np.int64] = np.concatenate([np.zeros(m, dtype=np.int64), np.cumsum(voted)])
    return total[m:] - total[: len(voted)]


def _latest(where: Track, before: int) -> npt.NDArray[np.int64]:
    """Index of the last true value up to each position; `before` if there is none."""
    return np.maximum.accumulate(np.where(where, np.arange(len(where)), before))
