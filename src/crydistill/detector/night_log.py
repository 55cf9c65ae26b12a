"""Keep a record of each night while listening, and tell what the night was when it is over.

With a folder, the record of a night is a file there (`night-DATE.json`, from which a listener that
was restarted goes on), and so is its page (`night-DATE.html`). Without one, a restart begins anew.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from crydistill import atomic
from crydistill.boundary import require_outside_work_tree
from crydistill.detector.live import LiveEvent, LiveState
from crydistill.detector.night import Episode, Night, NightSummary
from crydistill.detector.night_hours import NightHours
from crydistill.detector.night_page import night_page
from crydistill.detector.vote import EventKind
from crydistill.errors import ConfigError, SetupError
from crydistill.json_file import read_json
from crydistill.lock import BusyError, exclusive

SAVE_SECONDS = 300.0
"""Longest time that a crash forgets; a memory card does not like more writing."""

SHORTEST_SECONDS = 600.0
"""A night of which less was heard is not told: a clock that was wrong at boot makes such nights."""


_LOCK_NAME = ".nights.lock"
"""Of its own: the folder may be that of the clips, whose lock is held for moments."""


class NightLog:
    """Takes note of what is heard at night.

    The local clock says when a night begins and ends. It may jump: a night that is entered again
    goes on, and is told again, with what came later.

    Parameters
    ----------
    tell : called with each night that is over
    folder : for records and pages, which are private, of this listener alone until `close`; None to
        keep none
    say : called with a message when something could not be saved; listening goes on
    clock : returns the wall-clock time
    now : returns seconds that only rise

    Raises
    ------
    CorpusError
        if the folder is inside a git work tree.
    ConfigError
        if nothing can be written there, or another listener keeps its nights there: each would
        replace what the other wrote.
    """

    def __init__(
        self,
        hours: NightHours,
        tell: Callable[[NightSummary], None],
        *,
        folder: Path | None = None,
        say: Callable[[str], None] = lambda line: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hours, self._tell, self._folder, self._say = hours, tell, folder, say
        self._clock, self._now = clock, now
        self._night: Night | None = None
        self._former: Night | None = None  # the one before, in case the clock goes back
        self._crying: Episode | None = None  # in progress
        self._counted_to = 0.0  # seconds of audio, of it
        self._seconds = 0.0  # of audio, so far
        self._saved_at = now()
        self._began = False
        self._held = ExitStack()
        if folder is not None:
            self._held.enter_context(_own(folder))

    def publish(self, event: LiveEvent) -> None:
        """An alert went on or off."""
        self._enter(event.time)
        if event.kind is EventKind.ON:
            self._counted_to = event.at
            self._begin(event.time, event.at - event.onset)
        else:
            self._count(event.at)
        if self._crying is not None:
            self._crying.score = max(self._crying.score, event.score)
        if event.kind is EventKind.OFF:
            self._crying = None
        self._save()

    def heard(self, state: LiveState) -> None:
        """Listening has come to `state`."""
        now = self._clock()
        self._count(state.seconds)
        self._enter(now)
        passed, self._seconds = max(0.0, state.seconds - self._seconds), state.seconds
        if self._night is not None and state.sound:
            self._night.hear(now, passed)
        if self._now() - self._saved_at >= SAVE_SECONDS:
            self._save()

    def close(self) -> None:
        """Listening ends; the night does not."""
        self._save()
        self._held.close()

    def _begin(self, now: datetime, lead: float) -> None:
        """Begin an episode that has lasted for `lead` seconds, as far as they are of this night."""
        if self._night is not None:
            lead = min(lead, max(0.0, (now - self._night.begin).total_seconds()))
            begin = datetime.fromtimestamp(now.timestamp() - lead, UTC)
            self._crying = Episode(begin, lead)
            self._night.episodes.append(self._crying)
        else:
            self._crying = Episode(now)  # by day: counted from when a night begins

    def _count(self, at: float) -> None:
        if self._crying is not None and at > self._counted_to:
            self._crying.seconds += at - self._counted_to
            self._counted_to = at

    def _enter(self, now: datetime) -> None:
        """Change to another night, or to day, if it has begun."""
        if not self._began:
            self._began = True
            self._tell_left_over(now)
        day = self._hours.night_at(now)
        if day == (self._night.day if self._night else None):
            return
        if self._night is not None:
            self._finish(self._night)
        self._former, self._night = self._night or self._former, self._taken_up(day)
        if self._crying is not None:
            self._begin(now, 0.0)

    def _taken_up(self, day: date | None) -> Night | None:
        if day is None:
            return None
        if self._former is not None and self._former.day == day:
            return self._former
        return self._loaded(day) or Night.of(day, self._hours)

    def _finish(self, night: Night) -> None:
        self._save(night)
        if night.listened >= SHORTEST_SECONDS:
            night.reported = True
            self._save(night)
            self._tell(night.summary(self._hours))

    def _tell_left_over(self, now: datetime) -> None:
        """Tell the nights that ended while nobody listened."""
        if self._folder is None:
            return
        for path in sorted(self._folder.glob("night-*.json")):
            night = self._read(path)
            if night is not None and not night.reported and night.end <= now:
                self._finish(night)

    def _loaded(self, day: date) -> Night | None:
        path = self._path(day)
        night = self._read(path) if path is not None and path.exists() else None
        # Other hours than then: what was heard does not fit any more.
        fits = night is not None and (night.begin, night.end) == self._hours.of(day)
        return night if fits else None

    def _read(self, path: Path) -> Night | None:
        try:
            return Night.from_json(read_json(path, "the night begins anew"))
        except (ConfigError, ValueError):
            self._say(f"{path}: not the record of a night; it is left alone or written anew")
            return None

    def _save(self, night: Night | None = None) -> None:
        night = night or self._night
        self._saved_at = self._now()
        path = self._path(night.day) if night else None
        if night is None or path is None:
            return
        try:
            atomic.write_text(path, json.dumps(night.to_json()))
            atomic.write_text(path.with_suffix(".html"), night_page(night, self._hours))
        except OSError as error:
            self._say(f"{path}: not saved ({error.strerror}); listening continues")

    def _path(self, day: date) -> Path | None:
        return None if self._folder is None else self._folder / f"night-{day.isoformat()}.json"


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """Make the folder and keep other listeners out of it; fail now, and not in the evening."""
    require_outside_work_tree(folder, "pages of nights (they are private)")
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(folder / _LOCK_NAME))
        except BusyError as error:
            raise ConfigError(
                f"{folder}: another `crydistill listen` keeps its nights there; choose another "
                "folder"
            ) from error
        except SetupError:  # a file system without locks
            pass
        except OSError as error:
            raise ConfigError(
                f"{folder}: pages of nights cannot be saved there ({error.strerror}); choose "
                "another folder"
            ) from error
        yield
