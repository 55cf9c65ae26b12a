"""What was heard in one night: episodes of crying, and how much of the night was listened to."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Self

import numpy as np

from crydistill.detector.night_hours import NightHours

_FORMAT_VERSION = 1

_QUIET_MINUTES = 60
_HEARD_SHARE = 0.9
"""Share of an hour that must have been heard to call it quiet."""


@dataclass
class Episode:
    """An alert: when its crying began, in UTC, seconds until it ended, and its highest score."""

    begin: datetime
    seconds: float = 0.0
    score: float = 0.0

    @property
    def end(self) -> datetime:
        return self.begin + timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class NightSummary:
    """A night in some figures; moments by the local clock.

    day : on which the night began
    listened, crying : minutes in which there was sound to listen to, and in alert
    first, last : begin of the first and end of the last episode
    quietest : begin of the hour with the least crying, the farthest from any; None if there was no
        crying, or no hour was heard whole
    """

    day: date
    begin: datetime
    end: datetime
    listened: float
    episodes: int
    crying: float
    first: datetime | None
    last: datetime | None
    quietest: datetime | None

    def to_json(self) -> dict[str, Any]:
        """JSON-serializable form: an event like those of alerts."""
        return {
            "event": "night",
            "night": self.day.isoformat(),
            "from": _iso(self.begin),
            "to": _iso(self.end),
            "listened_min": round(self.listened),
            "episodes": self.episodes,
            "crying_min": round(self.crying, 1),
            "first": _iso(self.first),
            "last": _iso(self.last),
            "quietest_hour": _iso(self.quietest),
        }


@dataclass
class Night:
    """The record of a night, while it lasts and afterwards.

    Time in alert and time listened to are counted in seconds of sound, so that a clock that is set
    changes neither; the clock says only in which minute of the night they lie.

    heard : seconds listened to in each minute of the night
    reported : whether its summary has been told
    """

    day: date
    begin: datetime
    end: datetime
    heard: list[float] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    reported: bool = False

    @classmethod
    def of(cls, day: date, hours: NightHours) -> Self:
        """An empty record of the night that begins on a day."""
        begin, end = hours.of(day)
        return cls(day, begin, end, [0.0] * int((end - begin).total_seconds() // 60))

    @property
    def listened(self) -> float:
        """Seconds."""
        return sum(self.heard)

    @property
    def crying(self) -> float:
        """Seconds."""
        return sum(episode.seconds for episode in self.episodes)

    def hear(self, now: datetime, seconds: float) -> None:
        """There was sound to listen to until now, for so long."""
        minute = int((now - self.begin).total_seconds() // 60)
        if 0 <= minute < len(self.heard):
            self.heard[minute] += seconds

    def crying_minutes(self) -> list[float]:
        """Seconds of crying in each minute of the night."""
        seconds = np.zeros(len(self.heard))
        for episode in self.episodes:
            at = (episode.begin - self.begin).total_seconds()
            edges = np.clip(60.0 * np.arange(len(seconds) + 1), at, at + episode.seconds)
            seconds += np.diff(edges)
        return [float(value) for value in seconds]

    def summary(self, hours: NightHours) -> NightSummary:
        """The night in some figures."""
        first = min((e.begin for e in self.episodes), default=None)
        last = max((e.end for e in self.episodes), default=None)
        quiet = _quietest_minute(np.array(self.crying_minutes()), np.array(self.heard))
        quietest = None if quiet is None else self.begin + timedelta(minutes=quiet)
        return NightSummary(
            day=self.day,
            begin=hours.local(self.begin),
            end=hours.local(self.end),
            listened=self.listened / 60,
            episodes=len(self.episodes),
            crying=self.crying / 60,
            first=first and hours.local(first),
            last=last and hours.local(last),
            quietest=quietest and hours.local(quietest),
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-serializable form, in UTC; `from_json` reads it."""
        return {
            "format_version": _FORMAT_VERSION,
            "night": self.day.isoformat(),
            "begin": self.begin.isoformat(),
            "end": self.end.isoformat(),
            "heard_s": [round(seconds, 1) for seconds in self.heard],
            "episodes": [
                [e.begin.isoformat(timespec="seconds"), round(e.seconds, 2), round(e.score, 4)]
                for e in self.episodes
            ],
            "reported": self.reported,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read a `to_json`.

        Raises
        ------
        ValueError
            if it is none.
        """
        try:
            if content["format_version"] != _FORMAT_VERSION:
                raise ValueError
            begin, end = (datetime.fromisoformat(content[key]) for key in ("begin", "end"))
            heard = [float(seconds) for seconds in content["heard_s"]]
            episodes = [
                Episode(datetime.fromisoformat(at), float(seconds), float(score))
                for at, seconds, score in content["episodes"]
            ]
            aware = all(at.tzinfo for at in (begin, end, *(e.begin for e in episodes)))
            if not aware or len(heard) != (end - begin).total_seconds() // 60:
                raise ValueError
            day = date.fromisoformat(content["night"])
            return cls(day, begin, end, heard, episodes, bool(content["reported"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("not the record of a night") from error


def _quietest_minute(crying: np.ndarray[Any, Any], heard: np.ndarray[Any, Any]) -> int | None:
    """First minute of the hour with the least crying; of several, the farthest from any."""
    if len(crying) < _QUIET_MINUTES or not crying.any():
        return None
    window = np.ones(_QUIET_MINUTES)
    # Sums of 60 numbers in another order differ in their last digits.
    total = np.round(np.convolve(crying, window, mode="valid"), 3)
    whole = np.convolve(np.minimum(heard, 60), window, mode="valid")
    starts = np.flatnonzero(whole >= _HEARD_SHARE * 60 * _QUIET_MINUTES)
    if not len(starts):
        return None
    best = starts[total[starts] == total[starts].min()]
    middle = best[:, None] + _QUIET_MINUTES / 2
    distance = np.abs(middle - (np.flatnonzero(crying) + 0.5)).min(axis=1)
    return int(best[distance.argmax()])


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
