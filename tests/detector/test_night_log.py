"""Nights: counted by sound, told by the clock; with restarts, changed clocks and damaged files."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from crydistill.detector.clip_folder import room_for
from crydistill.detector.live import LiveEvent, LiveState
from crydistill.detector.night import NightSummary
from crydistill.detector.night_hours import NightHours
from crydistill.detector.night_log import SAVE_SECONDS, NightLog
from crydistill.detector.vote import EventKind, VoteSettings
from crydistill.errors import ConfigError, CorpusError

BERLIN = ZoneInfo("Europe/Berlin")
STEP = 30.0  # seconds


class Home:
    """A listener and its clock, of which only the log of nights is real."""

    def __init__(self, at: str, folder: Path | None = None, hours: str = "19:00-07:00") -> None:
        self.time = datetime.fromisoformat(at).replace(tzinfo=BERLIN).astimezone(UTC)
        self.steady = 0.0
        self.told: list[NightSummary] = []
        self.said: list[str] = []
        self.folder, self.hours = folder, NightHours.parse(hours, zone=BERLIN)
        self.start()

    def start(self) -> None:
        """Listening begins, perhaps again."""
        self.seconds, self.sound = 0.0, True
        self.__dict__.pop("log", None)  # after a crash, nothing holds the folder any more
        self.log = NightLog(
            self.hours, self.told.append, folder=self.folder, say=self.said.append,
            clock=lambda: self.time, now=lambda: self.steady,
        )  # fmt: skip

    def listen(self, minutes: float) -> None:
        for _ in range(round(minutes * 60 / STEP)):
            self.seconds += STEP
            self.steady += STEP
            self.time += timedelta(seconds=STEP)
            state = LiveState(VoteSettings(threshold=0.5), seconds=self.seconds, sound=self.sound)
            self.log.heard(state)

    def until(self, at: str) -> None:
        end = datetime.fromisoformat(at).replace(tzinfo=BERLIN).astimezone(UTC)
        self.listen((end - self.time).total_seconds() / 60)

    def alert(self, kind: EventKind, lead: float = 0.0, score: float = 0.8) -> None:
        event = LiveEvent(kind, self.seconds, self.seconds - lead, score, self.time)
        self.log.publish(event)

    def cry(self, minutes: float) -> None:
        self.alert(EventKind.ON)
        self.listen(minutes)
        self.alert(EventKind.OFF, 60 * minutes, 0.9)


def local(moment: datetime | None) -> str:
    assert moment is not None
    return f"{moment.astimezone(BERLIN):%H:%M}"


def test_a_night_in_figures() -> None:
    home = Home("2026-11-27 18:00")
    home.cry(2)  # by day: not of the night
    home.until("2026-11-27 20:15")
    home.cry(5)
    home.until("2026-11-28 01:00")
    home.cry(10)
    home.until("2026-11-28 05:30")
    home.cry(1)
    home.until("2026-11-28 06:59")
    assert home.told == []
    home.listen(2)
    (night,) = home.told
    assert (night.episodes, night.crying) == (3, pytest.approx(16))
    assert night.listened == pytest.approx(12 * 60, abs=1)
    assert (local(night.first), local(night.last)) == ("20:15", "05:31")
    # The longest pauses are 20:20 to 01:00 and 01:10 to 05:30; the middle of the first.
    assert night.quietest is not None
    assert local(night.quietest) == "22:10"
    printed = night.to_json()
    assert printed["event"] == "night" and printed["night"] == "2026-11-27"
    assert printed["from"] == f"{printed['night']}T19:00:00+01:00"
    home.until("2026-11-29 07:01")
    assert home.told[1].episodes == 0 and home.told[1].quietest is None


def test_an_episode_is_counted_in_the_nights_in_which_it_lies() -> None:
    home = Home("2026-11-27 18:50")
    home.cry(30)
    home.until("2026-11-28 06:55")
    home.cry(10)
    (night,) = home.told
    assert night.episodes == 2
    assert night.crying == pytest.approx(20 + 5, abs=0.5)
    assert (local(night.first), local(night.last)) == ("19:00", "07:00")


def test_crying_counts_from_its_onset() -> None:
    home = Home("2026-11-27 21:00")
    home.listen(1)
    home.alert(EventKind.ON, lead=6)
    home.listen(0.5)
    home.alert(EventKind.OFF, lead=36)
    home.until("2026-11-28 07:01")
    assert home.told[0].crying == pytest.approx(36 / 60)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 11), ("2026-10-24", 13)])
def test_the_night_of_summer_time_is_told_at_its_end(day: str, hours: int) -> None:
    home = Home(f"{day} 19:00")
    home.listen(60 * hours - 5)
    assert not home.told
    home.listen(10)
    (night,) = home.told
    assert night.listened == pytest.approx(60 * hours, abs=1)
    assert night.end.utcoffset() != night.begin.utcoffset()


def test_time_without_sound_is_not_listened_to() -> None:
    home = Home("2026-11-27 19:00")
    home.cry(5)
    home.listen(115)
    home.sound = False
    home.listen(9 * 60)
    home.sound = True
    home.until("2026-11-28 07:01")
    (night,) = home.told
    assert night.listened == pytest.approx(3 * 60, abs=1)
    assert night.quietest is not None
    assert local(night.quietest) in ("06:00", "20:00")


def test_a_restart_in_the_night_goes_on_with_it(tmp_path: Path) -> None:
    home = Home("2026-11-27 19:00", tmp_path)
    home.cry(5)
    home.listen(60)
    home.log.close()
    home.time += timedelta(minutes=30)
    home.start()
    home.cry(3)
    home.until("2026-11-28 07:01")
    (night,) = home.told
    assert (night.episodes, night.crying) == (2, pytest.approx(8))
    assert night.listened == pytest.approx(12 * 60 - 30, abs=1)


def test_a_crash_forgets_little(tmp_path: Path) -> None:
    home = Home("2026-11-27 19:00", tmp_path)
    home.cry(5)
    home.listen(60)
    home.start()  # nothing was closed
    home.until("2026-11-28 07:01")
    assert home.told[0].episodes == 1
    assert home.told[0].listened > 12 * 60 - SAVE_SECONDS / 60 - 1


def test_a_night_that_ended_while_nobody_listened_is_told_at_the_next_start(tmp_path: Path) -> None:
    home = Home("2026-11-27 19:00", tmp_path)
    home.cry(5)
    home.listen(60)
    home.log.close()
    home.time += timedelta(hours=14)
    home.start()
    home.listen(1)
    (night,) = home.told
    assert night.episodes == 1
    home.start()
    home.listen(1)
    assert len(home.told) == 1


def test_a_clock_that_is_set_back_after_the_night_tells_it_again_whole() -> None:
    home = Home("2026-11-27 19:00")
    home.cry(5)
    home.until("2026-11-28 07:01")
    home.time -= timedelta(minutes=20)
    home.cry(2)
    home.until("2026-11-28 07:01")
    assert [night.episodes for night in home.told] == [1, 2]
    assert home.told[1].crying == pytest.approx(7)


def test_a_clock_that_was_wrong_at_boot_makes_no_night() -> None:
    home = Home("1970-01-01 01:00")
    home.listen(2)
    home.time = datetime(2026, 11, 27, 20, 0, tzinfo=UTC)
    home.cry(5)
    home.until("2026-11-28 07:01")
    (night,) = home.told
    assert (str(night.day), night.episodes) == ("2026-11-27", 1)


def test_a_clock_that_jumps_in_an_episode_does_not_change_its_length() -> None:
    home = Home("2026-11-27 22:00")
    home.alert(EventKind.ON)
    home.listen(2)
    home.time += timedelta(hours=3)
    home.listen(2)
    home.alert(EventKind.OFF, lead=240)
    home.until("2026-11-28 07:01")
    assert home.told[0].crying == pytest.approx(4)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format_version": 1}', "\x00\xff"])
def test_a_damaged_record_is_named_and_written_anew(content: str, tmp_path: Path) -> None:
    record = tmp_path / "night-2026-11-27.json"
    record.write_text(content)
    home = Home("2026-11-27 19:00", tmp_path)
    home.cry(5)
    home.until("2026-11-28 07:01")
    assert home.told[0].episodes == 1
    assert str(record) in home.said[0]
    assert json.loads(record.read_text())["reported"] is True


def test_a_full_disk_does_not_end_listening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("crydistill.atomic.write_text", full)
    home = Home("2026-11-27 19:00", tmp_path)
    home.cry(5)
    home.until("2026-11-28 07:01")
    assert home.told[0].episodes == 1
    assert "not saved (No space left on device); listening continues" in home.said[0]


def test_two_listeners_do_not_write_over_each_others_nights(tmp_path: Path) -> None:
    first = Home("2026-11-27 19:00", tmp_path / "nights")
    with pytest.raises(ConfigError, match="nights: another `crydistill listen` keeps its nights"):
        Home("2026-11-27 19:00", tmp_path / "nights")
    first.log.close()
    Home("2026-11-27 19:00", tmp_path / "nights").log.close()
    assert not list((tmp_path / "nights").glob(".*"))


def test_nights_and_clips_may_share_a_folder(tmp_path: Path) -> None:
    home = Home("2026-11-27 19:00", tmp_path)
    with room_for(tmp_path, 1_000, limit=10_000):
        pass
    home.log.close()


def test_a_folder_that_cannot_be_written_is_said_before_the_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="pages of nights cannot be saved there"):
        Home("2026-11-27 12:00", tmp_path / "file")

    def refuse(*_: object) -> None:  # as root may write anywhere
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"cannot be saved there \(Permission denied\); choose"):
        Home("2026-11-27 12:00", tmp_path / "nights")


def test_pages_stay_out_of_work_trees(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(CorpusError, match="pages of nights"):
        Home("2026-11-27 19:00", tmp_path / "nights")


def test_a_page_shows_what_the_summary_says(tmp_path: Path) -> None:
    home = Home("2026-11-27 19:00", tmp_path)
    home.until("2026-11-27 20:15")
    home.cry(5)
    home.until("2026-11-28 07:01")
    page = (tmp_path / "night-2026-11-27.html").read_text(encoding="utf-8")
    assert "Night of 27 to 28 November 2026" in page
    assert page.count('class="hour"') == 12
    assert 'aria-label="1 episode, 5 min of crying, the first from 20:15, the last until' in page
    assert page.count('<i class="cry" style=') == 1 and "left:25.00%;width:8.33%" in page
    assert '<th scope="row">20:15:00</th><td>20:20:00</td><td>5 min</td><td>0.90</td>' in page
    for name, value in (("Episodes", "1"), ("Crying", "5 min"), ("First began", "20:15")):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page
    assert "http" not in page  # nothing from elsewhere


def test_a_summary_has_moments_of_the_local_clock() -> None:
    home = Home("2026-11-27 19:00")
    home.cry(5)
    home.until("2026-11-28 07:01")
    (night,) = home.told
    assert night.to_json()["first"] == f"{night.to_json()['night']}T19:00:00+01:00"
    assert replace(night, first=None).to_json()["first"] is None
