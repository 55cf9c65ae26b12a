"""Shards of a score store: parts that several processes or machines score independently.

A store's directory holds any number of parts, each a complete store of its own:

    store.json, ...               clips that were scored without shards, if any
    shard-003-of-016/             a finished shard; nothing changes it any more
    shard-003-of-016.2/           its clips that were added or changed since
    shard-003-of-016.part-HOST/   a shard in work on that machine
    shard-003-of-016.lock         held while it is in work

A clip belongs to the shard that a hash of its id names, so every machine divides a corpus alike.
A shard in work is renamed when it is finished, and the first to do so wins: that is all that
machines have to agree on. Locks keep processes of one machine apart, and those of several where
the file system has common locks; where it has none, the same work may be done twice.
"""

import hashlib
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

from crydistill.corpora.clip import Clip
from crydistill.errors import StoreError

STORE_FILE = "store.json"
"""Present in every part."""

_NAME = re.compile(r"shard-(\d+)-of-(\d+)(?:\.(\d+))?(\.part-.+)?")
_NAMED_AT_MOST = 8


@dataclass(frozen=True, order=True)
class Shard:
    """One of a store's shards.

    number : from 0
    of : number of shards
    """

    number: int
    of: int

    @property
    def name(self) -> str:
        """Name of its directory, such as shard-003-of-016."""
        width = max(3, len(str(self.of)))
        return f"shard-{self.number:0{width}}-of-{self.of:0{width}}"

    def holds(self, clip_id: str) -> bool:
        """Whether a clip belongs to it."""
        return shard_number(clip_id, self.of) == self.number

    def finished(self, store: Path) -> list[Path]:
        """Its finished parts, the latest last; empty if it has none."""
        # By their names: a cluster asks for thousands of shards of one store.
        return list(takewhile(Path.is_dir, (self._part(store, number) for number in count(1))))

    def in_work(self, final: Path) -> Path:
        """Directory in which this machine works at what will be renamed to `final`."""
        host = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node()) or "unnamed"
        return final.with_name(f"{final.name}.part-{host}")

    def next_part(self, store: Path) -> Path:
        """Name under which its next part will be finished."""
        return self._part(store, len(self.finished(store)) + 1)

    def _part(self, store: Path, number: int) -> Path:
        return store / (self.name if number == 1 else f"{self.name}.{number}")


def shard_number(clip_id: str, of: int) -> int:
    """Number of the shard that a clip belongs to: by a hash of its id, on every machine alike."""
    digest = hashlib.sha256(clip_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % of


def all_shards(of: int) -> list[Shard]:
    """The shards of a store that has so many."""
    return [Shard(number, of) for number in range(of)]


def divided(clips: Sequence[Clip], of: int) -> dict[Shard, list[Clip]]:
    """Divide clips among shards; every shard is there, though it may have no clips."""
    parts: dict[Shard, list[Clip]] = {shard: [] for shard in all_shards(of)}
    for clip in clips:
        parts[Shard(shard_number(clip.id, of), of)].append(clip)
    return parts


def shards_of(store: Path) -> int | None:
    """Into how many shards a store is divided, finished or in work; None: it has none.

    Raises
    ------
    StoreError
        if it has shards of several divisions.
    """
    numbers = sorted({int(match[2]) for _, match in _found(store)})
    if len(numbers) > 1:
        raise StoreError(
            f"{store}: holds shards of {numbers[0]} and of {numbers[1]}; move those of one of them "
            "elsewhere"
        )
    return numbers[0] if numbers else None


def missing_shards(store: Path) -> list[int]:
    """Numbers of the shards that are not finished; empty for a store without shards.

    Raises
    ------
    StoreError
        as `shards_of`.
    """
    finished = {int(match[1]) for _, match in _found(store) if not match[4]}
    return [number for number in range(shards_of(store) or 0) if number not in finished]


def complete_parts(store: Path) -> list[Path]:
    """Directories of a store's parts, those of one clip in the order in which they were made.

    Raises
    ------
    StoreError
        if there are none, or not all shards are there.
    """
    of = shards_of(store)
    whole = [store] if (store / STORE_FILE).exists() else []
    if of is None:
        if not whole:
            raise StoreError(f"{store}: not a score store; run `crydistill score`")
        return whole
    if missing := missing_shards(store):
        raise StoreError(f"{store}: {_lacking(missing, of)}")
    finished = sorted(
        (int(match[1]), int(match[3] or 1), path) for path, match in _found(store) if not match[4]
    )
    return [*whole, *(path for _, _, path in finished)]


def _lacking(missing: Sequence[int], of: int) -> str:
    names = ", ".join(map(str, missing[:_NAMED_AT_MOST]))
    more = f" and {len(missing) - _NAMED_AT_MOST} more" if len(missing) > _NAMED_AT_MOST else ""
    what = f"shards {names}{more} of {of} are" if len(missing) > 1 else f"shard {names} of {of} is"
    return (
        f"{what} missing; `crydistill score CONFIG --shards {of} --shard I` makes shard I, and "
        "`crydistill score CONFIG` all that are missing"
    )


def _found(store: Path) -> list[tuple[Path, re.Match[str]]]:
    """Directories of shards in a store, finished or in work, with what their names say."""
    if not store.is_dir():
        return []
    matches = [(path, _NAME.fullmatch(path.name)) for path in store.iterdir()]
    return [(path, match) for path, match in matches if match and path.is_dir()]
