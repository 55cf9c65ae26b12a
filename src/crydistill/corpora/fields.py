"""Clips of data sets that others have laid out: which field of a row means what.

A row is a row of a parquet file or a sample of a webdataset, as field name to value.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Any

from crydistill.corpora.clip import Clip, Label, duplicate_ids
from crydistill.corpora.declaration import NOTHING_STATED, Declaration, privacy
from crydistill.errors import CorpusError

Say = Callable[[str], None]
"""Receives one line for the user."""

DEFAULT_FIELDS = {
    "label": ("label", "cls"),
    "group": ("group",),
    "category": ("category",),
    "licence": ("licence", "license"),
    "private": ("private",),
    "mids": ("mids",),
}
"""Names under which a field is looked for if the config names none; the first that is there."""


@dataclass(frozen=True)
class Layout:
    """How rows become clips.

    fields : by what they mean (`DEFAULT_FIELDS`, and `audio` in parquet), the names of the fields
    cry : values of the label that are crying, all others are not; empty: labels are cry, noncry or
        unlabelled as in a manifest
    declaration : what the config states of all recordings
    corpus : its name, with which groups begin that are not stated
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    cry: Sequence[str] = ()
    declaration: Declaration = NOTHING_STATED
    corpus: str = ""

    def names(self, known: Collection[str], place: str) -> dict[str, str]:
        """Names of the fields that have a meaning, by it; a meaning without a field is left out.

        Raises
        ------
        CorpusError
            if the config names one that is not there.
        """
        found = {meaning: self._name_of(meaning, known, place) for meaning in DEFAULT_FIELDS}
        return {meaning: name for meaning, name in found.items() if name is not None}

    def _name_of(self, meaning: str, known: Collection[str], place: str) -> str | None:
        named = self.fields.get(meaning)
        if named is None:
            return next((name for name in DEFAULT_FIELDS[meaning] if name in known), None)
        if named not in known:
            there = ", ".join(sorted(known)) or "none"
            raise CorpusError(
                f"{place}: no field '{named}', which the config names as fields.{meaning}; "
                f"there are: {there}"
            )
        return named

    def clip(
        self, clip_id: str, path: Path, row: Mapping[str, Any], names: Mapping[str, str], place: str
    ) -> Clip:
        """Make a clip of a row.

        Parameters
        ----------
        names : fields that the row has, by meaning
        place : file and row, for messages

        Raises
        ------
        CorpusError
            naming place and field of a value that means nothing.
        """
        values = {meaning: row.get(name) for meaning, name in names.items()}
        stated = privacy(_text(values.get("private")), place)
        licence, private, declared = self.declaration.of(_text(values.get("licence")), stated)
        return Clip(
            id=clip_id,
            path=path,
            label=self._label(values.get("label"), names.get("label", ""), place),
            group=intern(_text(values.get("group")) or f"{self.corpus}:{clip_id}"),
            mids=tuple(map(intern, _texts(values.get("mids")))),
            category=intern(_text(values.get("category"))),
            source=intern(self.corpus),
            licence=intern(licence),
            private=private,
            declared=declared,
        )

    def _label(self, value: Any, name: str, place: str) -> Label:
        found = _texts(value)
        if not found:
            return Label.UNLABELLED
        if self.cry:
            return Label.NONCRY if set(self.cry).isdisjoint(found) else Label.CRY
        try:
            (text,) = found
            return Label(text)
        except ValueError as error:
            raise CorpusError(
                f"{place}: field '{name}' is '{', '.join(found)}', not one of {', '.join(Label)}; "
                "name the values that are crying in `cry` of the corpus"
            ) from error


def files_of(path: Path, suffix: str) -> list[Path]:
    """The files of a data set: a file, those below a folder, or those that a pattern matches.

    Raises
    ------
    CorpusError
        if there is none.
    """
    if path.is_file():
        return [path]
    found = path.rglob(f"*{suffix}") if path.is_dir() else path.parent.glob(path.name)
    files = sorted(each for each in found if each.suffix.lower() == suffix and each.is_file())
    if not files:
        raise CorpusError(
            f"{path}: no {suffix} file there; name a folder of them, one file, or a pattern "
            f"such as data/train-*{suffix}"
        )
    return files


def place_in(file: Path, path: Path) -> str:
    """How clips' ids name a file of a data set: by its place below the folder."""
    return file.relative_to(path).as_posix() if path.is_dir() else file.name


def complete(
    clips: list[Clip], path: Path, layout: Layout, seen: Collection[str], say: Say
) -> None:
    """Check a listing, and warn of what it lacks.

    seen : meanings of which at least one row had a field

    Raises
    ------
    CorpusError
        if there are no clips, or two of one id.
    """
    if not clips:
        raise CorpusError(f"{path}: holds no recordings; is it the right data set?")
    if twice := duplicate_ids(clips):
        raise CorpusError(f"{path}: two recordings are named {twice[0]}; rename one")
    if "label" not in seen:
        if layout.cry:
            raise CorpusError(
                f"{path}: `cry` names values of the label, but no row has one; set fields.label"
            )
        say(f"{path}: no field `label`, so all clips are unlabelled; set fields.label")
    if "group" not in seen:
        say(
            f"warning: {path}: no field `group`, so each clip is a group of its own; recordings of "
            "one person or device may then be in two splits (leakage): set fields.group"
        )


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value).strip()


def _texts(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    text = _text(value)
    return [text] if text else []
