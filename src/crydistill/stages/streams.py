"""Streams that a student with memory trains on: cast, written, and scored by both teachers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crydistill.boundary import require_outside_work_tree
from crydistill.download import sha256_of
from crydistill.errors import ConfigError, StoreError
from crydistill.nights.stream_files import STREAMS_VERSION, StreamFile, write_streams
from crydistill.run_directory import fingerprint
from crydistill.seeds import generator
from crydistill.selection.casting import Casting, Heard
from crydistill.selection.pool import WindowPool, window_pool
from crydistill.settings import private_dir
from crydistill.stages.context import Context
from crydistill.stages.context_teacher import (
    context_kind,
    context_teacher,
    existing,
    store_suffix,
)
from crydistill.teacher.scores import LogitStore, ScoreStore
from crydistill.teacher.work import Work, recomputing

_STREAMS_PER_SHARD = 16
"""Where nobody says otherwise; a stream is as long as a few dozen clips."""


@dataclass(frozen=True)
class ScoredStreams:
    """The training streams with both teachers' scores.

    files : in the order of the pool's clips
    pool : their windows, with the window teacher's logits
    context : logit of the teacher with context of each window of the pool, `[n]`
    """

    files: list[StreamFile]
    pool: WindowPool
    context: npt.NDArray[np.float32]

    def surely_no_cry(self, seconds: float) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Whether only clips labelled noncry sounded in the seconds before each window's end."""
        counts = np.bincount(self.pool.clip_of)
        return np.concatenate(
            [
                file.surely_no_cry(int(count), seconds)
                for file, count in zip(self.files, counts, strict=True)
            ]
        )


def streams_key(context: Context) -> str:
    """Key of the training streams, whatever their number: clips, window teacher and seed."""
    weights = [corpus.weight for corpus in context.config.data.train]
    options = context.config.data.streams
    varied = ["vary_groups"] if options.vary_groups else []
    clips = context.data_key(context.splits.train)
    return fingerprint(STREAMS_VERSION, clips, weights, options.seed, *varied)


def scored_streams_key(context: Context) -> str:
    """Key of the streams with the scores of the teacher with context."""
    config = context.config
    teacher = sha256_of(memory_teacher(context))
    return fingerprint(
        streams_key(context), config.data.streams.streams, teacher, config.teacher.context
    )


def heard_stores(context: Context) -> list[Path]:
    """Directories of the scores that the streams are composed by."""
    return [context.store_directory(corpus) for corpus, _ in context.splits.train]


def stream_works(
    context: Context, wanted: Callable[[str], bool] = lambda clip_id: True
) -> list[Work]:
    """Write the training streams, as far as that has not been done; return what is to be scored.

    Parameters
    ----------
    wanted : which streams, by the ids of their clips; the others are left to other machines

    Raises
    ------
    StoreError
        if the recordings have not been scored.
    """
    casting = Casting(_heard(context))
    context.say(
        f"streams: {casting.cries} clips in which the teacher hears a cry, {casting.sounds} other "
        f"sounds, {casting.beds} for the background"
    )
    clips = tuple(file.clip for file in _write(context, casting, wanted))
    taught = context_teacher(context, memory_teacher(context))
    return [
        Work(f"streams{heard}", directory, clips, teacher, kind, clips_per_shard=_STREAMS_PER_SHARD)
        for heard, directory, teacher, kind in (
            ("", _window_scores(context), context.teacher_files, context.kind),
            (" in context", _context_scores(context), taught, context_kind(context)),
        )
    ]


def scored_streams(context: Context) -> ScoredStreams:
    """Open the streams with their scores, which the stages of one process share.

    Raises
    ------
    StoreError
        if they have not been scored.
    """
    return context.share("streams", lambda: _opened(context))


def _opened(context: Context) -> ScoredStreams:
    for directory in (_window_scores(context), _context_scores(context)):
        if not directory.is_dir():
            raise StoreError(
                f"{directory}: the training streams have not been scored; "
                "run `crydistill score CONFIG` first"
            )
    files = _write(context, Casting(_heard(context)))
    clips = [file.clip for file in files]
    store = ScoreStore(_window_scores(context), context.kind, recomputing(clips))
    pool = window_pool([(store, clips)])
    heard = LogitStore(_context_scores(context), context_kind(context))
    logits = [heard.logits(clip.id)[:, 0, 0] for clip in pool.clips]
    return ScoredStreams(files, pool, np.concatenate(logits, dtype=np.float32))


def _write(
    context: Context, casting: Casting, wanted: Callable[[str], bool] = lambda clip_id: True
) -> list[StreamFile]:
    options = context.config.data.streams
    casts = [
        casting.cast(generator(options.seed, "cast", str(number)))
        for number in range(options.streams)
    ]
    return write_streams(
        _directory(context, "audio"),
        casts,
        seed=options.seed,
        vary_groups=options.vary_groups,
        wanted=wanted,
        progress=context.progress,
    )


def _heard(context: Context) -> list[Heard]:
    """The training clips that have scores, with ids that are unique among all corpora."""
    heard = []
    for corpus, clips in context.splits.train:
        store = context.store(corpus)
        for clip in clips:
            if clip.id in store:
                named = replace(clip, id=f"{corpus.store_name}/{clip.id}")
                loudest = float(store.cry_scores(clip.id).max(initial=0.0))
                seconds = store.entries[clip.id].duration
                heard.append(Heard(named, loudest, seconds, corpus.weight))
    return heard


def memory_teacher(context: Context) -> Path:
    """Weights of the teacher that hears several seconds.

    Raises
    ------
    ConfigError, CorpusError
        if the config names none, or it is not there.
    """
    path = context.config.teacher.memory
    if path is None:
        raise ConfigError(
            "teacher.memory: a student with memory needs a teacher that hears several seconds; "
            "name the weights that `crydistill teacher fetch efficientat-mn04` prints"
        )
    return existing(path, "teacher.memory")


def _window_scores(context: Context) -> Path:
    return _directory(context, context.teacher_fingerprint[:8])


def _context_scores(context: Context) -> Path:
    return _directory(context, store_suffix(context, memory_teacher(context)))


def _directory(context: Context, kind: str) -> Path:
    stores = context.config.stores
    if any(clip.private for _, clips in context.splits.train for clip in clips):
        stores = private_dir()
        require_outside_work_tree(stores, "streams with private recordings")
    return stores / f"streams-{streams_key(context)[:8]}-{kind}"
