"""When the night is: hours of the local clock, in a time zone that may change its offset."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Self

from crydistill.errors import ConfigError


@dataclass(frozen=True)
class NightHours:
    """From when to when a night lasts, by the local clock.

    zone : time zone; None for this machine's

    Raises
    ------
    ConfigError
        from `parse`.

    Examples
    --------
    >>> hours = NightHours.parse("19:00-07:00", zone=UTC)
    >>> hours.night_at(datetime(2026, 1, 3, 2, 30, tzinfo=UTC))
    datetime.date(2026, 1, 2)
    >>> hours.night_at(datetime(2026, 1, 3, 12, 0, tzinfo=UTC)) is None
    True
    """

    begin: time
    end: time
    zone: tzinfo | None = None

    @classmethod
    def parse(cls, text: str, *, zone: tzinfo | None = None) -> Self:
        """Read HH:MM-HH:MM; the night ends the next day if its end is not after its begin."""
        found = re.fullmatch(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)", text)
        try:
            if not found:
                raise ValueError
            hour, minute, end_hour, end_minute = map(int, found.groups())
            begin, end = time(hour, minute), time(end_hour, end_minute)
        except ValueError:
            raise ConfigError(f"night '{text}': write two times, such as 19:00-07:00") from None
        if begin == end:
            raise ConfigError(f"night '{text}': it must end at another time than it begins")
        return cls(begin, end, zone)

    def of(self, day: date) -> tuple[datetime, datetime]:
        """Begin and end, in UTC, of the night that begins on a day."""
        last = day if self.begin < self.end else day + timedelta(days=1)
        return self._utc(day, self.begin), self._utc(last, self.end)

    def night_at(self, now: datetime) -> date | None:
        """Day on which the night began in which a moment lies; None by day."""
        today = self.local(now).date()
        for day in (today, today - timedelta(days=1)):
            begin, end = self.of(day)
            if begin <= now < end:
                return day
        return None

    def local(self, moment: datetime) -> datetime:
        """A moment by the local clock."""
        return moment.astimezone(self.zone)

    def _utc(self, day: date, clock: time) -> datetime:
        # Without a zone Python takes the machine's, with the offset that it has on that day.
        return datetime.combine(day, clock, tzinfo=self.zone).astimezone(UTC)
