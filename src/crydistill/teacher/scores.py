"""The score store: log-mel frames and teacher scores of a corpus, append-only and memory-mapped.

Layout of a store directory:

    store.json      teacher, front end and format
    frames.f16      log-mel frames, float16 [*, 64], one row per frame
    scores.f16      teacher logits, float16 [*, 521], one row per window
    index.jsonl     one line per clip: the position of its rows

A clip's rows are appended to the two binary files first and its index line last, so a kill leaves
at most rows without an index line, which the next writer truncates. A clip that is scored again
(because its file changed) gets new rows and a new line; the last line counts.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
_FRAME_BYTES = 2 * MEL_BANDS
_SCORE_BYTES = 2 * CLASSES

Float16 = npt.NDArray[np.float16]


@dataclass(frozen=True)
class TeacherIdentity:
    """The network whose scores a store contains: its name and the sha256 of its weights."""

    name: str
    fingerprint: str


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


class ScoreStore:
    """Read access to a store; memory-mapped, so opening is cheap and reading is lazy.

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
            if there is none, or its files are inconsistent.
        """
        self.directory = Path(directory)
        self.identity = _read_identity(self.directory)
        self.entries: Mapping[str, StoreEntry] = _read_index(self.directory / "index.jsonl")
        self._frames = _rows(self.directory / "frames.f16", MEL_BANDS)
        self._scores = _rows(self.directory / "scores.f16", CLASSES)
        for entry in self.entries.values():
            if (
                entry.frame_start + entry.frames > len(self._frames)
                or entry.window_start + entry.windows > len(self._scores)
                or entry.windows != window_count(entry.frames)
            ):
                raise StoreError(
                    f"{self.directory}: {entry.id} points outside the data; delete the store "
                    "and score again"
                )

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self.entries

    def __len__(self) -> int:
        return len(self.entries)

    def frames(self, clip_id: str) -> Float16:
        """Log-mel frames of a clip, `[frames, 64]` float16."""
        entry = self.entries[clip_id]
        return self._frames[entry.frame_start : entry.frame_start + entry.frames]

    def logits(self, clip_id: str) -> Float16:
        """Teacher logits of a clip's windows, `[windows, 521]` float16."""
        entry = self.entries[clip_id]
        return self._scores[entry.window_start : entry.window_start + entry.windows]

    def cry_scores(self, clip_id: str) -> npt.NDArray[np.float32]:
        """Teacher cry score of a clip's windows, `[windows]`, 0 to 2."""
        cry_logits = self.logits(clip_id)[:, list(cry_indices())]
        return cry_score(expit(np.asarray(cry_logits, dtype=np.float32)))

    def window_frame_starts(self, clip_id: str) -> npt.NDArray[np.int64]:
        """Start row in `all_frames` of each window of a clip, `[windows]`."""
        entry = self.entries[clip_id]
        return entry.frame_start + WINDOW_HOP_FRAMES * np.arange(entry.windows)

    def window_rows(self, clip_id: str) -> npt.NDArray[np.int64]:
        """Row in `all_logits` of each window of a clip, `[windows]`."""
        entry = self.entries[clip_id]
        return entry.window_start + np.arange(entry.windows)

    @property
    def all_frames(self) -> Float16:
        """All frames in the store, `[*, 64]`, memory-mapped."""
        return self._frames

    @property
    def all_logits(self) -> Float16:
        """All windows' logits in the store, `[*, 521]`, memory-mapped."""
        return self._scores


class StoreWriter:
    """Append access to a store; only one writer at a time."""

    def __init__(self, frames: IO[bytes], scores: IO[bytes], index: IO[str]) -> None:
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
        """Append a clip: `frames` `[f, 64]`, `logits` `[window_count(f), 521]`."""
        if len(logits) != window_count(len(frames)):
            raise ValueError(f"{clip_id}: {len(logits)} score rows for {len(frames)} frames")
        entry = StoreEntry(
            id=clip_id,
            sha256=sha256,
            duration=round(duration, 3),
            frame_start=self._frames.tell() // _FRAME_BYTES,
            frames=len(frames),
            window_start=self._scores.tell() // _SCORE_BYTES,
            windows=len(logits),
            notes=notes,
        )
        self._frames.write(np.ascontiguousarray(frames, dtype=np.float16).tobytes())
        self._scores.write(np.ascontiguousarray(logits, dtype=np.float16).tobytes())
        self._frames.flush()
        self._scores.flush()
        self._index.write(json.dumps(asdict(entry)) + "\n")
        self._index.flush()


@contextmanager
def open_for_writing(directory: str | Path, identity: TeacherIdentity) -> Iterator[StoreWriter]:
    """Create a store or resume one, after truncating incomplete rows left by a kill.

    Raises
    ------
    BusyError
        if another process is writing to it.
    StoreError
        if it was made with another teacher or front end, or is damaged.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with exclusive(directory / "lock"):
        if (directory / "store.json").exists():
            _require_same(_read_identity(directory), identity, directory)
        else:
            _write_identity(directory, identity)
        _truncate_incomplete(directory)
        with (
            (directory / "frames.f16").open("ab") as frames,
            (directory / "scores.f16").open("ab") as scores,
            (directory / "index.jsonl").open("a", encoding="utf-8") as index,
        ):
            yield StoreWriter(frames, scores, index)
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


def _write_identity(directory: Path, identity: TeacherIdentity) -> None:
    facts = {
        "format": FORMAT,
        "teacher": asdict(identity),
        "front_end": FRONT_END_VERSION,
        "scores": "logits",
        "frame_shape": [MEL_BANDS],
        "score_shape": [CLASSES],
        "dtype": "float16, little-endian",
    }
    atomic.write_text(directory / "store.json", json.dumps(facts, indent=2) + "\n")


def _read_identity(directory: Path) -> TeacherIdentity:
    path = directory / "store.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        identity = TeacherIdentity(**facts["teacher"])
        made_by = (facts["format"], facts["front_end"])
    except FileNotFoundError as error:
        raise StoreError(f"{directory}: not a score store; run `crydistill score`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: damaged ({error}); delete the store and score again") from error
    if made_by != (FORMAT, FRONT_END_VERSION):
        raise StoreError(
            f"{directory}: made with front end {made_by[1]}, format {made_by[0]}; this version "
            f"uses {FRONT_END_VERSION}, format {FORMAT}. Delete the store and score again"
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
    # After the last newline there may be an incomplete line, which the next writer truncates.
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            entry = _ENTRY.validate_json(line)
        except ValidationError as error:
            raise StoreError(
                f"{path}:{number}: damaged ({error.errors()[0]['msg']}); delete the store and "
                "score again"
            ) from error
        entries[entry.id] = entry
    return entries


def _truncate_incomplete(directory: Path) -> None:
    index = directory / "index.jsonl"
    entries = _read_index(index)
    if index.exists():
        data = index.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.truncate(index, whole)
    ends = {
        "frames.f16": _FRAME_BYTES
        * max((e.frame_start + e.frames for e in entries.values()), default=0),
        "scores.f16": _SCORE_BYTES
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


def _rows(path: Path, width: int) -> Float16:
    if not path.exists() or path.stat().st_size < 2 * width:
        return np.empty((0, width), dtype=np.float16)
    count = path.stat().st_size // (2 * width)
    return np.memmap(path, dtype="<f2", mode="r", shape=(count, width))
