"""Count episodes and minutes of crying since midnight."""

from datetime import date
from typing import Any


class DayCount:
    """Episodes and time in alert of one day; begins anew when the date changes.

    Durations are those of the audio, so that a clock that is set does not change them.

    Parameters
    ----------
    today : the date at which counting begins

    Attributes
    ----------
    episodes : alerts raised today
    crying : seconds in alert today, from each alert's onset to its end

    Examples
    --------
    >>> count = DayCount(date(2026, 1, 2))
    >>> count.begin(10.0, date(2026, 1, 2))
    >>> count.pass_time(40.0, date(2026, 1, 2))
    >>> count.end(70.0, date(2026, 1, 2))
    >>> count.to_json()
    {'date': '2026-01-02', 'episodes': 1, 'crying_min': 1.0}
    """

    def __init__(self, today: date) -> None:
        self._date = today
        self._counted_to: float | None = None  # seconds of audio; None while there is no alert
        self.episodes = 0
        self.crying = 0.0

    def begin(self, onset: float, today: date) -> None:
        """An alert was raised, with its first vote at `onset` seconds of audio."""
        self.pass_time(onset, today)
        self.episodes += 1
        self._counted_to = onset

    def pass_time(self, at: float, today: date) -> None:
        """Listening has come to `at` seconds of audio."""
        if self._counted_to is not None and at > self._counted_to:
            self.crying += at - self._counted_to
            self._counted_to = at
        if today != self._date:
            self._date, self.episodes, self.crying = today, 0, 0.0

    def end(self, at: float, today: date) -> None:
        """The alert ended at `at` seconds of audio."""
        self.pass_time(at, today)
        self._counted_to = None

    def take_up(self, content: Any, today: date) -> None:
        """Add what was counted before a restart, a `to_json`, if it is of today."""
        match content:
            case {
                "date": str(day),
                "episodes": int(episodes),
                "crying_min": int() | float() as min_,
            }:
                if day == today.isoformat() and episodes >= 0 and 0 <= min_ <= 24 * 60:
                    self.episodes += episodes
                    self.crying += 60 * min_

    def to_json(self) -> dict[str, Any]:
        """JSON-serializable form."""
        return {
            "date": self._date.isoformat(),
            "episodes": self.episodes,
            "crying_min": round(self.crying / 60, 1),
        }
