import json
from datetime import date

from crydistill.detector.day import DayCount

TODAY, TOMORROW = date(2026, 1, 2), date(2026, 1, 3)


def test_time_in_alert_counts_from_its_onset_as_it_passes() -> None:
    count = DayCount(TODAY)
    count.pass_time(100.0, TODAY)
    count.begin(95.0, TODAY)
    assert (count.episodes, count.crying) == (1, 0.0)
    count.pass_time(101.0, TODAY)
    assert count.crying == 6.0
    count.pass_time(131.0, TODAY)
    count.end(130.0, TODAY)  # the window that ended it is a little older than the block
    assert count.crying == 36.0
    count.pass_time(500.0, TODAY)
    assert (count.episodes, count.crying) == (1, 36.0)


def test_a_new_day_begins_at_zero_also_within_an_alert() -> None:
    count = DayCount(TODAY)
    count.begin(0.0, TODAY)
    count.pass_time(60.0, TODAY)
    count.pass_time(60.24, TOMORROW)
    assert count.to_json() == {"date": "2026-01-03", "episodes": 0, "crying_min": 0.0}
    count.end(120.24, TOMORROW)
    assert count.to_json() == {"date": "2026-01-03", "episodes": 0, "crying_min": 1.0}


def test_a_restart_goes_on_with_the_same_day() -> None:
    before = DayCount(TODAY)
    before.begin(0.0, TODAY)
    before.end(90.0, TODAY)
    kept = json.loads(json.dumps(before.to_json()))
    count = DayCount(TODAY)
    count.begin(3.0, TODAY)  # before the broker answered
    count.take_up(kept, TODAY)
    count.end(33.0, TODAY)
    assert count.to_json() == {"date": "2026-01-02", "episodes": 2, "crying_min": 2.0}
    later = DayCount(TOMORROW)
    later.take_up(kept, TOMORROW)
    assert later.to_json() == {"date": "2026-01-03", "episodes": 0, "crying_min": 0.0}


def test_what_is_no_count_is_left_alone() -> None:
    good = {"date": "2026-01-02", "episodes": 1, "crying_min": 1.0}
    for bad in (None, [], "x", {}, good | {"episodes": -1}, good | {"crying_min": 1e9},
                good | {"episodes": "1"}, good | {"crying_min": float("nan")}):  # fmt: skip
        count = DayCount(TODAY)
        count.take_up(bad, TODAY)
        assert (count.episodes, count.crying) == (0, 0.0), bad
