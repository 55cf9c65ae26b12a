"""Read a corpus from disk: a CSV manifest, or an audio folder with labelled sub-folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from crydistill.audio.files import AUDIO_SUFFIXES
from crydistill.corpora.clip import Clip, Label, duplicate_ids
from crydistill.corpora.table import read_rows
from crydistill.errors import CorpusError

REQUIRED_COLUMNS = ("path", "label")

LAYOUT = (
    "put recordings with crying into a sub-folder cry and others into noncry, or write a clips.csv "
    f"with the columns {', '.join(REQUIRED_COLUMNS)}"
)
"""How a user's recordings become a labelled corpus: the end of error messages."""

_NO_ROWS = "the manifest has no rows; add one per recording"

Where = Mapping[str, str | Sequence[str]]
"""Row filter: column name to the value, or values, to keep."""


def read_corpus(
    path: str | Path, *, where: Where | None = None, private: bool = False, name: str = ""
) -> list[Clip]:
    """List the clips of a manifest file, or of a folder (by its `clips.csv` if it has one).

    Parameters
    ----------
    where : rows of the manifest to keep
    private : mark the clips as private
    name : of the corpus, with which every group begins that is not stated; the folder's name by
        default

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
            return read_folder(path, private=private, name=name)
        path = manifest
    return read_manifest(path, where=where, private=private, name=name)


def read_manifest(
    path: str | Path, *, where: Where | None = None, private: bool = False, name: str = ""
) -> list[Clip]:
    """List the clips of a manifest: a CSV file with one row per recording.

    Columns: `path` (relative to the manifest's folder) and `label` (cry, noncry, unlabelled) are
    required; `group`, `category`, `source`, `licence`, `native_rate_hz` and `mids` (separated by
    spaces) are used if present; `where` can select by any column. A recording without a group forms
    its own group, named after the corpus and the recording.

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
    rows = read_rows(path, REQUIRED_COLUMNS)
    corpus = name or path.resolve().parent.name
    clips = [
        _clip(row, path, line, private, corpus)
        for line, row in rows
        if all(_matches(row, column, wanted, path) for column, wanted in (where or {}).items())
    ]
    _require(clips, path, f"no row matches {dict(where or {})}" if rows else _NO_ROWS)
    return clips


def read_folder(folder: str | Path, *, private: bool = False, name: str = "") -> list[Clip]:
    """List the audio files below a folder, except hidden ones.

    Files below a sub-folder named `cry` or `noncry` get that label, all others are unlabelled. A
    recording's group is its folder; directly in the root or in a `cry` or `noncry` folder, each
    recording forms its own group. Groups begin with the corpus's name, since recordings and folders
    of several corpora tend to have the same names.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder; use a folder of recordings or a clips.csv")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")
        if path.is_file()
    )
    corpus = name or folder.resolve().name
    clips = [_clip_in_folder(path, folder, private, corpus) for path in files]
    _require(clips, folder, f"no audio files below it; {LAYOUT}")
    return clips


def _clip_in_folder(path: Path, folder: Path, private: bool, corpus: str) -> Clip:
    relative = path.relative_to(folder)
    labels = [part for part in relative.parts[:-1] if part in (Label.CRY, Label.NONCRY)]
    parent = relative.parent
    own_group = parent == Path() or parent.name in (Label.CRY, Label.NONCRY)
    return Clip(
        id=relative.as_posix(),
        path=path,
        label=Label(labels[-1]) if labels else Label.UNLABELLED,
        group=f"{corpus}:{(relative if own_group else parent).as_posix()}",
        source=folder.resolve().name,
        private=private,
    )


def _matches(row: dict[str, str], column: str, wanted: str | Sequence[str], path: Path) -> bool:
    if column not in row:
        raise CorpusError(f"{path}: no column '{column}' to select by; see `where` in the config")
    return row[column] in ([wanted] if isinstance(wanted, str) else wanted)


def _clip(row: dict[str, str], path: Path, line: int, private: bool, corpus: str) -> Clip:
    if not row["path"]:
        raise CorpusError(f"{path}:{line}: the path is empty")
    try:
        label = Label(row["label"])
    except ValueError as error:
        raise CorpusError(
            f"{path}:{line}: label '{row['label']}' is not one of {', '.join(Label)}"
        ) from error
    return Clip(
        id=row["path"],
        path=path.parent / row["path"],
        label=label,
        group=row.get("group") or f"{corpus}:{row['path']}",
        mids=tuple(row.get("mids", "").split()),
        category=row.get("category", ""),
        source=row.get("source", ""),
        licence=row.get("licence", ""),
        native_rate=_rate(row.get("native_rate_hz", ""), path, line),
        private=private,
    )


def _rate(text: str, path: Path, line: int) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise CorpusError(f"{path}:{line}: native_rate_hz '{text}' is not a whole number of hertz")
    return int(text)


def _require(clips: list[Clip], path: Path, otherwise: str) -> None:
    if not clips:
        raise CorpusError(f"{path}: {otherwise}")
    twice = duplicate_ids(clips)
    if twice:
        raise CorpusError(f"{path}: two rows name {twice[0]}; remove one")
