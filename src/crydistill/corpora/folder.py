"""Read a corpus from disk: a CSV manifest, or an audio folder with labelled sub-folders."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from sys import intern

from crydistill.audio.files import AUDIO_SUFFIXES
from crydistill.corpora.clip import Clip, Label
from crydistill.corpora.declaration import Declaration, privacy
from crydistill.corpora.fields import DEFAULT_FIELDS
from crydistill.corpora.table import read_rows
from crydistill.errors import CorpusError
from crydistill.printable import printable

REQUIRED_COLUMNS = ("path", "label")

Say = Callable[[str], None]
"""Receives one line for the user."""

_NO_RECORDINGS = frozenset(
    (".csv", ".tsv", ".txt", ".md", ".rst", ".json", ".jsonl", ".yaml", ".yml", ".xml", ".html",
     ".pdf", ".docx", ".xlsx", ".jpg", ".jpeg", ".png", ".gif", ".svg", ".heic", ".webp", ".py",
     ".ipynb", ".sh", ".toml", ".lab", ".textgrid", ".rttm", ".npy", ".npz", ".zip", ".gz", ".tar",
     ".log", ".lock", ".md5", ".sha256", ".ini", ".db", ".fingerprints")
)  # fmt: skip
_DOCUMENTS = frozenset(("README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "CHANGELOG"))
"""Suffixes and names of what lies beside recordings and is not missed."""

_ALMOST_LABELS = frozenset(
    ("cry", "cries", "crying", "noncry", "notcry", "nocry", "noncrying", "notcrying", "nocrying")
)
"""What people call the folders of labels, without case, blanks and hyphens."""

_NAMED = 3
_RATE_DIGITS = 9

LAYOUT = (
    "put recordings with crying into a sub-folder cry and others into noncry, or write a clips.csv "
    f"with the columns {', '.join(REQUIRED_COLUMNS)}"
)
"""How a user's recordings become a labelled corpus: the end of error messages."""

_NO_ROWS = "the manifest has no rows; add one per recording"

Where = Mapping[str, str | Sequence[str]]
"""Row filter: column name to the value, or values, to keep."""


def where_text(where: Where) -> str:
    """A row filter in words; empty if it keeps all.

    Examples
    --------
    >>> where_text({"split": ["dev", "train"], "licence_class": "open"})
    'split dev or train, licence_class open'
    """
    return ", ".join(
        f"{column} {wanted if isinstance(wanted, str) else ' or '.join(wanted)}"
        for column, wanted in where.items()
    )


def read_corpus(
    path: str | Path,
    *,
    where: Where | None = None,
    without: Where | None = None,
    licence: str = "",
    private: bool | None = None,
    name: str = "",
    say: Say = lambda line: None,
) -> list[Clip]:
    """List the clips of a manifest file, or of a folder (by its `clips.csv` if it has one).

    Parameters
    ----------
    where : rows of the manifest to keep
    without : rows to leave out of these: those with one of the values in one of the columns
    licence : of the clips whose manifest states none
    private : True marks all clips as private; False states that those are not of which the
        manifest says nothing; None leaves them undeclared (`Clip.declared`)
    name : of the corpus, with which every group begins that is not stated; the folder's name by
        default
    say : told of the files in a folder that are left out

    Raises
    ------
    CorpusError
        if the path does not exist, the manifest is malformed, or no clip is left.

    Examples
    --------
    >>> from pathlib import Path
    >>> from crydistill.corpora.folder import read_corpus
    >>> rows = ["path,label,group", "a.wav,cry,anna", "b.wav,cry,anna", "c.wav,noncry,street"]
    >>> _ = Path("clips.csv").write_text("\\n".join(rows))
    >>> [(clip.id, str(clip.label), clip.group) for clip in read_corpus("clips.csv")]
    [('a.wav', 'cry', 'anna'), ('b.wav', 'cry', 'anna'), ('c.wav', 'noncry', 'street')]
    >>> [clip.id for clip in read_corpus("clips.csv", where={"label": "noncry"})]
    ['c.wav']
    """
    path = Path(path)
    if path.is_dir():
        manifest = path / "clips.csv"
        if not manifest.is_file():
            if where or without:
                raise CorpusError(
                    f"{path}: has no clips.csv with columns to select by; leave "
                    f"{'where' if where else 'without'} out"
                )
            return read_folder(path, licence=licence, private=private, name=name, say=say)
        path = manifest
    return read_manifest(
        path, where=where, without=without, licence=licence, private=private, name=name
    )


def read_manifest(
    path: str | Path,
    *,
    where: Where | None = None,
    without: Where | None = None,
    licence: str = "",
    private: bool | None = None,
    name: str = "",
) -> list[Clip]:
    """List the clips of a manifest: a CSV file with one row per recording.

    Columns: `path` (relative to the manifest's folder) and `label` (cry, noncry, unlabelled) are
    required; `group`, `category`, `source`, `licence` (or `license`), `private` (true or false),
    `native_rate_hz` and `mids` (separated by spaces) are used if present; rows are selected by any
    column. A recording without a group forms its own group, named after the corpus and the
    recording.

    Raises
    ------
    CorpusError
        naming the file and the invalid row or column.
    """
    path = Path(path)
    if not path.is_file():
        raise CorpusError(f"{path}: no manifest found; set the path to a clips.csv or a folder")
    if path.suffix.lower() in AUDIO_SUFFIXES:
        raise CorpusError(
            f"{path}: a recording, not a corpus; give its folder or a clips.csv, "
            f"or evaluate this one recording with `crydistill night --recording {path}`"
        )
    corpus = name or path.resolve().parent.name
    declaration = Declaration(licence, private)
    clips, rows = [], 0
    for line, row in read_rows(path, REQUIRED_COLUMNS):
        rows += 1
        if all(
            _matches(row, column, wanted, path) for column, wanted in (where or {}).items()
        ) and not any(_matches(row, column, out, path) for column, out in (without or {}).items()):
            clips.append(_clip(row, path, line, declaration, corpus))
    selected = f"{dict(where or {})}{f' without {dict(without)}' if without else ''}"
    _require(clips, path, f"no row matches {selected}" if rows else _NO_ROWS)
    return clips


def read_folder(
    folder: str | Path,
    *,
    licence: str = "",
    private: bool | None = None,
    name: str = "",
    say: Say = lambda line: None,
) -> list[Clip]:
    """List the audio files below a folder, except hidden ones and those in hidden folders.

    Links to files and folders are followed. Files below a sub-folder named `cry` or `noncry` get
    that label, all others are unlabelled. `say` is told what is left out because its suffix is of
    no kind that is read or it cannot be opened, and which folders may be meant for labels. A
    recording's group is its folder; directly in the root or in a `cry` or `noncry` folder, each
    recording forms its own group. Groups begin with the corpus's name, since recordings and folders
    of several corpora tend to have the same names.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder; use a folder of recordings or a clips.csv")
    files, others = (
        [p for p in found if not _is_hidden(p, folder)] for found in find_recordings(folder)
    )
    left_out = _left_out(others, folder)
    declaration = Declaration(licence, private)
    corpus = name or folder.resolve().name
    clips = [_clip_in_folder(path, folder, declaration, corpus) for path in files]
    _require(clips, folder, f"no audio files below it{left_out and f'; {left_out}'}; {LAYOUT}")
    for line in filter(None, (left_out, _almost_labelled(clips))):
        say(f"{folder}: {line}")
    return clips


def find_recordings(folder: Path) -> tuple[list[Path], list[Path]]:
    """Find the recordings below a folder by their suffixes. Links are followed, once each.

    Returns
    -------
    Recordings; and others that may be some: of a kind that is not read, with a name that is not
    UTF-8 and so cannot be a clip's id, links that lead nowhere, folders that cannot be read. Both
    in the order of their names.
    """
    unreadable: list[Path] = []
    recordings: list[Path] = []
    others: list[Path] = []
    for path in sorted(_files_below(folder, unreadable, set())):
        suffix = path.suffix.lower()
        if suffix in AUDIO_SUFFIXES and _is_text(path) and path.is_file():
            recordings.append(path)
        elif not (_is_hidden(path) or suffix in _NO_RECORDINGS or path.name in _DOCUMENTS):
            others.append(path)
    return recordings, sorted([*others, *unreadable])


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _files_below(
    folder: Path, unreadable: list[Path], seen: set[tuple[int, int]], *, linked: bool = False
) -> Iterator[Path]:
    """What lies below a folder and is none; a folder by the way without links, if there is one.

    Parameters
    ----------
    unreadable : extended by folders that the system does not let one read
    seen : folders that were read, by device and number; extended
    linked : whether a link led to the folder, and may lead in a circle
    """
    links: list[Path] = []
    for name, folders, names in os.walk(folder, onerror=_noting(unreadable)):
        here = Path(name)
        status = here.stat()
        number = (status.st_dev, status.st_ino)
        if linked and number in seen:
            folders.clear()
            continue
        seen.add(number)
        links += [here / below for below in folders if (here / below).is_symlink()]
        yield from (here / name for name in names)
    for link in sorted(links):
        yield from _files_below(link, unreadable, seen, linked=True)


def _noting(unreadable: list[Path]) -> Callable[[OSError], None]:
    return lambda error: unreadable.append(Path(os.fsdecode(error.filename)))


def _is_hidden(path: Path, folder: Path | None = None) -> bool:
    """Whether a file, or given the folder of all also one between them, is hidden."""
    names = path.relative_to(folder).parts if folder else (path.name,)
    return any(name.startswith(".") for name in names)


def _almost_labelled(clips: Iterable[Clip]) -> str:
    """Which folders may be meant for labels and are none; empty if all are in order."""
    folders = {
        part
        for clip in clips
        if clip.label is Label.UNLABELLED
        for part in Path(clip.id).parts[:-1]
        if re.sub(r"[\W_]", "", part.casefold()) in _ALMOST_LABELS
    }
    if not folders:
        return ""
    names = "', '".join(sorted(folders))
    return f"recordings below '{names}' are unlabelled: the folders of labels are cry and noncry"


def _left_out(paths: Sequence[Path], folder: Path) -> str:
    """Which files are left out, in words; empty if none is."""
    if not paths:
        return ""
    names = [printable(path.relative_to(folder)) for path in paths[:_NAMED]]
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    why = "not of a kind that is read, not to be opened, or with a name that is not UTF-8"
    return f"left out, {why}: {', '.join(names)}{more}"


def _clip_in_folder(path: Path, folder: Path, declaration: Declaration, corpus: str) -> Clip:
    relative = path.relative_to(folder)
    labels = [part for part in relative.parts[:-1] if part in (Label.CRY, Label.NONCRY)]
    parent = Path(*(part for part in relative.parent.parts if part not in labels))
    own_group = parent == Path()
    licence, private, declared = declaration.of("", None)
    return Clip(
        id=relative.as_posix(),
        path=path,
        label=Label(labels[-1]) if labels else Label.UNLABELLED,
        group=f"{corpus}:{(relative if own_group else parent).as_posix()}",
        source=folder.resolve().name,
        licence=licence,
        private=private,
        declared=declared,
    )


def _matches(row: dict[str, str], column: str, wanted: str | Sequence[str], path: Path) -> bool:
    if column not in row:
        raise CorpusError(f"{path}: no column '{column}' to select by; see `where` in the config")
    return row[column] in ([wanted] if isinstance(wanted, str) else wanted)


def _clip(
    row: dict[str, str], path: Path, line: int, declaration: Declaration, corpus: str
) -> Clip:
    if not row["path"]:
        raise CorpusError(f"{path}:{line}: the path is empty")
    try:
        label = Label(row["label"])
    except ValueError as error:
        raise CorpusError(
            f"{path}:{line}: label '{row['label']}' is not one of {', '.join(Label)}"
        ) from error
    stated = privacy(row.get("private", ""), f"{path}:{line}")
    spelt = next((name for name in DEFAULT_FIELDS["licence"] if name in row), None)
    licence, private, declared = declaration.of(row[spelt] if spelt else "", stated)
    return Clip(
        id=row["path"],
        path=path.parent / row["path"],
        label=label,
        # What many rows repeat is kept once: a manifest may have millions.
        group=intern(row.get("group") or f"{corpus}:{row['path']}"),
        mids=tuple(map(intern, row.get("mids", "").split())),
        category=intern(row.get("category", "")),
        source=intern(row.get("source", "")),
        licence=intern(licence),
        native_rate=_rate(row.get("native_rate_hz", ""), path, line),
        private=private,
        declared=declared,
    )


def _rate(text: str, path: Path, line: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _RATE_DIGITS):
        raise CorpusError(f"{path}:{line}: native_rate_hz '{text}' is not a whole number of hertz")
    return int(text)


def _require(clips: list[Clip], path: Path, otherwise: str) -> None:
    if not clips:
        raise CorpusError(f"{path}: {otherwise}")
    seen: set[Path] = set()
    for clip in clips:
        if clip.path in seen:  # ids may differ: ./a.wav
            raise CorpusError(f"{path}: two rows name {clip.id}; remove one")
        seen.add(clip.path)
