"""Stage 1: score every clip with the teacher."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from crydistill.errors import ConfigError, CorpusError, StoreError
from crydistill.stages.check_config import require_trainable
from crydistill.stages.context import Context
from crydistill.stages.judging import judging_works
from crydistill.stages.streams import heard_stores, stream_works
from crydistill.teacher.scoring import Failure, Scoring, unscored
from crydistill.teacher.shards import Shard, divided, missing_shards, shards_of
from crydistill.teacher.work import Work, score_in_turn

ScoreAll = Callable[..., list[Scoring]]
"""Scores pieces of work and returns a result for each; see `score_in_turn`."""


@dataclass(frozen=True)
class Division:
    """How the work of the stage is divided.

    shards : number of shards of each store; None: that of a store that has some, otherwise none
    shard : the only one to score; None: all
    always : whether a store is divided even if nothing says into how many shards
    score_all : what scores them
    """

    shards: int | None = None
    shard: int | None = None
    always: bool = False
    score_all: ScoreAll = score_in_turn

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises
        ------
        ConfigError
            if there is no such shard.
        """
        if self.shard is None:
            return
        if self.shards is None:
            raise ConfigError(f"--shard {self.shard}: say of how many, with --shards")
        if not 0 <= self.shard < self.shards:
            raise ConfigError(
                f"--shard {self.shard}: the {self.shards} shards are numbered 0 to "
                f"{self.shards - 1}"
            )

    @property
    def only(self) -> Shard | None:
        """The only shard to score; None: all."""
        if self.shard is None or self.shards is None:
            return None
        return Shard(self.shard, self.shards)

    def of(self, work: Work) -> list[Work]:
        """Divide work into shards.

        Raises
        ------
        StoreError
            if the store is divided already, in another way.
        """
        there = shards_of(work.directory)
        if self.shards and there and there != self.shards:
            raise StoreError(
                f"{work.directory}: is divided into {there} shards; go on with --shards {there}"
            )
        of = self.shards or there
        if of is None:
            if not self.always:
                return [work]
            of = max(1, -(-len(work.clips) // work.clips_per_shard))
        clips = unscored(work.clips, work.directory, work.kind)
        if work.clips and not clips:
            return []  # all of them were scored before the store was divided
        parts = divided(clips, of)
        chosen = [self.only] if self.only else list(parts)
        return [replace(work, clips=tuple(parts[shard]), shard=shard) for shard in chosen]


def score(context: Context, division: Division | None = None) -> None:
    """Score the clips that are not yet in their stores.

    Parameters
    ----------
    division : by default all in this process, in shards where a store has some

    Raises
    ------
    CorpusError
        if not a single clip could be scored.
    ConfigError
        if the config asks for what a later stage cannot do.
    StoreError
        if a store is divided in another way, or damaged.
    """
    division = division or Division()
    require_trainable(context)
    failures = _score(context, division, _works(context))
    _score(context, division, judging_works(context))
    if context.config.student.memory:
        _score_streams(context, division)
    for failure in failures:
        context.leave_out(f"left out: {failure.reason}")
    total = sum(len(clips) for clips in context.clips_by_store.values())
    if len(failures) == total and not division.only:
        raise CorpusError(
            f"none of the {total} clips could be read; the first: {failures[0].reason}"
        )


def _works(context: Context) -> list[Work]:
    """Corpora, each once whatever the number of its splits, then varied copies."""
    splits = context.splits
    corpora = {c.store_name: c for c, _ in [*splits.train, *splits.validation, *splits.test]}
    teacher = context.teacher_files
    whole = [
        Work(name, context.store_directory(corpora[name]), tuple(clips), teacher, context.kind)
        for name, clips in context.clips_by_store.items()
    ]
    varied = [
        Work(
            f"{corpus.store_name}, varied round {number + 1}",
            context.store_directory(corpus, number),
            tuple(clips),
            teacher,
            context.kind,
            context.varied_by(number),
        )
        for number, corpus, clips in context.varied
    ]
    return whole + varied


def _score(context: Context, division: Division, works: Sequence[Work]) -> list[Failure]:
    """Score works, and say what was scored.

    Returns
    -------
    The clips that could not be read: once, with the originals, not again with varied copies.
    """
    divided_works = [division.of(work) for work in works]
    for work in works:
        work.directory.mkdir(parents=True, exist_ok=True)
    pieces = [piece for pieces in divided_works for piece in pieces]
    results = iter(division.score_all(pieces, progress=context.progress, say=context.say))
    failures: list[Failure] = []
    for work, pieces in zip(works, divided_works, strict=True):
        found = list(islice(results, len(pieces)))
        failed = [failure for result in found for failure in result.failures]
        if work.varied is None:
            failures += failed
        scored = sum(result.scored for result in found)
        one_shard = pieces and division.only
        clips = len(pieces[0].clips) if one_shard else len(work.clips)
        left_out = f", {len(failed)} left out" if failed else ""
        context.say(
            f"{pieces[0].name if one_shard else work.title}: {scored} clips scored, "
            f"{clips - scored - len(failed)} already there{left_out}"
        )
    return failures


def _score_streams(context: Context, division: Division) -> None:
    """Compose the training streams from what the teacher heard, and score them."""
    if division.only and any(map(missing_shards, heard_stores(context))):
        context.say(
            "streams: they are composed when all shards are there; run the same commands again then"
        )
        return
    wanted = division.only.holds if division.only else lambda clip_id: True
    _score(context, division, stream_works(context, wanted))
