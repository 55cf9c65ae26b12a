"""Score a corpus: decode, compute log-mel frames, run the teacher, append to the store."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from crydistill.audio.files import read_audio
from crydistill.audio.mel import Samples, log_mel
from crydistill.audio.windows import window_count
from crydistill.corpora.clip import Clip
from crydistill.download import sha256_of
from crydistill.errors import AudioError
from crydistill.members import exists
from crydistill.progress import Progress, silent
from crydistill.teacher.base import Logits, Recording, Teacher
from crydistill.teacher.scores import (
    WINDOW_SCORES,
    Kind,
    StorePart,
    TeacherIdentity,
    open_for_writing,
)
from crydistill.teacher.shards import STORE_FILE

WINDOWS_PER_BATCH = 512
"""Clips are passed to the teacher in batches of at least this many windows."""

_CLIPS_AHEAD = 64
"""Maximum number of decoded clips waiting for the teacher; limits memory."""

Change = Callable[[Clip, Samples], Samples]
"""Augmentation of a clip's samples, applied before the front end and the teacher."""


@dataclass(frozen=True)
class Failure:
    """A clip that could not be scored, and the one-line reason."""

    clip_id: str
    reason: str


@dataclass(frozen=True)
class Scoring:
    """Result of a scoring run: the number of clips added, and the clips that failed."""

    scored: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class _Decoded:
    recording: Recording
    sha256: str
    duration: float
    notes: tuple[str, ...]


def unscored(
    clips: Sequence[Clip], directory: str | Path, kind: Kind = WINDOW_SCORES
) -> list[Clip]:
    """List the clips that are not in a store's part, or whose file has changed since.

    Raises
    ------
    StoreError
        if the store is damaged or of another kind.
    """
    if not (Path(directory) / STORE_FILE).exists():
        return list(clips)
    entries = StorePart(directory, kind).entries

    def is_there(clip: Clip) -> bool:
        entry = entries.get(clip.id)
        return entry is not None and exists(clip.path) and sha256_of(clip.path) == entry.sha256

    return [clip for clip in clips if not is_there(clip)]


def score_corpus(
    clips: Sequence[Clip],
    teacher: Teacher,
    directory: str | Path,
    *,
    kind: Kind = WINDOW_SCORES,
    change: Change = lambda clip, samples: samples,
    progress: Progress = silent,
) -> Scoring:
    """Append the teacher's scores of clips to the store in `directory`.

    A clip that cannot be decoded is listed in the result and does not stop the others. The store
    does not record augmentation, so use a separate directory for each `change`.

    Parameters
    ----------
    kind : what the teacher's logits are and the store holds; by default those of single windows
    change : augmentation of each clip's samples; none by default

    Raises
    ------
    StoreError, BusyError
        as `crydistill.teacher.scores.open_for_writing`.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np, soundfile
    >>> from crydistill.audio.windows import window_count
    >>> from crydistill.corpora.clip import Clip, Label
    >>> from crydistill.teacher.scores import ScoreStore
    >>> from crydistill.teacher.scoring import score_corpus
    >>> class Silent:
    ...     name, fingerprint = "silent", "0" * 64
    ...     def logits(self, recordings):
    ...         return [np.full((window_count(len(r.frames)), 521), -5.0) for r in recordings]
    >>> soundfile.write("a.wav", np.zeros(32_000), 16_000)
    >>> clips = [Clip(n, Path(n), Label.NONCRY, group=n) for n in ("a.wav", "missing.wav")]
    >>> result = score_corpus(clips, Silent(), "scores")
    >>> result.scored, result.failures[0].reason
    (1, 'missing.wav: no such file')
    >>> ScoreStore("scores").logits("a.wav").shape
    (3, 521)
    """
    identity = TeacherIdentity(teacher.name, teacher.fingerprint)
    failures: list[Failure] = []
    scored = 0
    with (
        open_for_writing(directory, identity, kind) as store,
        progress("scoring", len(clips), "clips") as advance,
    ):
        for batch, logits in _scored(_batches(_decoded(clips, change, failures)), teacher):
            for item, rows in zip(batch, logits, strict=True):
                store.append(
                    item.recording.clip_id,
                    sha256=item.sha256,
                    duration=item.duration,
                    notes=item.notes,
                    frames=item.recording.frames,
                    logits=rows,
                )
            scored += len(batch)
            advance(len(batch))
        advance(len(failures))
    return Scoring(scored, tuple(failures))


def _decode(clip: Clip, change: Change) -> _Decoded | Failure:
    try:
        audio = read_audio(clip.path)
    except AudioError as error:
        return Failure(clip.id, str(error))
    samples = change(clip, audio.samples)
    recording = Recording(clip.id, samples, log_mel(samples))
    return _Decoded(recording, sha256_of(clip.path), audio.duration, audio.notes)


def _decoded(clips: Sequence[Clip], change: Change, failures: list[Failure]) -> Iterator[_Decoded]:
    """Decode in background threads, in order, a limited number of clips ahead."""
    left = iter(clips)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        queue: list[Future[_Decoded | Failure]] = [
            pool.submit(_decode, clip, change) for clip in islice(left, _CLIPS_AHEAD)
        ]
        try:
            while queue:
                result = queue.pop(0).result()
                queue.extend(pool.submit(_decode, clip, change) for clip in islice(left, 1))
                if isinstance(result, Failure):
                    failures.append(result)
                else:
                    yield result
        finally:
            for future in queue:
                future.cancel()


def _scored(
    batches: Iterator[list[_Decoded]], teacher: Teacher
) -> Iterator[tuple[list[_Decoded], list[Logits]]]:
    """Score a batch while the next is gathered, so that decoding and the teacher never wait."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        before: tuple[list[_Decoded], Future[list[Logits]]] | None = None
        for batch in batches:
            logits = pool.submit(teacher.logits, [item.recording for item in batch])
            if before is not None:
                yield before[0], before[1].result()
            before = batch, logits
        if before is not None:
            yield before[0], before[1].result()


def _batches(items: Iterator[_Decoded]) -> Iterator[list[_Decoded]]:
    batch: list[_Decoded] = []
    windows = 0
    for item in items:
        batch.append(item)
        windows += window_count(len(item.recording.frames))
        if windows >= WINDOWS_PER_BATCH:
            yield batch
            batch, windows = [], 0
    if batch:
        yield batch
