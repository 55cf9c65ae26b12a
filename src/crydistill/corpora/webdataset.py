"""List the clips of a webdataset: tar files ("shards") whose members come in samples.

A sample is the members in a row whose names agree up to the first dot behind the last slash: a
recording, and what is known of it.

    000017.flac      the recording, of any format that is read
    000017.json      an object; its keys are the sample's fields
    000017.cls       the label, as field `cls`
    000017.txt       a text, as field `txt`

Listing reads the small members only; recordings are read where they are (`crydistill.members`).
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from crydistill.audio.files import AUDIO_SUFFIXES
from crydistill.corpora.clip import Clip
from crydistill.corpora.fields import Layout, Say, complete, files_of, place_in
from crydistill.errors import CorpusError
from crydistill.json_file import parse_json
from crydistill.members import TAR

_TEXTS = {".cls": "cls", ".txt": "txt"}
_LARGEST_TEXT = 1 << 24


@dataclass
class _Sample:
    """A sample of a shard: its recordings' names, and its fields."""

    name: str
    recordings: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)


def read_webdataset(
    path: str | Path, layout: Layout, *, say: Say = lambda line: None
) -> list[Clip]:
    """List the clips of a folder of tar files, of one, or of those that a pattern matches.

    Samples without a recording are left out, and `say` is told how many.

    Raises
    ------
    CorpusError
        naming shard, sample and field of what is wrong; in one line also where a tar is damaged.
    """
    path = Path(path)
    clips: list[Clip] = []
    seen: set[str] = set()
    silent = 0
    for shard in files_of(path, TAR):
        name = place_in(shard, path)
        for sample in _samples(shard):
            place = f"{shard}: {sample.name}"
            if not sample.recordings:
                silent += 1
                continue
            if len(sample.recordings) > 1:
                raise CorpusError(
                    f"{place}: has {len(sample.recordings)} recordings "
                    f"({', '.join(sample.recordings)}); leave one in the sample"
                )
            (member,) = sample.recordings
            names = layout.names(sample.fields, place)
            seen.update(names)
            where = f"{name}/{member}"
            clips.append(layout.clip(where, shard / member, sample.fields, names, place))
    if silent:
        say(f"{path}: {silent:,} samples without a recording are left out")
    complete(clips, path, layout, seen, say)
    return clips


def _samples(shard: Path) -> Iterator[_Sample]:
    try:
        with tarfile.open(shard, "r:") as tar:
            for key, members in groupby((m for m in tar if m.isfile()), key=_key):
                sample = _Sample(key)
                for member in members:
                    _take(sample, member, tar, shard)
                yield sample
    except (tarfile.TarError, OSError) as error:
        raise CorpusError(
            f"{shard}: damaged, or compressed, or no tar file ({error}); copy it again, or unpack "
            "its compression (gunzip)"
        ) from error


def _key(member: tarfile.TarInfo) -> str:
    path = PurePosixPath(member.name)
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def _take(sample: _Sample, member: tarfile.TarInfo, tar: tarfile.TarFile, shard: Path) -> None:
    suffix = PurePosixPath(member.name).suffix.lower()
    if suffix in AUDIO_SUFFIXES:
        sample.recordings.append(member.name)
    elif suffix == ".json" or suffix in _TEXTS:
        text = _text(member, tar, shard)
        if suffix in _TEXTS:
            sample.fields.setdefault(_TEXTS[suffix], text.strip())
        else:
            sample.fields.update(_object(text, f"{shard}: {member.name}"))


def _text(member: tarfile.TarInfo, tar: tarfile.TarFile, shard: Path) -> str:
    file = tar.extractfile(member)
    if file is None or member.size > _LARGEST_TEXT:
        raise CorpusError(f"{shard}: {member.name}: too large for what is known of a recording")
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{shard}: {member.name}: not UTF-8 text") from error


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        found = parse_json(text)
    except ValueError as error:
        raise CorpusError(f"{place}: not valid JSON ({error})") from error
    if not isinstance(found, dict):
        raise CorpusError(f"{place}: not a JSON object of fields")
    return found
