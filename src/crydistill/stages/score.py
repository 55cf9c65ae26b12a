"""Stage 1: score every clip with the teacher."""

from crydistill.audio.variation import Variation
from crydistill.corpora.clip import Clip
from crydistill.errors import CorpusError
from crydistill.experiment.schema import CorpusConfig
from crydistill.stages.check_config import require_trainable
from crydistill.stages.context import Context
from crydistill.stages.streams import score_streams
from crydistill.teacher.base import Teacher
from crydistill.teacher.ensemble import Ensemble
from crydistill.teacher.load import load_teacher
from crydistill.teacher.recorded import RecordedTeacher
from crydistill.teacher.scoring import Failure, score_corpus, unscored
from crydistill.teacher.variation import varying


def score(context: Context) -> None:
    """Score the clips that are not yet in their stores.

    Raises
    ------
    CorpusError
        if not a single clip could be scored.
    ConfigError
        if the config asks for what a later stage cannot do.
    """
    require_trainable(context)
    splits = context.splits
    known: dict[str, tuple[CorpusConfig, dict[str, Clip]]] = {}
    for corpus, clips in [*splits.train, *splits.validation, *splits.test]:
        known.setdefault(corpus.store_name, (corpus, {}))[1].update({c.id: c for c in clips})
    failures: list[Failure] = []
    for corpus, by_id in known.values():
        failures += _score_corpus(context, corpus, list(by_id.values()))
    for number, corpus, clips in context.varied:
        _score_varied(context, corpus, clips, number)
    if context.config.student.memory:
        score_streams(context, _load_teacher(context))
    total = sum(len(by_id) for _, by_id in known.values())
    for failure in failures:
        context.leave_out(f"left out: {failure.reason}")
    if len(failures) == total:
        raise CorpusError(
            f"none of the {total} clips could be read; the first: {failures[0].reason}"
        )


def _score_corpus(context: Context, corpus: CorpusConfig, clips: list[Clip]) -> list[Failure]:
    directory = context.store_directory(corpus)
    waiting = unscored(clips, directory)
    if not waiting:
        context.say(f"{corpus.store_name}: all {len(clips)} clips are already scored")
        return []
    result = score_corpus(waiting, _load_teacher(context), directory, progress=context.progress)
    context.say(
        f"{corpus.store_name}: {result.scored} clips scored, {len(clips) - len(waiting)} already "
        f"there, {len(result.failures)} left out"
    )
    return list(result.failures)


def _score_varied(context: Context, corpus: CorpusConfig, clips: list[Clip], number: int) -> None:
    """Score one varied round; unreadable clips are already reported with the originals."""
    directory = context.store_directory(corpus, number)
    waiting = unscored(clips, directory)
    if not waiting:
        return
    options = context.config.data.augmentation
    change = varying(
        context.noises,
        Variation(**options.model_dump(exclude={"rounds", "weight", "seed", "noises"})),
        count=options.noises,
        seed=options.seed,
        round_number=number,
    )
    result = score_corpus(
        waiting, _load_teacher(context), directory, change=change, progress=context.progress
    )
    context.say(f"{corpus.store_name}, varied round {number + 1}: {result.scored} clips scored")


def _load_teacher(context: Context) -> Teacher:
    paths = context.teacher_paths
    if context.config.teacher.is_recording:
        return RecordedTeacher(paths[0])
    members = [load_teacher(path) for path in paths]
    return members[0] if len(members) == 1 else Ensemble(members)
