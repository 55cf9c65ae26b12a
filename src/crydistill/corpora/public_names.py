"""Public manifests: list a corpus's recordings by their public origin, without the audio.

A manifest is a CSV file with one row per recording, sorted by path. `path` is the clip's id, as in
score stores and results, and where `crydistill.corpora.rebuild` writes the audio; `origin` is the
public file it was made from.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Self

from crydistill import atomic
from crydistill.audio.files import recording_seconds
from crydistill.corpora.clip import Label
from crydistill.errors import CorpusError
from crydistill.progress import Progress, silent

OPEN = "open"
"""The `licence_class` of recordings on which a redistributable model may be trained."""

_TRAIN, _TRAIN_UNLABELLED, _DEV = "train", "train_unlabelled", "dev"


_OF_A_RELEASE = re.compile(r"^debian:([a-z]+)/([^/@]+)/")


@dataclass(frozen=True)
class Origin:
    """A file in a public repository, written OWNER/REPOSITORY/PATH, or with a version.

    That is OWNER/REPOSITORY@VERSION/PATH; for a Debian package, debian/PACKAGE@RELEASE/PATH.

    version : of the repository: a commit, or a release; empty if it is not known
    """

    owner: str
    repository: str
    path: str
    version: str = ""

    def __str__(self) -> str:
        version = f"@{self.version}" if self.version else ""
        return f"{self.owner}/{self.repository}{version}/{self.path}"

    @property
    def name(self) -> str:
        """OWNER/REPOSITORY/PATH, whatever the version."""
        return str(replace(self, version=""))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse OWNER/REPOSITORY/PATH with or without version, the inverse of `str`.

        debian:RELEASE/PACKAGE/PATH, as some lists write it, is understood too.

        Raises
        ------
        CorpusError
            if it has fewer than three parts, or is not a plain relative path.
        """
        plain = _OF_A_RELEASE.sub(r"debian/\2@\1/", text)
        parts = plain.split("/")
        if len(parts) < 3 or not _is_safe_path(plain):
            raise CorpusError(f"origin '{text}' is not OWNER/REPOSITORY/PATH")
        repository, at, version = parts[1].partition("@")
        if not repository or bool(at) != bool(version):
            raise CorpusError(f"origin '{text}' has no version after OWNER/REPOSITORY@")
        return cls(parts[0], repository, "/".join(parts[2:]), version)


@dataclass(frozen=True, order=True)
class PublicRecording:
    """A row of a manifest; the fields are its columns.

    path : the clip's id, relative to the audio folder
    split : train, train_unlabelled or dev
    label, category, group, source, licence : as in `Clip`
    origin : the public file, see `Origin`
    licence_class : open, or a word for a restricted licence
    duration_s : seconds
    native_rate_hz : sample rate of the public file
    """

    path: str
    split: str
    label: Label
    category: str
    group: str
    source: str
    origin: str
    licence: str
    licence_class: str
    duration_s: float
    native_rate_hz: int


COLUMNS = tuple(field.name for field in fields(PublicRecording))

_MANIFESTS: MappingProxyType[str, Callable[[PublicRecording], bool]] = MappingProxyType(
    {
        "base-train.csv": lambda row: (
            row.split in (_TRAIN, _TRAIN_UNLABELLED) and row.licence_class == OPEN
        ),
        "validation.csv": lambda row: row.split == _TRAIN and row.licence_class != OPEN,
        "dev.csv": lambda row: row.split == _DEV,
    }
)
"""The manifest files of a folder of recordings, each with the filter of its rows."""


def write_manifests(
    audio: str | Path, out: str | Path, *, prefix: str = "", progress: Progress = silent
) -> dict[Path, int]:
    """Write the public manifests of a folder of recordings that has a `clips.csv`.

    Their names begin with `prefix`; a manifest without recordings is not written. Durations are
    measured, since `clips.csv` may hold those of another version of the public file.

    Returns
    -------
    The files written, with the number of recordings in each.

    Raises
    ------
    CorpusError
        if the folder's clips.csv is missing or malformed.
    AudioError
        if a recording is missing or cannot be read.
    """
    audio = Path(audio)
    rows = read_recordings(audio / "clips.csv")
    with progress("measure", len(rows), "recordings") as advance:
        measured = []
        for row in rows:
            measured.append(_measure(row, audio))
            advance(1)
    written = {}
    for name, wanted in _MANIFESTS.items():
        chosen = [row for row in measured if wanted(row)]
        if chosen:
            path = Path(out) / f"{prefix}{name}"
            write_recordings(path, chosen)
            written[path] = len(chosen)
    return written


def read_recordings(path: str | Path) -> list[PublicRecording]:
    """Read a manifest, ignoring additional columns.

    Raises
    ------
    CorpusError
        naming the file and the invalid row or column.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); choose a manifest") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise CorpusError(f"{path}: no column '{missing[0]}', so it is not a manifest")
        rows = [_recording(row, f"{path}:{reader.line_num}") for row in reader]
    except csv.Error as error:
        raise CorpusError(f"{path}:{reader.line_num}: not valid CSV ({error})") from error
    _check_paths(rows, path)
    return rows


def write_recordings(path: str | Path, rows: Iterable[PublicRecording]) -> None:
    """Write a manifest atomically, sorted by path."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(row) for row in sorted(rows))
    atomic.write_text(path, buffer.getvalue())


def _measure(row: PublicRecording, audio: Path) -> PublicRecording:
    path = audio / row.path
    return replace(row, duration_s=round(recording_seconds(path), 2))


def _recording(row: dict[str, str], place: str) -> PublicRecording:
    cells = {name: row[name] for name in COLUMNS}
    if None in row or None in cells.values():
        raise CorpusError(f"{place}: the row has more or fewer cells than the header")
    try:
        origin = Origin.parse(cells["origin"])
    except CorpusError as error:
        raise CorpusError(f"{place}: {error}") from error
    if not _is_safe_path(cells["path"]):
        raise CorpusError(f"{place}: path '{cells['path']}' leads out of the folder")
    if cells["label"] not in set(Label):
        raise CorpusError(f"{place}: label '{cells['label']}' is not one of {', '.join(Label)}")
    return PublicRecording(
        path=cells["path"],
        split=cells["split"],
        label=Label(cells["label"]),
        category=cells["category"],
        group=cells["group"],
        source=cells["source"],
        origin=str(origin),
        licence=cells["licence"],
        licence_class=cells["licence_class"],
        duration_s=_number(cells["duration_s"], f"{place}: duration_s"),
        native_rate_hz=round(_number(cells["native_rate_hz"], f"{place}: native_rate_hz")),
    )


def _number(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise CorpusError(f"{place} '{text}' is not a number of at least 0")
    return value


def _is_safe_path(path: str) -> bool:
    """Whether a relative path stays below its root on every platform."""
    plain = not any(character in path for character in "\\:\0\r\n")
    return plain and not {"", ".", ".."} & set(path.split("/"))


def _check_paths(rows: list[PublicRecording], path: Path) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.path in seen:
            raise CorpusError(f"{path}: two rows name {row.path}; remove one")
        seen.add(row.path)
