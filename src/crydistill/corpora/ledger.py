"""The download ledger: an append-only log of the outcome of every download attempt.

Each attempt appends one line to `ledger.jsonl` in the download folder when it ends; a segment's
last line counts. A kill can leave only the last line incomplete: readers ignore it, the next writer
truncates it.
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
from crydistill.json_file import parse_json


class State(StrEnum):
    """Outcome of a download attempt."""

    DONE = "done"
    REMOVED = "removed"
    PRIVATE = "private"
    AGE_RESTRICTED = "age-restricted"
    REGION_BLOCKED = "region-blocked"
    RATE_LIMITED = "rate-limited"
    NETWORK = "network"
    BAD_MEDIA = "bad media"
    UNAVAILABLE = "unavailable"
    """Reported without a reason, both for deleted videos and to rate-limited clients."""
    NOT_UNDERSTOOD = "not understood"


GONE = frozenset({State.REMOVED, State.PRIVATE, State.AGE_RESTRICTED, State.REGION_BLOCKED})
FINAL = GONE | {State.DONE}
"""States that are not retried by later runs."""

_TAIL_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the ledger.

    time : Unix time in seconds at the end of the attempt
    detail : the tool's message, or where the file came from
    sha256, seconds, level_dbfs : of the file of a completed segment; the level is the RMS in dBFS
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
        """Whether the entry is about this section of the video, not another one."""
        mine = (self.youtube_id, self.start, self.end)
        return mine == (segment.youtube_id, segment.start, segment.end)


@dataclass(frozen=True)
class ClassRow:
    """Number of a class's segments in each state; None for segments never tried."""

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
    """Append access to a ledger; only one writer at a time."""

    def __init__(self, folder: Path) -> None:
        """Open or create the ledger of a download folder.

        Raises
        ------
        CorpusError
            naming the malformed line.
        """
        path = _path(folder)
        self.last: dict[str, LedgerEntry] = {}
        self._unavailable_since: dict[str, float] = {}
        for entry in _entries(path):
            self._remember(entry)
        self._file = path.open("ab")
        self._file.truncate(_complete_bytes(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, entry: LedgerEntry) -> None:
        """Append a line and flush it to disk."""
        line = json.dumps(dataclasses.asdict(entry), ensure_ascii=False)
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._remember(entry)

    def of(self, segment: Segment) -> LedgerEntry | None:
        """Return the segment's last entry, None if it was never tried."""
        entry = self.last.get(segment.youtube_id)
        return entry if entry and entry.is_of(segment) else None

    def unavailable_since(self, segment: Segment) -> float | None:
        """Unix time at which the video was first reported unavailable without a reason."""
        return self._unavailable_since.get(segment.youtube_id)

    def _remember(self, entry: LedgerEntry) -> None:
        self.last[entry.youtube_id] = entry
        if entry.state is State.UNAVAILABLE:
            self._unavailable_since.setdefault(entry.youtube_id, entry.time)


def read_ledger(folder: str | Path) -> dict[str, LedgerEntry]:
    """Return the last entry of each segment by id; empty if nothing has been fetched yet.

    Raises
    ------
    CorpusError
        naming the malformed line.
    """
    return {entry.youtube_id: entry for entry in _entries(_path(folder))}


def survivors_by_class(
    ledger: Mapping[str, LedgerEntry], segments: Iterable[Segment]
) -> list[ClassRow]:
    """Count the segments' states by class, in the order of `audioset.CLASS_MIDS`."""
    counts: dict[str, Counter[State | None]] = {name: Counter() for name in (*CLASS_MIDS, "other")}
    for segment in segments:
        entry = ledger.get(segment.youtube_id)
        counts[segment.class_name][entry.state if entry and entry.is_of(segment) else None] += 1
    return [ClassRow(name, states) for name, states in counts.items() if states]


def _path(folder: str | Path) -> Path:
    return Path(folder) / "ledger.jsonl"


def _complete_bytes(path: Path) -> int:
    """Length of the file up to the end of its last complete line."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _TAIL_BYTES)
            file.seek(start)
            if (newline := file.read(end - start).rfind(b"\n")) >= 0:
                return start + newline + 1
            end = start
    return 0


def _entries(path: Path) -> Iterator[LedgerEntry]:
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                yield _entry(line, f"{path}:{number}")


def _entry(line: bytes, place: str) -> LedgerEntry:
    try:
        fields = parse_json(line)
        return LedgerEntry(**{**fields, "state": State(fields["state"])})
    except (ValueError, TypeError, KeyError) as error:
        raise CorpusError(
            f"{place}: not a line of a download ledger ({error}); remove the line to "
            "fetch its segment again"
        ) from error
