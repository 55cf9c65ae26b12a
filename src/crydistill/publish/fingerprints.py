"""Fingerprint private recordings, to recognise them without storing their content.

Recorded for every private clip:

- the sha256 of the file;
- pieces of 128 bytes of its samples (int16 and float32), every 64 ms, and of its log-mel frames
  (float16 and float32), every fourth row, so that any run of them is found in any binary file, at
  any byte offset and in any context. A piece is stored as two 64-bit hashes. Pieces that could come
  from silence or a constant are omitted;
- its name, if distinctive, and the time in the name.

Only hashes are stored. They are private nevertheless: a guessed name or time can be tested against
them, so the file stays with the recordings, outside every git work tree.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill import atomic
from crydistill.audio.files import AUDIO_SUFFIXES, read_audio, read_native
from crydistill.audio.mel import SAMPLE_RATE, log_mel
from crydistill.boundary import require_outside_work_tree
from crydistill.corpora.captures import time_in_name
from crydistill.corpora.clip import Clip
from crydistill.errors import AudioError, CorpusError
from crydistill.npz_file import NOT_NPZ
from crydistill.progress import Progress, silent

FORMAT = 1
FILE_NAME = ".crydistill-fingerprints.npz"
"""Name of the fingerprint file inside a folder of captures."""

PIECE_BYTES = 128
SAMPLES_BETWEEN_PIECES = 1024
ROWS_BETWEEN_PIECES = 4
"""A shorter run of samples or frames may go unnoticed: 68 ms, or four frames (40 ms)."""

MIN_DISTINCT_VALUES = 8
"""Smallest number of distinct 16-bit values in a piece; silence, zeros and steps have fewer."""

MIN_NAME_LENGTH = 8
MIN_NAME_DIGITS = 3
"""A stem with fewer characters or digits is a word common in texts; it is then searched for with
its suffix (`bedroom.wav`), or not at all if that is short, too."""

_BASE = 0x9E3779B97F4A7C15  # odd, hence invertible modulo 2**64
_BLOCK_BYTES = 1 << 18
_PIECES_AT_ONCE = 1 << 14
_SPARE_FILTER_BITS = 5

Hashes = npt.NDArray[np.uint64]
_Bytes = npt.NDArray[np.uint8]


class PieceKind(IntEnum):
    """Origin of a private piece."""

    SAMPLES = 1
    FRAMES = 2
    ARRAY = 3


@dataclass(frozen=True)
class PieceMatch:
    """A private piece found in a blob, with its byte offset."""

    kind: PieceKind
    offset: int


@dataclass(frozen=True, eq=False)
class PrivateFingerprints:
    """Fingerprints the guard looks for.

    clips : number of recordings
    files : sha256 of each file
    pieces : uint64 [k, 2], rolling hash and confirming hash of each piece, sorted
    piece_kinds : uint8 [k], PieceKind of each piece
    names : uint64 [j, 3], for each name: hash of its first 8 bytes, length, hash of the whole
    moments : hashes of the times in names
    unreadable : recordings that could not be decoded (known by file hash and name only); not saved
    """

    clips: int
    files: frozenset[bytes]
    pieces: Hashes
    piece_kinds: _Bytes
    names: Hashes
    moments: frozenset[int]
    unreadable: tuple[str, ...] = field(default=())

    def save(self, path: str | Path) -> None:
        """Write the hashes to an npz file.

        Raises
        ------
        CorpusError
            if `path` is inside a git work tree.
        """
        require_outside_work_tree(path, "fingerprints of private recordings")
        with atomic.replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                format=FORMAT,
                clips=self.clips,
                files=np.frombuffer(b"".join(sorted(self.files)), dtype=np.uint8),
                pieces=self.pieces,
                piece_kinds=self.piece_kinds,
                names=self.names,
                moments=np.array(sorted(self.moments), dtype=np.uint64),
            )

    @classmethod
    def load(cls, path: str | Path) -> "PrivateFingerprints":
        """Read a file written by `save`.

        Raises
        ------
        CorpusError
            if the file does not exist or is not a fingerprint file.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                if int(data["format"]) != FORMAT:
                    raise ValueError(f"format {int(data['format'])}, not {FORMAT}")
                digests = data["files"].tobytes()
                return cls(
                    clips=int(data["clips"]),
                    files=frozenset(digests[at : at + 32] for at in range(0, len(digests), 32)),
                    pieces=data["pieces"],
                    piece_kinds=data["piece_kinds"],
                    names=data["names"],
                    moments=frozenset(data["moments"].tolist()),
                )
        except FileNotFoundError as error:
            raise CorpusError(
                f"{path}: no such fingerprint file; fingerprint the private recordings first"
            ) from error
        except NOT_NPZ as error:
            raise CorpusError(
                f"{path}: not a fingerprint file of this version ({error}); fingerprint again"
            ) from error

    def knows_file(self, sha256: bytes) -> bool:
        """Whether this is the digest of a private file."""
        return sha256 in self.files

    def find_piece(self, data: bytes) -> PieceMatch | None:
        """The first private piece of samples, frames or other arrays in a blob."""
        array = np.frombuffer(data, dtype=np.uint8)
        for start in range(0, len(array) - PIECE_BYTES + 1, _BLOCK_BYTES):
            block = array[start : start + _BLOCK_BYTES + PIECE_BYTES - 1]
            hashes = _rolling(block, PIECE_BYTES)
            for offset in self._piece_table.positions(hashes).tolist():
                row = int(np.searchsorted(self.pieces[:, 0], hashes[offset]))
                if _digest(block[offset : offset + PIECE_BYTES].tobytes()) == self.pieces[row, 1]:
                    return PieceMatch(PieceKind(self.piece_kinds[row]), start + offset)
        return None

    def find_name(self, data: bytes) -> int | None:
        """Offset of the first private name that is a whole word; case-insensitive."""
        low = data.lower()
        array = np.frombuffer(low, dtype=np.uint8)
        for start in range(0, len(array) - MIN_NAME_LENGTH + 1, _BLOCK_BYTES):
            block = array[start : start + _BLOCK_BYTES + MIN_NAME_LENGTH - 1]
            hashes = _rolling(block, MIN_NAME_LENGTH)
            for offset in self._name_table.positions(hashes).tolist():
                if self._name_at(low, start + offset, int(hashes[offset])):
                    return int(start + offset)
        return None

    def knows_moment(self, moment: datetime) -> bool:
        """Whether a recording began at this instant, or at this local time in any time zone."""
        return bool(self.moments.intersection(_moment_hashes(moment)))

    def _name_at(self, low: bytes, at: int, head: int) -> bool:
        if low[max(0, at - 1) : at].isalnum():
            return False
        for length, digest in self._names_by_head[head]:
            word, after = low[at : at + length], low[at + length : at + length + 1]
            if not after.isalnum() and len(word) == length and _digest(word) == digest:
                return True
        return False

    @cached_property
    def _piece_table(self) -> "_Table":
        return _Table(np.ascontiguousarray(self.pieces[:, 0]))

    @cached_property
    def _name_table(self) -> "_Table":
        return _Table(np.unique(self.names[:, 0]))

    @cached_property
    def _names_by_head(self) -> dict[int, set[tuple[int, int]]]:
        by_head: dict[int, set[tuple[int, int]]] = {}
        for head, length, digest in self.names.tolist():
            by_head.setdefault(head, set()).add((length, digest))
        return by_head


def fingerprint_private(
    source: str | Path | Iterable[Clip],
    *,
    arrays: Iterable[npt.NDArray[Any]] = (),
    progress: Progress = silent,
) -> PrivateFingerprints:
    """Fingerprint private recordings.

    Parameters
    ----------
    source : a folder, of which every audio file is used, or clips
    arrays : floating-point arrays derived from the recordings that must not be published either,
        such as teacher scores `[windows, 521]`; pieces are taken along the last axis
    """
    recordings = _recordings(source)
    pieces: list[Hashes] = []
    kinds: list[_Bytes] = []

    def keep(kind: PieceKind, data: _Bytes) -> None:
        hashes = _hash_pieces(data)
        pieces.append(hashes)
        kinds.append(np.full(len(hashes), kind, dtype=np.uint8))

    unreadable = []
    with progress("fingerprinting private recordings", len(recordings), "recordings") as advance:
        for path in recordings:
            try:
                for kind, data in _pieces_of_recording(path):
                    keep(kind, data)
            except AudioError as error:
                unreadable.append(str(error))
            advance(1)
    for array in arrays:
        for dtype in (np.float16, np.float32):
            keep(PieceKind.ARRAY, _pieces_of_rows(array, dtype))
    table, first = np.unique(_concatenated(pieces, (0, 2), np.uint64), axis=0, return_index=True)
    return PrivateFingerprints(
        clips=len(recordings),
        files=frozenset(_sha256(path) for path in recordings),
        pieces=table,
        piece_kinds=_concatenated(kinds, (0,), np.uint8)[first],
        names=_hash_names(path.name for path in recordings),
        moments=_hash_moments(path.name for path in recordings),
        unreadable=tuple(unreadable),
    )


def as_int16(samples: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    """Samples in [-1, 1] as 16-bit integers; exact for audio decoded from 16 bits."""
    scaled = np.rint(np.asarray(samples, dtype=np.float32) * np.float32(32_768))
    return np.asarray(np.clip(scaled, -32_768, 32_767).astype(np.int16))


class _Table:
    """A sorted set of hashes with a fast batch test for non-members."""

    def __init__(self, keys: Hashes) -> None:
        self._keys = keys
        bits = min(28, len(keys).bit_length() + _SPARE_FILTER_BITS)
        self._shift = np.uint64(64 - bits)
        self._maybe = np.zeros(1 << bits, dtype=np.bool_)
        self._maybe[keys >> self._shift] = True

    def positions(self, hashes: Hashes) -> npt.NDArray[np.int64]:
        """Indices of the hashes that are in the set."""
        candidates: npt.NDArray[np.int64] = np.flatnonzero(self._maybe[hashes >> self._shift])
        if len(candidates) == 0:
            return candidates
        row = np.searchsorted(self._keys, hashes[candidates])
        nearest = self._keys[np.minimum(row, len(self._keys) - 1)]
        found: npt.NDArray[np.int64] = candidates[nearest == hashes[candidates]]
        return found


def _powers(base: int, count: int) -> Hashes:
    powers = np.full(count, base, dtype=np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


_POWERS = _powers(_BASE, _BLOCK_BYTES + PIECE_BYTES)
_INVERSE_POWERS = _powers(pow(_BASE, -1, 1 << 64), _BLOCK_BYTES + PIECE_BYTES)


def _rolling(data: _Bytes, width: int) -> Hashes:
    """Polynomial hash of the `width` bytes from each position on, modulo 2**64."""
    total = np.zeros(len(data) + 1, dtype=np.uint64)
    np.cumsum(data * _POWERS[: len(data)], out=total[1:])
    return (total[width:] - total[:-width]) * _INVERSE_POWERS[: len(data) - width + 1]


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _hash_pieces(data: _Bytes) -> Hashes:
    """Both hashes of each distinctive piece: `[k, 128]` bytes to `[<= k, 2]`."""
    blocks = [
        _hash_some_pieces(data[start : start + _PIECES_AT_ONCE])
        for start in range(0, len(data), _PIECES_AT_ONCE)
    ]
    return _concatenated(blocks, (0, 2), np.uint64)


def _hash_some_pieces(data: _Bytes) -> Hashes:
    values = np.sort(np.ascontiguousarray(data).view(np.uint16), axis=1)
    distinct = 1 + np.count_nonzero(np.diff(values, axis=1), axis=1)
    data = data[distinct >= MIN_DISTINCT_VALUES]
    rolling = (data * _POWERS[:PIECE_BYTES]).sum(axis=1, dtype=np.uint64)
    confirming = np.array([_digest(piece.tobytes()) for piece in data], dtype=np.uint64)
    return np.stack([rolling, confirming], axis=1)


def _pieces_of_recording(path: Path) -> Iterator[tuple[PieceKind, _Bytes]]:
    audio = read_audio(path)
    for rate, native in read_native(path):
        yield PieceKind.SAMPLES, _pieces_of_samples(as_int16(native))
        if native.shape[1] > 1 or rate != SAMPLE_RATE:
            for channel in (*native.T, audio.samples):
                yield PieceKind.SAMPLES, _pieces_of_samples(as_int16(channel))
    yield PieceKind.SAMPLES, _pieces_of_samples(audio.samples)
    frames = log_mel(audio.samples)[::ROWS_BETWEEN_PIECES]
    for dtype in (np.float16, np.float32):
        rows = np.ascontiguousarray(frames, dtype=dtype).view(np.uint8)
        yield PieceKind.FRAMES, rows[:, :PIECE_BYTES]


def _pieces_of_samples(samples: npt.NDArray[Any]) -> _Bytes:
    data = np.ascontiguousarray(samples).reshape(-1).view(np.uint8)
    step = SAMPLES_BETWEEN_PIECES * samples.itemsize
    if len(data) < PIECE_BYTES:
        return np.empty((0, PIECE_BYTES), dtype=np.uint8)
    return np.lib.stride_tricks.sliding_window_view(data, PIECE_BYTES)[::step]


def _pieces_of_rows(array: npt.NDArray[Any], dtype: type[np.floating[Any]]) -> _Bytes:
    rows = np.ascontiguousarray(array, dtype=dtype).reshape(-1, array.shape[-1]).view(np.uint8)
    whole = rows.shape[1] // PIECE_BYTES * PIECE_BYTES
    return rows[:, :whole].reshape(-1, PIECE_BYTES)


def _recordings(source: str | Path | Iterable[Clip]) -> Sequence[Path]:
    if not isinstance(source, str | Path):
        return [clip.path for clip in source]
    folder = Path(source)
    recordings = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix.lower() in AUDIO_SUFFIXES
    )
    if not recordings:
        raise CorpusError(
            f"{folder}: no private recordings found; name the folder that contains them"
        )
    return recordings


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _hash_names(names: Iterable[str]) -> Hashes:
    rows = []
    for name in names:
        stem = Path(name).stem
        digits = sum(character.isdigit() for character in stem)
        distinctive = len(stem.encode()) >= MIN_NAME_LENGTH and digits >= MIN_NAME_DIGITS
        word = (stem if distinctive else name).encode().lower()
        if len(word) >= MIN_NAME_LENGTH:
            head = np.frombuffer(word[:MIN_NAME_LENGTH], dtype=np.uint8)
            rows.append((int(_rolling(head, MIN_NAME_LENGTH)[0]), len(word), _digest(word)))
    return np.array(rows, dtype=np.uint64).reshape(-1, 3)


def _hash_moments(names: Iterable[str]) -> frozenset[int]:
    moments = (time_in_name(name) for name in names)
    return frozenset(value for moment in moments if moment for value in _moment_hashes(moment))


def _moment_hashes(moment: datetime) -> set[int]:
    """Hashes of the wall-clock time and, if the offset is known, of the instant."""
    readings = {f"{moment:%Y%m%dT%H%M%S}"}
    if moment.tzinfo is not None:
        readings = {f"{moment.astimezone(UTC):%Y%m%dT%H%M%S}Z"} | readings
    return {_digest(reading.encode()) for reading in readings}


def _concatenated(parts: list[Any], empty: tuple[int, ...], dtype: type[Any]) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(empty, dtype=dtype), *parts])
