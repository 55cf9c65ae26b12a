"""Score stores: a teacher's scores of a corpus, append-only and memory-mapped.

`ScoreStore` has the scores of single windows and the log-mel frames that a student learns from.
`LogitStore` has any kind of scores without the frames, such as those of the last seconds; the kind
is part of the store's identity. Layout of a store directory, or of each of its shards
(`crydistill.teacher.shards`), which a store opens as one:

    store.json      teacher, kind of scores, front end and format
    frames.f16      log-mel frames, float16 [*, 64], one row per frame; empty where none are kept
    scores.f16      teacher logits, float16 [*, 521] or of the kind's shape, one row per window
    index.jsonl     one line per clip: the position of its rows

Where frames are not kept they are computed again from the audio, with the same result, and have
positions as if they were kept.

A clip's rows are appended to the binary files first and its index line last, so a kill leaves
at most rows without an index line, which the next writer truncates. A clip that is scored again
(because its file changed) gets new rows and a new line; the last line counts.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from pydantic import NonNegativeInt, TypeAdapter, ValidationError
from scipy.special import expit

from crydistill import atomic
from crydistill.audio.mel import FRONT_END_VERSION, MEL_BANDS, LogMel
from crydistill.audio.windows import window_count
from crydistill.errors import StoreError
from crydistill.json_file import parse_json
from crydistill.lock import exclusive
from crydistill.taxonomy import CLASSES, cry_indices, cry_score
from crydistill.teacher.reduced import DenseRows, Reduction
from crydistill.teacher.rows import (
    FileRows,
    Float16,
    RecomputedRows,
    Rows,
    row_bytes,
)
from crydistill.teacher.shards import STORE_FILE, complete_parts

FORMAT = 1


@dataclass(frozen=True)
class TeacherIdentity:
    """The network whose scores a store contains: its name and the sha256 of its weights."""

    name: str
    fingerprint: str


@dataclass(frozen=True)
class Kind:
    """What the rows of a store are; stores of two kinds are never mixed.

    front_end : version of the front end that the scores are computed with
    score_shape : of one window's logits
    frame_shape : of one frame; empty if new stores do not keep the frames
    about : what else sets the scores apart, such as contexts and classes; values as in JSON
    reduction : how the logits are reduced before they are stored; None: they are stored whole
    """

    front_end: str
    score_shape: tuple[int, ...]
    frame_shape: tuple[int, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    reduction: Reduction | None = None

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of a window's row in the file."""
        return (self.reduction.width,) if self.reduction else self.score_shape


WINDOW_SCORES = Kind(FRONT_END_VERSION, (CLASSES,), (MEL_BANDS,))
"""Scores of single windows for all of YAMNet's classes, with the log-mel frames."""


def window_scores(*, keep_frames: bool = True, top: int | None = None) -> Kind:
    """Scores of single windows, with other options of what is stored.

    Parameters
    ----------
    keep_frames : False: new stores have no frames, which are computed again when they are needed
    top : keep so many of the highest logits, see `crydistill.teacher.reduced`; None: all
    """
    return replace(
        WINDOW_SCORES,
        frame_shape=WINDOW_SCORES.frame_shape if keep_frames else (),
        reduction=Reduction(top) if top else None,
    )


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """The position of a clip's rows, and the audio they came from.

    sha256 : content hash of the audio file
    duration : seconds of audio, before padding to a window
    notes : remarks on the audio, see `crydistill.audio.files.Audio`
    """

    id: str
    sha256: str
    duration: float
    frame_start: NonNegativeInt
    frames: NonNegativeInt
    window_start: NonNegativeInt
    windows: NonNegativeInt
    notes: tuple[str, ...] = ()


_ENTRY = TypeAdapter(StoreEntry)

FramesOf = Callable[[StoreEntry], Float16]
"""Computes a clip's frames `[frames, 64]` from its audio, exactly as they were scored."""


class StorePart:
    """One part of a store: all of it, or a shard."""

    def __init__(self, directory: str | Path, kind: Kind) -> None:
        """Read the index; scores are read when they are needed.

        Raises
        ------
        StoreError
            if there is no part, it is of another kind, or its files are inconsistent.
        """
        self.directory = Path(directory)
        self.identity, self.frame_shape = _read_identity(self.directory, kind)
        self.entries = _read_index(self.directory / "index.jsonl")
        rows = FileRows(self.directory / "scores.f16", kind.row_shape)
        self.scores: Rows = DenseRows(rows, kind.reduction) if kind.reduction else rows
        self.require(lambda entry: entry.window_start + entry.windows <= len(rows))

    def frames(self, frames_of: FramesOf | None) -> Rows:
        """Its frames, from their file or computed anew.

        Raises
        ------
        StoreError
            if its files are inconsistent.
        """
        if self.frame_shape:
            rows: Rows = FileRows(self.directory / "frames.f16", self.frame_shape)
        else:
            rows = self._recomputed(frames_of)
        self.require(
            lambda entry: (
                entry.frame_start + entry.frames <= len(rows)
                and entry.windows == window_count(entry.frames)
            )
        )
        return rows

    def _recomputed(self, frames_of: FramesOf | None) -> RecomputedRows:
        ordered = sorted(self.entries.values(), key=lambda entry: entry.frame_start)

        def compute(number: int) -> Float16:
            if frames_of is None:
                raise StoreError(f"{self.directory}: keeps no frames; open it with its recordings")
            frames = frames_of(ordered[number])
            if len(frames) != ordered[number].frames:
                raise StoreError(
                    f"{self.directory}: {ordered[number].id} has another length than when it was "
                    "scored; run `crydistill score CONFIG`"
                )
            return frames

        starts = [entry.frame_start for entry in ordered]
        count = max((entry.frame_start + entry.frames for entry in ordered), default=0)
        return RecomputedRows(starts, WINDOW_SCORES.frame_shape, count, compute)

    def require(self, is_right: Callable[[StoreEntry], bool]) -> None:
        """Refuse the part if something is wrong with an entry."""
        for entry in self.entries.values():
            if not is_right(entry):
                raise StoreError(
                    f"{self.directory}: {entry.id} points outside the data; delete the store "
                    "and score again"
                )


class LogitStore:
    """Read access to a store of any kind, of one part or many shards.

    Memory-mapped: opening reads the index alone, and reading is lazy.
    """

    def __init__(self, directory: str | Path, kind: Kind) -> None:
        """Open an existing store.

        Raises
        ------
        StoreError
            if there is none, it is of another kind, shards are missing, or its files are
            inconsistent.
        """
        self.directory = Path(directory)
        self._parts = [StorePart(part, kind) for part in complete_parts(self.directory)]
        self.identity = self._parts[0].identity
        for part in self._parts:
            _require_same(part.identity, self.identity, part.directory)
        # One part's index serves as it is: copies of one with millions of clips fill the memory.
        first, *others = self._parts
        entries = dict(first.entries) if others else first.entries
        self._part_of: dict[str, int] = {}  # of clips that are not in the first
        for number, part in enumerate(others, start=1):
            entries |= part.entries
            self._part_of |= dict.fromkeys(part.entries, number)
        self.entries: Mapping[str, StoreEntry] = entries

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self.entries

    def __len__(self) -> int:
        return len(self.entries)

    def logits(self, clip_id: str) -> Float16:
        """Teacher logits of a clip's windows, float16 `[windows, *score_shape]`."""
        entry = self.entries[clip_id]
        scores = self._parts[self._part_of.get(clip_id, 0)].scores
        return scores.between(entry.window_start, entry.window_start + entry.windows)


class ScoreStore(LogitStore):
    """Read access to scores of single windows, `[windows, 521]`, and the clips' log-mel frames.

    Examples
    --------
    >>> import numpy as np
    >>> from crydistill.teacher.scores import ScoreStore, TeacherIdentity, open_for_writing
    >>> with open_for_writing("scores", TeacherIdentity("made up", "0" * 64)) as writer:
    ...     writer.append(
    ...         "a.wav", sha256="1" * 64, duration=2.0, notes=(),
    ...         frames=np.zeros((198, 64), np.float32), logits=np.zeros((3, 521), np.float32),
    ...     )
    >>> store = ScoreStore("scores")
    >>> len(store), "a.wav" in store, store.identity.name
    (1, True, 'made up')
    >>> store.frames("a.wav").shape, store.logits("a.wav").shape
    ((198, 64), (3, 521))
    >>> store.cry_scores("a.wav").tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        directory: str | Path,
        kind: Kind = WINDOW_SCORES,
        frames_of: FramesOf | None = None,
    ) -> None:
        """Open an existing store.

        Parameters
        ----------
        kind : one of `window_scores`
        frames_of : computes frames that the store does not keep

        Raises
        ------
        StoreError
            as `LogitStore`.
        """
        super().__init__(directory, kind)
        self._frames = [part.frames(frames_of) for part in self._parts]

    def frames(self, clip_id: str) -> Float16:
        """Log-mel frames of a clip, `[frames, 64]` float16.

        Raises
        ------
        StoreError
            if the store does not keep them and the recording has changed or cannot be read.
        """
        entry = self.entries[clip_id]
        frames = self._frames[self._part_of.get(clip_id, 0)]
        return frames.between(entry.frame_start, entry.frame_start + entry.frames)

    def cry_scores(self, clip_id: str) -> npt.NDArray[np.float32]:
        """Teacher cry score of a clip's windows, `[windows]`, 0 to 2."""
        cry_logits = self.logits(clip_id)[:, list(cry_indices())]
        return cry_score(expit(np.asarray(cry_logits, dtype=np.float32)))


class StoreWriter:
    """Append access to a store; only one writer at a time."""

    def __init__(
        self,
        kind: Kind,
        frames: IO[bytes],
        scores: IO[bytes],
        index: IO[str],
        *,
        frame_count: int,
    ) -> None:
        self._kind = kind
        self._frames, self._scores, self._index = frames, scores, index
        self._frame_count = frame_count

    def append(
        self,
        clip_id: str,
        *,
        sha256: str,
        duration: float,
        notes: tuple[str, ...],
        frames: LogMel,
        logits: npt.NDArray[np.float32],
    ) -> None:
        """Append a clip: `frames` `[f, 64]`, `logits` `[window_count(f), *score_shape]`.

        The frames are not written if the store keeps none, and logits as they are reduced.
        """
        if logits.shape != (window_count(len(frames)), *self._kind.score_shape):
            raise ValueError(f"{clip_id}: scores {logits.shape} for {len(frames)} frames")
        kept = frames if self._kind.frame_shape else frames[:0]
        rows = self._kind.reduction.reduced(logits) if self._kind.reduction else logits
        entry = StoreEntry(
            id=clip_id,
            sha256=sha256,
            duration=round(duration, 3),
            frame_start=self._frame_count,
            frames=len(frames),
            window_start=self._scores.tell() // row_bytes(self._kind.row_shape),
            windows=len(logits),
            notes=notes,
        )
        self._frames.write(np.ascontiguousarray(kept, dtype=np.float16).tobytes())
        self._scores.write(np.ascontiguousarray(rows, dtype=np.float16).tobytes())
        self._frames.flush()
        self._scores.flush()
        self._index.write(json.dumps(asdict(entry)) + "\n")
        self._index.flush()
        self._frame_count += len(frames)


@contextmanager
def open_for_writing(
    directory: str | Path, identity: TeacherIdentity, kind: Kind = WINDOW_SCORES
) -> Iterator[StoreWriter]:
    """Create a store or resume one, after truncating incomplete rows left by a kill.

    A store that exists goes on keeping frames, or not, as it began.

    Raises
    ------
    BusyError
        if another process is writing to it.
    StoreError
        if it was made with another teacher or front end, is of another kind, or is damaged.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with exclusive(directory / "lock"):
        if (directory / STORE_FILE).exists():
            found, frame_shape = _read_identity(directory, kind)
            _require_same(found, identity, directory)
            kind = replace(kind, frame_shape=frame_shape)
        else:
            _write_identity(directory, identity, kind)
        frame_count = _truncate_incomplete(directory, kind)
        with (
            (directory / "frames.f16").open("ab") as frames,
            (directory / "scores.f16").open("ab") as scores,
            (directory / "index.jsonl").open("a", encoding="utf-8") as index,
        ):
            yield StoreWriter(kind, frames, scores, index, frame_count=frame_count)
            for file in (frames, scores, index):
                file.flush()
                os.fsync(file.fileno())


def corpus_fingerprint(store: ScoreStore, clip_ids: Sequence[str]) -> str:
    """Return a content hash of the given clips: sha256 over ids and audio hashes."""
    digest = hashlib.sha256()
    for clip_id in clip_ids:
        digest.update(f"{clip_id}\t{store.entries[clip_id].sha256}\n".encode())
    return digest.hexdigest()


def _write_identity(directory: Path, identity: TeacherIdentity, kind: Kind) -> None:
    facts = {
        "format": FORMAT,
        "teacher": asdict(identity),
        "front_end": kind.front_end,
        "scores": "logits",
        "frame_shape": list(kind.frame_shape),
        **_distinctions(kind),
        "dtype": "float16, little-endian",
    }
    atomic.write_text(directory / STORE_FILE, json.dumps(facts, indent=2) + "\n")


def _distinctions(kind: Kind) -> dict[str, Any]:
    """What sets a kind apart, as `store.json` has it."""
    reduced = {"top": kind.reduction.top} if kind.reduction else {}
    return {"score_shape": list(kind.row_shape), **reduced, **kind.about}


def _read_identity(directory: Path, kind: Kind) -> tuple[TeacherIdentity, tuple[int, ...]]:
    """Whose scores a store holds, and the shape of the frames it keeps; empty if it keeps none."""
    path = directory / STORE_FILE
    try:
        facts: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        identity = TeacherIdentity(**facts["teacher"])
        made_by = (facts["format"], facts["front_end"])
        frame_shape = tuple(facts["frame_shape"])
    except FileNotFoundError as error:
        raise StoreError(f"{directory}: not a score store; run `crydistill score`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: damaged ({error}); delete the store and score again") from error
    for key, wanted in _distinctions(kind).items():
        if facts.get(key) != wanted:
            raise StoreError(
                f"{directory}: holds scores with {key} {facts.get(key)}, not {wanted}; use another "
                "store or delete this one"
            )
    if made_by != (FORMAT, kind.front_end):
        raise StoreError(
            f"{directory}: made with front end {made_by[1]}, format {made_by[0]}; this version "
            f"uses {kind.front_end}, format {FORMAT}. Delete the store and score again"
        )
    if frame_shape not in ((), WINDOW_SCORES.frame_shape):
        raise StoreError(f"{directory}: keeps frames of shape {frame_shape}; use another store")
    return identity, frame_shape


def _require_same(found: TeacherIdentity, wanted: TeacherIdentity, directory: Path) -> None:
    if found.fingerprint != wanted.fingerprint:
        raise StoreError(
            f"{directory}: holds scores of teacher {found.name} ({found.fingerprint[:12]}), not of "
            f"{wanted.name} ({wanted.fingerprint[:12]}); use another store or delete this one"
        )


def _read_index(path: Path) -> dict[str, StoreEntry]:
    if not path.exists():
        return {}
    entries = {}
    for number, line in enumerate(_whole_lines(path), start=1):
        try:
            entry = _ENTRY.validate_json(line)
        except ValidationError as error:
            raise StoreError(
                f"{path}:{number}: damaged ({error.errors()[0]['msg']}); delete the store and "
                "score again"
            ) from error
        entries[entry.id] = entry
    return entries


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Lines one by one; an incomplete last one, which the next writer truncates, is left out."""
    with path.open("rb") as file:
        yield from (line for line in file if line.endswith(b"\n"))


def _truncate_incomplete(directory: Path, kind: Kind) -> int:
    """Cut off rows without a line in the index; return the number of frames before the next."""
    index = directory / "index.jsonl"
    entries = _read_index(index)
    if index.exists():
        data = index.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.truncate(index, whole)
    frame_count = max((e.frame_start + e.frames for e in entries.values()), default=0)
    ends = {
        "frames.f16": row_bytes(kind.frame_shape) * frame_count,
        "scores.f16": row_bytes(kind.row_shape)
        * max((e.window_start + e.windows for e in entries.values()), default=0),
    }
    for name, end in ends.items():
        path = directory / name
        path.touch()
        size = path.stat().st_size
        if size < end:
            raise StoreError(f"{path}: {end - size} bytes are missing; delete the store")
        if size > end:
            os.truncate(path, end)
    return frame_count
