"""Score stores: a teacher's scores of a corpus, append-only and memory-mapped.

`ScoreStore` has the scores of single windows and the log-mel frames that a student learns from.
`LogitStore` has any kind of scores without the frames, such as those of the last seconds; the kind
is part of the store's identity. Layout of a store directory:

    store.json      teacher, kind of scores, front end and format
    frames.f16      log-mel frames, float16 [*, 64], one row per frame; empty for kinds without
    scores.f16      teacher logits, float16 [*, 521] or of the kind's shape, one row per window
    index.jsonl     one line per clip: the position of its rows

A clip's rows are appended to the binary files first and its index line last, so a kill leaves
at most rows without an index line, which the next writer truncates. A clip that is scored again
(because its file changed) gets new rows and a new line; the last line counts.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from pydantic import NonNegativeInt, TypeAdapter, ValidationError
from scipy.special import expit

from crydistill import atomic
from crydistill.audio.mel import FRONT_END_VERSION, MEL_BANDS, LogMel
from crydistill.audio.windows import WINDOW_FRAMES, WINDOW_HOP_FRAMES, window_count
from crydistill.errors import StoreError
from crydistill.lock import exclusive
from crydistill.taxonomy import CLASSES, cry_indices, cry_score

FORMAT = 1

Float16 = npt.NDArray[np.float16]


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
    frame_shape : of one frame; empty if the frames are not kept
    about : what else sets the scores apart, such as contexts and classes; values as in JSON
    """

    front_end: str
    score_shape: tuple[int, ...]
    frame_shape: tuple[int, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


WINDOW_SCORES = Kind(FRONT_END_VERSION, (CLASSES,), (MEL_BANDS,))
"""Scores of single windows for all of YAMNet's classes, with the log-mel frames."""


@dataclass(frozen=True)
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


class LogitStore:
    """Read access to a store of any kind; memory-mapped: opening is cheap and reading is lazy."""

    def __init__(self, directory: str | Path, kind: Kind) -> None:
        """Open an existing store.

        Raises
        ------
        StoreError
            if there is none, it is of another kind, or its files are inconsistent.
        """
        self.directory = Path(directory)
        self.identity = _read_identity(self.directory, kind)
        self.entries: Mapping[str, StoreEntry] = _read_index(self.directory / "index.jsonl")
        self._scores = _rows(self.directory / "scores.f16", kind.score_shape)
        self._require(lambda entry: entry.window_start + entry.windows <= len(self._scores))

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self.entries

    def __len__(self) -> int:
        return len(self.entries)

    def logits(self, clip_id: str) -> Float16:
        """Teacher logits of a clip's windows, float16 `[windows, *score_shape]`."""
        entry = self.entries[clip_id]
        return self._scores[entry.window_start : entry.window_start + entry.windows]

    def window_rows(self, clip_id: str) -> npt.NDArray[np.int64]:
        """Row in `all_logits` of each window of a clip, `[windows]`."""
        entry = self.entries[clip_id]
        return entry.window_start + np.arange(entry.windows)

    @property
    def all_logits(self) -> Float16:
        """All windows' logits in the store, `[*, *score_shape]`, memory-mapped."""
        return self._scores

    def _require(self, is_right: Callable[[StoreEntry], bool]) -> None:
        for entry in self.entries.values():
            if not is_right(entry):
                raise StoreError(
                    f"{self.directory}: {entry.id} points outside the data; delete the store "
                    "and score again"
                )


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

    def __init__(self, directory: str | Path) -> None:
        """Open an existing store.

        Raises
        ------
        StoreError
            if there is none, it is of another kind, or its files are inconsistent.
        """
        super().__init__(directory, WINDOW_SCORES)
        self._frames = _rows(self.directory / "frames.f16", WINDOW_SCORES.frame_shape)
        self._require(
            lambda entry: (
                entry.frame_start + entry.frames <= len(self._frames)
                and entry.windows == window_count(entry.frames)
            )
        )

    def frames(self, clip_id: str) -> Float16:
        """Log-mel frames of a clip, `[frames, 64]` float16."""
        entry = self.entries[clip_id]
        return self._frames[entry.frame_start : entry.frame_start + entry.frames]

    def cry_scores(self, clip_id: str) -> npt.NDArray[np.float32]:
        """Teacher cry score of a clip's windows, `[windows]`, 0 to 2."""
        cry_logits = self.logits(clip_id)[:, list(cry_indices())]
        return cry_score(expit(np.asarray(cry_logits, dtype=np.float32)))

    def window_frame_starts(self, clip_id: str) -> npt.NDArray[np.int64]:
        """Start row in `all_frames` of each window of a clip, `[windows]`."""
        entry = self.entries[clip_id]
        return entry.frame_start + WINDOW_HOP_FRAMES * np.arange(entry.windows)

    @property
    def all_frames(self) -> Float16:
        """All frames in the store, `[*, 64]`, memory-mapped."""
        return self._frames


class StoreWriter:
    """Append access to a store; only one writer at a time."""

    def __init__(self, kind: Kind, frames: IO[bytes], scores: IO[bytes], index: IO[str]) -> None:
        self._kind = kind
        self._frames, self._scores, self._index = frames, scores, index

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

        The frames are not written if stores of this kind keep none.
        """
        if logits.shape != (window_count(len(frames)), *self._kind.score_shape):
            raise ValueError(f"{clip_id}: scores {logits.shape} for {len(frames)} frames")
        kept = frames if self._kind.frame_shape else frames[:0]
        entry = StoreEntry(
            id=clip_id,
            sha256=sha256,
            duration=round(duration, 3),
            frame_start=self._frames.tell() // max(1, _row_bytes(self._kind.frame_shape)),
            frames=len(kept),
            window_start=self._scores.tell() // _row_bytes(self._kind.score_shape),
            windows=len(logits),
            notes=notes,
        )
        self._frames.write(np.ascontiguousarray(kept, dtype=np.float16).tobytes())
        self._scores.write(np.ascontiguousarray(logits, dtype=np.float16).tobytes())
        self._frames.flush()
        self._scores.flush()
        self._index.write(json.dumps(asdict(entry)) + "\n")
        self._index.flush()


@contextmanager
def open_for_writing(
    directory: str | Path, identity: TeacherIdentity, kind: Kind = WINDOW_SCORES
) -> Iterator[StoreWriter]:
    """Create a store or resume one, after truncating incomplete rows left by a kill.

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
        if (directory / "store.json").exists():
            _require_same(_read_identity(directory, kind), identity, directory)
        else:
            _write_identity(directory, identity, kind)
        _truncate_incomplete(directory, kind)
        with (
            (directory / "frames.f16").open("ab") as frames,
            (directory / "scores.f16").open("ab") as scores,
            (directory / "index.jsonl").open("a", encoding="utf-8") as index,
        ):
            yield StoreWriter(kind, frames, scores, index)
            for file in (frames, scores, index):
                file.flush()
                os.fsync(file.fileno())


def gather_windows(all_frames: Float16, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Gather windows from a store's frames: `[n]` start rows to `[n, 96, 64]` float32."""
    rows = starts[:, None] + np.arange(WINDOW_FRAMES)
    return np.asarray(all_frames[rows], dtype=np.float32)


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
        **_distinctions(kind),
        "dtype": "float16, little-endian",
    }
    atomic.write_text(directory / "store.json", json.dumps(facts, indent=2) + "\n")


def _distinctions(kind: Kind) -> dict[str, Any]:
    """What sets a kind apart, as `store.json` has it."""
    shapes = {"frame_shape": list(kind.frame_shape), "score_shape": list(kind.score_shape)}
    return {**shapes, **kind.about}


def _read_identity(directory: Path, kind: Kind) -> TeacherIdentity:
    path = directory / "store.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        identity = TeacherIdentity(**facts["teacher"])
        made_by = (facts["format"], facts["front_end"])
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
    return identity


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


def _truncate_incomplete(directory: Path, kind: Kind) -> None:
    index = directory / "index.jsonl"
    entries = _read_index(index)
    if index.exists():
        data = index.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.truncate(index, whole)
    ends = {
        "frames.f16": _row_bytes(kind.frame_shape)
        * max((e.frame_start + e.frames for e in entries.values()), default=0),
        "scores.f16": _row_bytes(kind.score_shape)
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


def _row_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of a float16 row; 0 if no rows are kept."""
    return 2 * prod(shape) if shape else 0


def _rows(path: Path, shape: tuple[int, ...]) -> Float16:
    size = path.stat().st_size if path.exists() else 0
    count = size // _row_bytes(shape)
    if count == 0:
        return np.empty((0, *shape), dtype=np.float16)
    return np.memmap(path, dtype="<f2", mode="r", shape=(count, *shape))
