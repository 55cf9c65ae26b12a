"""The download ledger: what came of every segment that was ever asked for.

`ledger.jsonl` in the download folder gets one line an attempt, at its end; the last line of a
segment counts. A kill can tear the last line only: readers pass over it, the next writer cuts it
off.
"""

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from crydistill.corpora.audioset import CLASS_MIDS, Segment
from crydistill.errors import CorpusError


class State(StrEnum):
    """What came of a segment."""

    DONE = "done"
    REMOVED = "removed"
    PRIVATE = "private"
    AGE_RESTRICTED = "age-restricted"
    REGION_BLOCKED = "region-blocked"
    RATE_LIMITED = "rate-limited"
    NETWORK = "network"
    BAD_MEDIA = "bad media"
    UNAVAILABLE = "unavailable"
    """Said without a reason: of deleted videos, and to throttled guests."""
    NOT_UNDERSTOOD = "not understood"


GONE = frozenset({State.REMOVED, State.PRIVATE, State.AGE_RESTRICTED, State.REGION_BLOCKED})
FINAL = GONE | {State.DONE}
"""States that no later run asks about again."""


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    time : Unix time in seconds at the attempt's end
    detail : the tool's message, or how the file came here
    sha256, seconds, level_dbfs : of the file of a segment that is done; the level is the RMS in
        decibels of full scale
    """

    youtube_id: str
    start: float
    end: float
    state: State
    time: float
    detail: str = ""
    sha256: str = ""
    seconds: float = 0.0
    level_dbfs: float = 0.0

    def is_of(self, segment: Segment) -> bool:
        """Whether it speaks of this stretch of the video, and not of another one."""
        mine = (self.youtube_id, self.start, self.end)
        return mine == (segment.youtube_id, segment.start, segment.end)


@dataclass(frozen=True)
class ClassRow:
    """How many of a class's segments are in each state; untried ones are under None."""

    class_name: str
    states: Mapping[State | None, int]

    @property
    def listed(self) -> int:
        return sum(self.states.values())

    @property
    def done(self) -> int:
        return self.states.get(State.DONE, 0)

    @property
    def gone(self) -> int:
        return sum(count for state, count in self.states.items() if state in GONE)

    @property
    def waiting(self) -> int:
        return self.listed - self.done - self.gone


class Ledger:
    """Append access; one writer at a time."""

    def __init__(self, folder: Path) -> None:
        """Open or begin the ledger of a download folder.

        Raises
        ------
        CorpusError
            naming the malformed line.
        """
        path = _path(folder)
        self.last: dict[str, Entry] = {}
        self._unavailable_since: dict[str, float] = {}
        for entry in _entries(path):
            self._note(entry)
        self._file = path.open("ab")
        self._file.truncate(_whole_bytes(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, entry: Entry) -> None:
        """Add a line; it is on the disk when this returns."""
        line = json.dumps(dataclasses.asdict(entry), ensure_ascii=False)
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._note(entry)

    def of(self, segment: Segment) -> Entry | None:
        """The segment's last entry."""
        entry = self.last.get(segment.youtube_id)
        return entry if entry and entry.is_of(segment) else None

    def unavailable_since(self, segment: Segment) -> float | None:
        """Unix time at which the video was first called unavailable without a reason."""
        return self._unavailable_since.get(segment.youtube_id)

    def _note(self, entry: Entry) -> None:
        self.last[entry.youtube_id] = entry
        if entry.state is State.UNAVAILABLE:
            self._unavailable_since.setdefault(entry.youtube_id, entry.time)


def read_ledger(folder: str | Path) -> dict[str, Entry]:
    """The last entry of each segment, by id; empty where nothing was fetched yet.

    Raises
    ------
    CorpusError
        naming the malformed line.
    """
    return {entry.youtube_id: entry for entry in _entries(_path(folder))}


def survivors_by_class(ledger: Mapping[str, Entry], segments: Iterable[Segment]) -> list[ClassRow]:
    """One row for each class in the list, in the order of `audioset.CLASS_MIDS`."""
    counts: dict[str, Counter[State | None]] = {name: Counter() for name in (*CLASS_MIDS, "other")}
    for segment in segments:
        entry = ledger.get(segment.youtube_id)
        counts[segment.class_name][entry.state if entry and entry.is_of(segment) else None] += 1
    return [ClassRow(name, states) for name, states in counts.items() if states]


def _path(folder: str | Path) -> Path:
    return Path(folder) / "ledger.jsonl"


def _whole_bytes(path: Path) -> int:
    """Length of the file up to the end of its last whole line."""
    return path.read_bytes().rfind(b"\n") + 1


def _entries(path: Path) -> Iterator[Entry]:
    if not path.is_file():
        return
    lines = path.read_bytes()[: _whole_bytes(path)].splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            yield Entry(**{**fields, "state": State(fields["state"])})
        except (ValueError, TypeError, KeyError) as error:
            raise CorpusError(
                f"{path}:{number}: not a line of a download ledger ({error}); remove the line, "
                "its segment is then fetched again"
            ) from error
