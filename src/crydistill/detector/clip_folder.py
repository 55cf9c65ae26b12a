"""A folder of clips that `listen` kept, what a person said of each, and how much it may hold.

Labels are a CSV beside the clips, to be read by people and programs: `clip,label`. Whoever writes,
deletes or labels a clip holds the folder's lock: none is deleted while it is being labelled, and
several listeners share a folder.
"""

import csv
import io
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from crydistill import atomic
from crydistill.errors import ConfigError
from crydistill.json_file import read_text
from crydistill.lock import BusyError, exclusive

LABELS_NAME = "labels.csv"
_COLUMNS = ["clip", "label"]
_LOCK_NAME = ".lock"
_LOCK_SECONDS = 10.0

LIMIT_MEGABYTES = 200
"""Some 300 clips, which the smallest SD card has room for."""

MOST_CLIPS = 1_000


class ClipKind(StrEnum):
    """Why a clip was kept; its file's name begins with it."""

    ALERT = "alert"
    NEAR_MISS = "near"


class ClipLabel(StrEnum):
    """What a person heard in a clip."""

    CRY = "cry"
    NOT_A_CRY = "not a cry"


@dataclass(frozen=True)
class KeptClip:
    """A clip in the folder.

    kind : None for a recording that a person put there
    bytes : size of its file
    kept : when it was written, seconds since 1970
    label : None until a person has said something
    """

    path: Path
    kind: ClipKind | None
    bytes: int
    kept: float
    label: ClipLabel | None

    @property
    def name(self) -> str:
        return self.path.name


class FolderFullError(ConfigError):
    """Raised when a clip finds no room, since what is there has been reviewed."""


def kept_clips(folder: str | Path) -> list[KeptClip]:
    """The clips of a folder, oldest first.

    Raises
    ------
    ConfigError
        if the folder or its labels cannot be read.
    """
    return _listed(Path(folder), read_labels(folder))


def _listed(folder: Path, labels: Mapping[str, ClipLabel]) -> list[KeptClip]:
    try:
        paths = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() == ".wav" and not path.name.startswith(".")
        ]
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be read ({error.strerror}); name the folder that `listen --clips` "
            "writes"
        ) from error
    clips = [clip for path in paths if (clip := _clip(path, labels)) is not None]
    return sorted(clips, key=lambda clip: (clip.kept, clip.name))


def read_labels(folder: str | Path) -> dict[str, ClipLabel]:
    """What was said of the clips, by their names; empty if nothing was.

    Raises
    ------
    ConfigError
        naming the line that cannot be understood.
    """
    path = Path(folder) / LABELS_NAME
    if not path.exists():
        return {}
    text = read_text(path, "mend it, or move it away and review the clips again")
    # The name of a clip may hold any kind of line break.
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or rows[0] != _COLUMNS:
        raise ConfigError(f"{path}:1: must be '{','.join(_COLUMNS)}'; mend it")
    labels = {}
    for line, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != len(_COLUMNS) or row[1] not in tuple(ClipLabel):
            known = "' or '".join(ClipLabel)
            raise ConfigError(f"{path}:{line}: must be a clip and '{known}'; mend the line")
        labels[row[0]] = ClipLabel(row[1])
    return labels


def set_label(folder: str | Path, name: str, label: ClipLabel | None) -> None:
    """Write down what a clip is, or (None) that it is not known.

    Raises
    ------
    ConfigError
        if there is no such clip.
    BusyError
        if another process holds the folder for ten seconds.
    """
    folder = Path(folder)
    with _locked(folder):
        _require_clip(folder, name)
        labels = read_labels(folder)
        if label is None:
            labels.pop(name, None)
        else:
            labels[name] = label
        _write_labels(folder, labels)


def delete_clip(folder: str | Path, name: str) -> None:
    """Delete a clip and its label, at a person's wish.

    Raises
    ------
    ConfigError
        if there is no such clip.
    BusyError
        if another process holds the folder for ten seconds.
    """
    folder = Path(folder)
    with _locked(folder):
        _require_clip(folder, name)
        (folder / name).unlink()
        labels = read_labels(folder)
        if labels.pop(name, None) is not None:
            _write_labels(folder, labels)


@contextmanager
def room_for(
    folder: str | Path, wanted: int, *, limit: int, most: int = MOST_CLIPS
) -> Iterator[None]:
    """Delete clips that nobody reviewed until another of `wanted` bytes has room, for the block.

    The block writes that clip, under a name that nobody else takes meanwhile.

    The oldest near-misses go first, then the oldest alerts. What was reviewed stays, and so does
    what a person put there. Where the labels cannot be read, anything may have been reviewed:
    nothing is deleted, and there is room until the folder is full.

    Parameters
    ----------
    limit : bytes that all clips together may take
    most : number of clips, the new one included

    Raises
    ------
    FolderFullError
        if that does not make room; nothing has been deleted then.
    BusyError
        if another process holds the folder for ten seconds.
    ConfigError
        if there is no room and the labels cannot be read.
    """
    folder = Path(folder)
    with _locked(folder):
        labels, unreadable = _known_labels(folder)
        clips = _listed(folder, labels)
        held, number = sum(clip.bytes for clip in clips), len(clips)
        going = []
        for clip in () if unreadable else _dispensable(clips):
            if held + wanted <= limit and number < most:
                break
            going.append(clip)
            held, number = held - clip.bytes, number - 1
        if held + wanted > limit or number >= most:
            if unreadable:
                raise unreadable
            raise FolderFullError(
                f"{folder}: is full of clips that were reviewed; delete some with `crydistill "
                "review`, move them elsewhere, or raise --clips-limit"
            )
        for clip in going:
            clip.path.unlink(missing_ok=True)
        yield


def _known_labels(folder: Path) -> tuple[dict[str, ClipLabel], ConfigError | None]:
    try:
        return read_labels(folder), None
    except ConfigError as error:
        return {}, error


def _require_clip(folder: Path, name: str) -> None:
    if name not in {clip.name for clip in kept_clips(folder)}:
        raise ConfigError(f"{folder / name}: no such clip")


def _dispensable(clips: Iterable[KeptClip]) -> Iterator[KeptClip]:
    unreviewed = [clip for clip in clips if clip.label is None]
    for kind in (ClipKind.NEAR_MISS, ClipKind.ALERT):
        yield from (clip for clip in unreviewed if clip.kind is kind)


def _clip(path: Path, labels: Mapping[str, ClipLabel]) -> KeptClip | None:
    """A clip of the folder; None if another process has just deleted it."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    start = path.name.partition("-")[0]
    kind = ClipKind(start) if start in tuple(ClipKind) else None
    return KeptClip(path, kind, status.st_size, status.st_mtime, labels.get(path.name))


def _write_labels(folder: Path, labels: Mapping[str, ClipLabel]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_COLUMNS, *((name, label.value) for name, label in sorted(labels.items()))])
    atomic.write_text(folder / LABELS_NAME, text.getvalue())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; others hold it for a moment only."""
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            with exclusive(folder / _LOCK_NAME):
                yield
                return
        except BusyError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.05)
