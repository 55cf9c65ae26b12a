"""Score recordings of a room and reject those unfit for calibration.

A threshold is only as good as the recordings that it comes from. Four things make it worthless, and
each is found here: no sound (a muted microphone, a recorder that lost its input), too little of it
for a single vote, the same recording twice (it adds no time, yet would count as more), and cries
(the threshold would rise above them, to where no cry reaches it).

Long stretches without sound count neither as time nor as votes, as if they had not been recorded.
Short ones do: some microphones gate out faint noise, and will do so when the detector listens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crydistill.audio.files import AudioReader
from crydistill.audio.mel import Samples
from crydistill.audio.windows import WINDOW_HOP_SAMPLES, WINDOW_HOP_SECONDS
from crydistill.detector.files import clock
from crydistill.detector.stream import ScoreStream, WindowScorer
from crydistill.detector.vote import Alert, Scores, VoteSettings, alerts
from crydistill.errors import AudioError

LIFELESS_SWING = 2e-4
"""Samples that differ by less than this within 0.48 s are no sound: a peak of -80 dBFS, or a
constant."""

GATED_SECONDS = 60.0
"""Stretches without sound that last longer are a fault, not a microphone's noise gate."""

_EDGE_WINDOWS = 3
"""Windows at both ends in which resampling makes a click of a constant."""

_SAME_DB = 0.01
"""Levels of hops that differ by less belong to the same samples."""

_SMALLEST_DEVIATION = 1e-7
"""Far below 16 bits' resolution: silence gets a level, too."""

_COPY, _FEWEST_HOPS = 0.5, 60
"""Correlation of a copy's changes in level with the original's, and from how many hops on to tell:
those of other recordings correlate by 0 +- 0.13 there."""

_NAMED = 5
"""Number of times to name in a message."""

Windows = npt.NDArray[np.bool_]
"""One boolean per window, shape `[windows]`."""


class Crying(StrEnum):
    """What to do where a recording of a room sounds like crying.

    REFUSE : do not calibrate before somebody has listened
    SKIP : it is crying: leave it out
    KEEP : it is something else, and the false alarms that the threshold has to avoid
    """

    REFUSE = "refuse"
    SKIP = "skip"
    KEEP = "keep"


@dataclass(frozen=True)
class RoomSound:
    """What was heard in a recording of a room.

    duration : seconds
    scores : cry score of each window, `[windows]`; NaN in long stretches without sound
    lifeless : windows without sound, `[windows]`
    levels : loudness of each half-second hop in decibels, `[hops]`
    notes : remarks on the audio for the user
    """

    path: Path
    duration: float
    scores: Scores
    lifeless: Windows
    levels: Scores
    notes: tuple[str, ...]

    def is_copy_of(self, other: "RoomSound") -> bool:
        """Whether two recordings hold the same sound, at whatever level and in whatever format."""
        if abs(len(self.levels) - len(other.levels)) > 1:
            return False
        hops = min(len(self.levels), len(other.levels))
        one, two = self.levels[:hops], other.levels[:hops]
        if np.allclose(one, two, atol=_SAME_DB):
            return True
        # Changes from hop to hop, since two nights may well grow quiet at the same pace.
        return hops >= _FEWEST_HOPS and bool(_correlation(np.diff(one), np.diff(two)) > _COPY)

    def without(self, found: Sequence[Alert], vote: VoteSettings) -> "RoomSound":
        """Leave out alerts, and the hold time before and after each: those windows become NaN."""
        scores = self.scores.copy()
        for alert in found:
            start = max(0, alert.onset_window - vote.hold_windows)
            end = len(scores) if alert.end_window is None else alert.end_window
            scores[start : end + vote.hold_windows] = np.nan
        return replace(self, scores=scores)


class _Activity:
    """Measures how much goes on in each hop of a window, in one pass over blocks."""

    def __init__(self) -> None:
        self._rest = np.empty(0, dtype=np.float32)
        self._swings: list[npt.NDArray[np.float32]] = []
        self._deviations: list[npt.NDArray[np.float32]] = []

    def push(self, samples: Samples) -> None:
        waiting = np.concatenate([self._rest, samples])
        count = len(waiting) // WINDOW_HOP_SAMPLES
        whole, self._rest = np.split(waiting, [count * WINDOW_HOP_SAMPLES])
        hops = whole.reshape(count, WINDOW_HOP_SAMPLES)
        self._swings.append(np.ptp(hops, axis=1))
        self._deviations.append(hops.std(axis=1))

    @property
    def levels(self) -> Scores:
        deviations = np.concatenate(self._deviations)
        return np.asarray(
            20 * np.log10(np.maximum(deviations, _SMALLEST_DEVIATION)), dtype=np.float32
        )

    def lifeless(self, windows: int) -> Windows:
        """Whether each window is without sound, `[windows]`; a window is two hops long."""
        still = np.concatenate(self._swings) < LIFELESS_SWING
        return np.asarray((still[:-1] & still[1:])[:windows])


def hear_room(path: str | Path, scorer: WindowScorer, vote: VoteSettings) -> RoomSound:
    """Score a recording and check that it can be calibrated on.

    Parameters
    ----------
    vote : how many votes a recording must have room for

    Raises
    ------
    AudioError
        if the recording cannot be decoded, is too short for one vote, or holds no sound.
    """
    reader, stream, activity = AudioReader(path), ScoreStream(scorer), _Activity()
    tracks = [np.empty(0, dtype=np.float32)]
    for block in reader.blocks():
        activity.push(block)
        tracks.append(stream.push(block))
    scores = np.concatenate(tracks)
    if len(scores) < vote.n:
        raise AudioError(
            f"{path}: {reader.duration:.1f} s are {vote.too_short}; record at least ten minutes"
        )
    lifeless = activity.lifeless(len(scores))
    if lifeless.any() and np.count_nonzero(~lifeless) < vote.n + _EDGE_WINDOWS:
        raise AudioError(
            f"{path}: holds no sound (silent, or a constant value); check the microphone, then "
            "record the room's ordinary sounds"
        )
    missing = _long(lifeless)
    scores[missing] = np.nan
    notes = reader.notes
    if missing.any():
        minutes = np.count_nonzero(missing) * WINDOW_HOP_SECONDS / 60
        notes += (f"{minutes:.1f} min without any sound do not count as time",)
    return RoomSound(reader.path, reader.duration, scores, lifeless, activity.levels, notes)


def require_different(sounds: Sequence[RoomSound]) -> None:
    """Refuse a recording that is given twice, under whatever name.

    Raises
    ------
    AudioError
        naming both.
    """
    for other, sound in combinations(sounds, 2):
        if sound.is_copy_of(other):
            known = other.path
            same = "is given twice" if known == sound.path else f"holds the same sound as {known}"
            raise AudioError(
                f"{sound.path}: {same}; give each recording once, since a copy adds no time"
            )


def settled(sounds: Sequence[RoomSound], vote: VoteSettings, crying: Crying) -> list[RoomSound]:
    """Recordings of a room in which nothing sounds like crying, unless the user says what it is.

    Parameters
    ----------
    vote : the detector's settings at a preset: what raises an alert with them sounds like crying

    Raises
    ------
    AudioError
        naming the times, if something sounds like crying and it is to be refused.
    """
    found = [alerts(sound.scores, vote) for sound in sounds]
    if crying is Crying.REFUSE and any(found):
        places = [
            f"{sound.path} at {_times(alerts_)}"
            for sound, alerts_ in zip(sounds, found, strict=True)
            if alerts_
        ]
        raise AudioError(
            f"this sounds like crying: {'; '.join(places)}; listen there. If it is not a baby, "
            "calibrate with `--crying keep`, so that the threshold rises above it; if it is, "
            "`--crying skip` leaves it out"
        )
    if crying is Crying.SKIP:
        return [sound.without(some, vote) for sound, some in zip(sounds, found, strict=True)]
    return list(sounds)


def _times(found: Sequence[Alert]) -> str:
    named = ", ".join(clock(alert.onset) for alert in found[:_NAMED])
    more = len(found) - _NAMED
    return f"{named} and {more} more (`crydistill detect` lists them)" if more > 0 else named


def _correlation(one: Scores, two: Scores) -> float:
    deviation = float(one.std() * two.std())
    return float(((one - one.mean()) * (two - two.mean())).mean()) / deviation if deviation else 0.0


def _long(lifeless: Windows) -> Windows:
    """Windows of the runs that last longer than `GATED_SECONDS`."""
    change = np.flatnonzero(np.diff(lifeless.astype(np.int8), prepend=0, append=0))
    found = np.zeros(len(lifeless), dtype=np.bool_)
    for start, end in change.reshape(-1, 2):
        if (end - start) * WINDOW_HOP_SECONDS > GATED_SECONDS:
            found[start:end] = True
    return found
