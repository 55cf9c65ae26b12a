from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crydistill.detector.night_hours import NightHours
from crydistill.errors import ConfigError

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 27), 12), (date(2026, 3, 28), 11), (date(2026, 10, 24), 13)],
)
def test_a_night_in_which_the_clock_is_changed_is_an_hour_shorter_or_longer(
    day: date, hours: int
) -> None:
    begin, end = NightHours.parse("19:00-07:00", zone=BERLIN).of(day)
    assert (end - begin) == timedelta(hours=hours)
    assert begin.astimezone(BERLIN).hour == 19 and end.astimezone(BERLIN).hour == 7


def test_a_night_is_named_after_the_day_on_which_it_begins() -> None:
    hours = NightHours.parse("19:00-07:00", zone=BERLIN)
    evening = datetime(2026, 11, 27, 19, 0, tzinfo=BERLIN)
    assert hours.night_at(evening - timedelta(seconds=1)) is None
    assert hours.night_at(evening) == date(2026, 11, 27)
    assert hours.night_at(evening + timedelta(hours=11, minutes=59)) == date(2026, 11, 27)
    assert hours.night_at(evening + timedelta(hours=12)) is None


def test_a_nap_is_a_night_within_a_day() -> None:
    hours = NightHours.parse("12:00-14:30", zone=UTC)
    assert hours.night_at(datetime(2026, 1, 1, 14, 29, tzinfo=UTC)) == date(2026, 1, 1)
    assert hours.night_at(datetime(2026, 1, 1, 1, 0, tzinfo=UTC)) is None


def test_without_a_zone_the_machine_decides() -> None:
    hours = NightHours.parse("19:00-07:00")
    begin, end = hours.of(date(2026, 1, 1))
    assert begin.astimezone().replace(tzinfo=None) == datetime(2026, 1, 1, 19, 0)
    assert end.astimezone().replace(tzinfo=None) == datetime(2026, 1, 2, 7, 0)


@pytest.mark.parametrize("text", ["", "19-7", "19:00", "24:00-07:00", "19:60-07:00", "7:00-07:00"])
def test_what_is_no_night_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=f"night '{text}': "):
        NightHours.parse(text)
