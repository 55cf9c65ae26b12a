"""Scoring as work that any process can do: what it takes, as paths and options, and a shard of it.

Everything here can be sent to another process or machine, which loads the teacher itself.
"""

import hashlib
import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from crydistill import atomic
from crydistill.audio.files import read_audio
from crydistill.audio.mel import log_mel
from crydistill.audio.variation import Variation
from crydistill.corpora.clip import Clip
from crydistill.download import sha256_of
from crydistill.errors import AudioError, StoreError
from crydistill.json_file import read_json
from crydistill.lock import BusyError, exclusive
from crydistill.members import version
from crydistill.progress import Progress, silent
from crydistill.teacher.base import Teacher
from crydistill.teacher.ensemble import Ensemble
from crydistill.teacher.load import load_efficientat, load_teacher
from crydistill.teacher.recorded import RecordedTeacher
from crydistill.teacher.rows import Float16
from crydistill.teacher.scores import FramesOf, Kind, StoreEntry
from crydistill.teacher.scoring import Change, Failure, Scoring, score_corpus, unscored
from crydistill.teacher.shards import Shard
from crydistill.teacher.variation import varying

RECORD = "shard.json"
"""Beside a finished shard's scores: which clips it was made for, and which could not be read."""

_BUSY_SECONDS = 2.0
"""Between two looks at work that all belongs to other processes at the moment."""

_REMEDY = "delete its folder, and the shard is made again"


@dataclass(frozen=True)
class TeacherFiles:
    """A teacher that is not loaded yet.

    paths : its weights, or of an ensemble all members'
    recorded : the only path has recorded scores
    context, classes : seconds that it hears at once, and classes; 0: it scores single windows
    """

    paths: tuple[Path, ...]
    recorded: bool = False
    context: float = 0.0
    classes: tuple[int, ...] = ()

    def load(self) -> Teacher:
        """Load it.

        Raises
        ------
        TeacherError, MissingExtraError
            as `crydistill.teacher.load`.
        """
        if self.recorded:
            return RecordedTeacher(self.paths[0])
        if self.context:
            network = load_efficientat(self.paths[0])
            from crydistill.teacher.efficientat import CausalTeacher

            return CausalTeacher(network, [self.context], self.classes)
        members = [load_teacher(path) for path in self.paths]
        return members[0] if len(members) == 1 else Ensemble(members)


@dataclass(frozen=True)
class Varied:
    """How a round of varied copies is made: see `crydistill.teacher.variation.varying`."""

    noises: tuple[Clip, ...]
    options: Variation
    count: int
    seed: int
    round_number: int

    def change(self) -> Change:
        """Read the noises; return the round's augmentation."""
        return varying(
            self.noises,
            self.options,
            count=self.count,
            seed=self.seed,
            round_number=self.round_number,
        )


@dataclass(frozen=True)
class Work:
    """Clips to score into one store, all of it or one shard.

    title : of the clips, for messages
    directory : of the store
    clips_per_shard : where nobody says into how many shards the store is divided
    shard : the part of the store that `clips` are; None: they go into the store itself
    """

    title: str
    directory: Path
    clips: tuple[Clip, ...]
    teacher: TeacherFiles
    kind: Kind
    varied: Varied | None = None
    clips_per_shard: int = 500
    shard: Shard | None = None

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.title}, {self.shard.name}" if self.shard else self.title

    def anywhere(self) -> "Work":
        """The same with absolute paths, which mean the same in every working directory."""

        def absolute(clips: Sequence[Clip]) -> tuple[Clip, ...]:
            return tuple(replace(clip, path=clip.path.absolute()) for clip in clips)

        paths = tuple(path.absolute() for path in self.teacher.paths)
        varied = self.varied
        return replace(
            self,
            directory=self.directory.absolute(),
            clips=absolute(self.clips),
            teacher=replace(self.teacher, paths=paths),
            varied=varied and replace(varied, noises=absolute(varied.noises)),
        )

    def waiting(self) -> list[Clip]:
        """Its clips that are not in the store, or whose file has changed since.

        Raises
        ------
        StoreError
            if the store is damaged or of another kind.
        """
        if self.shard is None:
            return unscored(self.clips, self.directory, self.kind)
        waiting: Sequence[Clip] = self.clips
        for part in self.shard.finished(self.directory):
            waiting = unscored(waiting, part, self.kind)
        return list(waiting)

    def finished(self) -> Scoring | None:
        """What a finished shard left out, without reading its clips; None if there is work to do.

        Raises
        ------
        StoreError
            if the shard's record is damaged.
        """
        parts = self.shard.finished(self.directory) if self.shard else []
        if not parts:
            return None
        path = parts[-1] / RECORD
        record = read_json(path, _REMEDY, error=StoreError)
        try:
            failures = tuple(Failure(*one) for one in record["failures"])
            is_same = record["clips"] == _listing(self.clips)
        except (KeyError, TypeError) as error:
            raise StoreError(f"{path}: not the record of a shard; {_REMEDY}") from error
        return Scoring(0, failures) if is_same else None


def score_work(
    work: Work, teacher: Callable[[], Teacher], *, progress: Progress = silent
) -> Scoring:
    """Score what has not been scored of some work.

    A shard in work goes on where this machine left it, and is renamed when all of it is there.
    Nothing changes a finished shard: clips that were added or changed since go into another part.

    Parameters
    ----------
    teacher : loads the teacher, or has it loaded; not called if there is nothing to do

    Returns
    -------
    Number of clips added, and those of the work that could not be read.

    Raises
    ------
    BusyError
        if another process is at it.
    StoreError
        as `crydistill.teacher.scores.open_for_writing`.
    """
    if work.shard is None:
        waiting = work.waiting()
        return _score(work, waiting, work.directory, teacher, progress)
    lock = work.directory / f"{work.shard.name}.lock"
    with exclusive(lock):
        return work.finished() or _score_shard(work, work.shard, teacher, progress)


class Teachers:
    """The teachers of a process, each loaded when it is first needed."""

    def __init__(self) -> None:
        self._loaded: dict[TeacherFiles, Teacher] = {}

    def get(self, files: TeacherFiles) -> Teacher:
        """Load a teacher, or return it.

        Raises
        ------
        TeacherError, MissingExtraError
            as `TeacherFiles.load`.
        """
        if files not in self._loaded:
            self._loaded[files] = files.load()
        return self._loaded[files]


def score_in_turn(
    works: Sequence[Work],
    *,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,
) -> list[Scoring]:
    """Score pieces of work one after the other in this process.

    One at which another process is busy is taken up again after the others, so that the same
    command may run several times at once.

    Returns
    -------
    A result for each work, see `score_work`.

    Raises
    ------
    BusyError
        if another process is at a store that is not divided, or at the only work.
    StoreError
        as `score_work`.
    """
    teachers = Teachers()
    results: dict[int, Scoring] = {}
    waiting = deque(enumerate(works))
    busy = 0
    while waiting:
        number, work = waiting.popleft()
        try:
            load = partial(teachers.get, work.teacher)
            results[number] = score_work(work, load, progress=_titled(progress, work))
            busy = 0
        except BusyError:
            if len(works) == 1 or work.shard is None:
                raise
            waiting.append((number, work))
            busy += 1
            if busy == len(waiting):
                say(f"waiting for another process that is at {work.name}")
            if busy >= len(waiting):
                time.sleep(_BUSY_SECONDS)
    return [results[number] for number in range(len(works))]


def _titled(progress: Progress, work: Work) -> Progress:
    """Say in a progress bar what is scored."""
    return lambda task, total, unit: progress(f"{task} {work.name}", total, unit)


def recomputing(clips: Sequence[Clip], varied: Varied | None = None) -> FramesOf:
    """Compute frames from the recordings where a store does not keep them.

    Parameters
    ----------
    clips : the store's
    varied : how they were varied before they were scored; the noises are read on first use
    """
    by_id: dict[str, Clip] = {}  # made on first use: most stores keep their frames
    changes: list[Change] = []

    def frames_of(entry: StoreEntry) -> Float16:
        if not by_id:
            by_id.update({clip.id: clip for clip in clips})
        clip = by_id[entry.id]
        again = "run `crydistill score CONFIG` again"
        try:
            if sha256_of(clip.path) != entry.sha256:
                raise StoreError(f"{clip.path}: has changed since it was scored; {again}")
            samples = read_audio(clip.path).samples
        except (OSError, AudioError) as error:
            reason = f"{clip.path}: {error.strerror}" if isinstance(error, OSError) else error
            raise StoreError(f"{reason}; the store keeps no frames and needs it") from error
        if varied:
            if not changes:
                changes.append(varied.change())
            samples = changes[0](clip, samples)
        return log_mel(samples).astype(np.float16)

    return frames_of


def _score_shard(
    work: Work, shard: Shard, teacher: Callable[[], Teacher], progress: Progress
) -> Scoring:
    waiting = work.waiting()
    final = shard.next_part(work.directory)
    is_first = not shard.finished(work.directory)
    if not (waiting or is_first):
        return Scoring(0, ())
    part = shard.in_work(final)
    try:
        left = unscored(waiting, part, work.kind)
        result = _score(work, left, part, teacher, progress)
        if is_first or len(result.failures) < len(waiting):
            record = {
                "clips": _listing(work.clips),
                "failures": [[one.clip_id, one.reason] for one in result.failures],
            }
            atomic.write_text(part / RECORD, json.dumps(record) + "\n")
            part.rename(final)
    except OSError:
        # Another machine has finished the shard meanwhile, and cleared away what all others did.
        if not final.is_dir():
            raise
        result = work.finished() or Scoring(0, ())
    _clear_away(final)
    return result


def _score(
    work: Work,
    clips: Sequence[Clip],
    directory: Path,
    teacher: Callable[[], Teacher],
    progress: Progress,
) -> Scoring:
    if not clips and work.shard is None:
        return Scoring(0, ())
    change = {"change": work.varied.change()} if work.varied and clips else {}
    return score_corpus(clips, teacher(), directory, kind=work.kind, progress=progress, **change)


def _clear_away(final: Path) -> None:
    """Remove what this and other machines have begun of a part that is finished."""
    for begun in final.parent.glob(f"{final.name}.part-*"):
        shutil.rmtree(begun, ignore_errors=True)


def _listing(clips: Sequence[Clip]) -> str:
    """Fingerprint of clips and their files, by size and time: changes if there may be work."""
    digest = hashlib.sha256()
    for clip in clips:
        try:
            size, changed = version(clip.path)
            state = f"{size}\t{changed}"
        except OSError:
            state = "missing"
        digest.update(f"{clip.id}\t{state}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
