"""Read, write and draw AudioSet segment lists.

A segment is ten seconds (or less) of a public video, identified by its id, with labels but no
audio. Two formats are read: AudioSet's own metadata, and this project's lists, which start with the
header line below. Labels contain commas and are quoted in both.

    youtube_id,start_seconds,end_seconds,positive_labels,source
    --aE2O5G5WE,0,10,"/m/03fwl,/m/04rlf,/m/09x0r",youtube

`source` is `youtube`, or `synthetic` for a row without a video, whose audio is synthesised offline.
"""

import csv
import hashlib
import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from sys import intern
from typing import TextIO

from crydistill import atomic
from crydistill.corpora.clip import Clip, Label
from crydistill.errors import CorpusError
from crydistill.taxonomy import BABY_CRY, CRY_MIDS, CRYING_SOBBING

_CRY = frozenset(CRY_MIDS)
_SPEECH = frozenset({"/m/09x0r", "/m/05zppz", "/m/02zsn", "/m/0ytgt"})
_SILENCE = frozenset({"/m/028v0c", "/t/dd00125"})
_BABBLING = frozenset({"/m/0261r1"})
_SCREAM = frozenset({"/m/03qc9zr"})
_WAIL = frozenset({"/m/07qw_06"})

CLASS_MIDS: Mapping[str, frozenset[str]] = {
    "cry": _CRY,
    "babbling": _BABBLING,
    "scream": _SCREAM,
    "wail": _WAIL,
    "speech": _SPEECH,
    "silence": _SILENCE,
}
"""Classes of the lists. A segment belongs to the first one whose labels it has; rare classes come
first, since many of their segments are also labelled as speech."""

SPLITS = ("test", "train", "val")

FROZEN_SHA256: Mapping[str, str] = {
    "test": "acdfe6a911e30d4544474eafb23313fd7fb3d835fd0c60310086e59fa3763c52",
    "train": "aa9479d20c26ddd26e1b64ac88264490a723f605cd6a9c1f4e6612231b96fe5d",
    "val": "420612400200fffee4e2c521474335deb21efe1184b81856489fa044a31c83b3",
}
"""`ids_sha256` of the lists drawn from AudioSet v1's metadata."""

SMOKE_COUNTS: Mapping[str, int] = {"cry": 30, "speech": 10, "silence": 5, "babbling": 5}
_SMOKE_MIDS: Mapping[str, tuple[str, ...]] = {
    "cry": (CRYING_SOBBING, BABY_CRY),
    "speech": ("/m/09x0r", "/m/02zsn"),
    "silence": ("/m/028v0c",),
    "babbling": ("/m/0261r1", "/m/0ytgt"),
}
_SMOKE_SECONDS = 10.0

_FIELDS = ("youtube_id", "start_seconds", "end_seconds", "positive_labels", "source")
_SOURCES = {"youtube": False, "synthetic": True}
_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_MID = re.compile(r"/[a-z]/[a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Segment:
    """A section of a public video.

    youtube_id : 11 characters of [A-Za-z0-9_-]
    start, end : seconds into the video
    mids : AudioSet's labels
    synthetic : there is no video of this id; the synthetic nursery renders the audio
    """

    youtube_id: str
    start: float
    end: float
    mids: tuple[str, ...]
    synthetic: bool = False

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def label(self) -> Label:
        """Cry if AudioSet labels any part of the segment as crying."""
        return Label.NONCRY if _CRY.isdisjoint(self.mids) else Label.CRY

    @property
    def class_name(self) -> str:
        """The first of `CLASS_MIDS` whose labels it has, or "other"."""
        for name, mids in CLASS_MIDS.items():
            if not mids.isdisjoint(self.mids):
                return name
        return "other"

    def clip(self, path: Path) -> Clip:
        """Return the segment as a clip with its audio at `path`."""
        return Clip(
            id=self.youtube_id,
            path=path,
            label=self.label,
            group=self.youtube_id,
            mids=self.mids,
            category=self.class_name,
            source="synthetic nursery" if self.synthetic else "audioset",
            licence="MIT" if self.synthetic else "as its uploader's on YouTube",
        )


def ids_sha256(segments: Iterable[Segment]) -> str:
    """Content hash of a list: sha256 of its ids, one per line, each followed by a newline."""
    lines = "".join(f"{segment.youtube_id}\n" for segment in segments)
    return hashlib.sha256(lines.encode("ascii")).hexdigest()


def class_counts(segments: Iterable[Segment]) -> dict[str, int]:
    """Number of segments of each class, in the order of `CLASS_MIDS`."""
    counts = dict.fromkeys((*CLASS_MIDS, "other"), 0)
    for segment in segments:
        counts[segment.class_name] += 1
    return {name: count for name, count in counts.items() if count}


def read_segments(path: str | Path) -> list[Segment]:
    """Read a segment list, AudioSet's own or this project's.

    Raises
    ------
    CorpusError
        naming file, line and field of the first malformed row or duplicate id.
    """
    path = Path(path)
    segments: list[Segment] = []
    seen: set[str] = set()
    for line, segment in _numbered(path):
        if segment.youtube_id in seen:
            same = (n for n, other in _numbered(path) if other.youtube_id == segment.youtube_id)
            raise CorpusError(
                f"{path}:{line}: {segment.youtube_id} is already on line {next(same)}; remove one "
                "of the two rows"
            )
        seen.add(segment.youtube_id)
        segments.append(segment)
    return segments


def write_segments(path: str | Path, segments: Iterable[Segment]) -> None:
    """Write a segment list; `read_segments` reads it back unchanged."""
    with (
        atomic.replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_FIELDS)
        for segment in segments:
            writer.writerow(
                (
                    segment.youtube_id,
                    _seconds_text(segment.start),
                    _seconds_text(segment.end),
                    ",".join(segment.mids),
                    "synthetic" if segment.synthetic else "youtube",
                )
            )


def curate(eval_csv: str | Path, balanced_csv: str | Path) -> dict[str, list[Segment]]:
    """Draw the lists `test`, `train` and `val` from AudioSet's metadata.

    Each draw filters the rows by label and shuffles them with its own seed; the first rows go to
    train, the next to val. The lists are disjoint.

    Raises
    ------
    CorpusError
        if a file is malformed or has too few rows of a class.
    """
    evaluation, balanced = Path(eval_csv), Path(balanced_csv)
    lists: dict[str, list[Segment]] = {split: [] for split in SPLITS}
    for source, draws in ((evaluation, _TEST_DRAWS), (balanced, _TRAINING_DRAWS)):
        rows = read_segments(source)
        for draw in draws:
            drawn = iter(draw.shuffled(rows, source))
            for split, count in draw.take.items():
                lists[split] += [next(drawn) for _ in range(count)]
    return lists


def smoke_list() -> list[Segment]:
    """Fifty synthetic rows that need no network: 30 cry, 10 speech, 5 silence, 5 babbling.

    No video id ends in `h` (the last of 11 characters encodes only 4 of the 64 bits), so none of
    these can be mistaken for a video.
    """
    return [
        Segment(
            f"{name[:3]}{number:02d}-synth", 0.0, _SMOKE_SECONDS, _SMOKE_MIDS[name], synthetic=True
        )
        for name, count in SMOKE_COUNTS.items()
        for number in range(1, count + 1)
    ]


def write_lists(
    eval_csv: str | Path, balanced_csv: str | Path, folder: str | Path
) -> dict[str, Path]:
    """Curate the three lists and write them, with the smoke list, as `audioset_*.csv`.

    Returns
    -------
    dict from "test", "train", "val" and "smoke" to the file.

    Raises
    ------
    CorpusError
        if the metadata is not AudioSet v1's, so that the lists differ from the frozen ones.
    """
    lists = curate(eval_csv, balanced_csv)
    for split in SPLITS:
        if ids_sha256(lists[split]) != FROZEN_SHA256[split]:
            raise CorpusError(
                f"{eval_csv}, {balanced_csv}: the {split} list drawn from them is not the frozen "
                "one; download AudioSet v1's eval_segments.csv and balanced_train_segments.csv"
            )
    files = {}
    for name, segments in (*lists.items(), ("smoke", smoke_list())):
        files[name] = Path(folder) / f"audioset_{name}.csv"
        write_segments(files[name], segments)
    return files


@dataclass(frozen=True)
class _Draw:
    """Random draw of one class: filter by label, shuffle with a seed, counts for each list."""

    seed: int
    having: frozenset[str]
    take: Mapping[str, int]
    without: frozenset[str] = frozenset()

    def shuffled(self, rows: Sequence[Segment], source: Path) -> list[Segment]:
        found = [
            row
            for row in rows
            if not self.having.isdisjoint(row.mids) and self.without.isdisjoint(row.mids)
        ]
        wanted = sum(self.take.values())
        if len(found) < wanted:
            raise CorpusError(
                f"{source}: {len(found)} rows labelled {' or '.join(sorted(self.having))}, "
                f"{wanted} are needed; the file is incomplete, download it again"
            )
        random.Random(self.seed).shuffle(found)
        return found


_INFANT_LIKE = _CRY | _BABBLING | _WAIL | _SCREAM
_VOICES = _INFANT_LIKE | _SPEECH

_TEST_DRAWS = (
    _Draw(1001, _CRY, {"test": 50}),
    _Draw(1002, _SPEECH, {"test": 25}, _INFANT_LIKE),
    _Draw(1003, _SILENCE, {"test": 15}, _VOICES),
    _Draw(1004, _SCREAM, {"test": 5}, _CRY),
    _Draw(1005, _WAIL, {"test": 5}, _CRY),
)
_TRAINING_DRAWS = (
    _Draw(2001, _CRY, {"train": 80, "val": 25}),
    _Draw(2002, _SPEECH, {"train": 200, "val": 50}, _INFANT_LIKE),
    _Draw(2003, _SILENCE, {"train": 200, "val": 50}, _VOICES),
    _Draw(2004, _BABBLING, {"train": 30, "val": 15}, _CRY),
    _Draw(2005, _SCREAM, {"train": 30, "val": 10}, _CRY),
    _Draw(2006, _WAIL, {"train": 30, "val": 10}, _CRY),
)


def _numbered(path: Path) -> Iterator[tuple[int, Segment]]:
    """Yield line number and segment of every row, without holding the file in memory."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _parsed(path, file)
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not a UTF-8 text file") from error


def _parsed(path: Path, file: TextIO) -> Iterator[tuple[int, Segment]]:
    # Without strict=True, a stray quote would silently swallow the following lines.
    rows = csv.reader(file, skipinitialspace=True, strict=True)
    own_format = False
    try:
        for row in rows:
            if not row or row[0].startswith("#"):
                continue
            if tuple(row) == _FIELDS:
                own_format = True
                continue
            yield rows.line_num, _segment(row, own_format, f"{path}:{rows.line_num}")
    except csv.Error as error:
        raise CorpusError(f"{path}:{rows.line_num}: not valid CSV ({error})") from error


def _segment(row: list[str], own_format: bool, place: str) -> Segment:
    wanted = len(_FIELDS) if own_format else len(_FIELDS) - 1
    if len(row) != wanted:
        raise CorpusError(
            f"{place}: {len(row)} fields instead of {wanted}; several labels must be quoted, as in "
            '"/m/09x0r,/m/0261r1"'
        )
    youtube_id, start, end, labels = row[:4]
    source = row[4] if own_format else "youtube"
    if not _ID.fullmatch(youtube_id):
        raise CorpusError(
            f"{place}: youtube_id {youtube_id!r} is not 11 characters of A-Z a-z 0-9 _ -"
        )
    if source not in _SOURCES:
        raise CorpusError(f"{place}: source {source!r} is neither youtube nor synthetic")
    mids = _shared(labels)
    for mid in mids:
        if not _MID.fullmatch(mid):
            raise CorpusError(
                f"{place}: positive_labels: {mid!r} is not a machine id such as /m/09x0r"
            )
    first, last = _seconds(start, "start_seconds", place), _seconds(end, "end_seconds", place)
    if last <= first:
        raise CorpusError(f"{place}: end_seconds {end} is not after start_seconds {start}")
    return Segment(youtube_id, first, last, mids, _SOURCES[source])


@lru_cache(maxsize=1 << 16)
def _shared(labels: str) -> tuple[str, ...]:
    """The labels of a row; rows with the same ones share them."""
    return tuple(map(intern, labels.split(",")))


@lru_cache(maxsize=1 << 12)
def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _seconds(text: str, field: str, place: str) -> float:
    value = _number(text)
    if not (math.isfinite(value) and value >= 0):
        raise CorpusError(f"{place}: {field} {text!r} is not a number of seconds, 0 or more")
    return value


def _seconds_text(seconds: float) -> str:
    return str(int(seconds)) if seconds.is_integer() else repr(seconds)
