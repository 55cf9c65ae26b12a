"""Labels that a teacher with context contradicts: clips of which training selects no window.

A label is of a whole clip and may be wrong: a clip without the label of a cry may have one in the
background, and of a clip with it the cry may have been cut away. A network that hears several
seconds at once judges this better than the teacher of single windows.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from scipy.special import expit

from crydistill.corpora.clip import Clip, Label
from crydistill.download import sha256_of
from crydistill.experiment.schema import JudgingConfig
from crydistill.run_directory import fingerprint
from crydistill.stages.context import Context
from crydistill.stages.context_teacher import (
    context_kind,
    context_teacher,
    existing,
    store_suffix,
)
from crydistill.teacher.scores import LogitStore
from crydistill.teacher.work import Work

Contradicted = Mapping[str, Mapping[str, Label]]
"""Name of a corpus's store, and id and label of the clips."""


def judge_file(context: Context) -> Path | None:
    """Weights of the teacher that judges labels; None if none does.

    Raises
    ------
    CorpusError
        if they are not there.
    """
    judge = context.config.teacher.judge
    return judge and existing(judge, "teacher.judge")


def judging_key(context: Context) -> list[str]:
    """What the judgements depend on besides the clips; nothing where nobody judges."""
    judge = judge_file(context)
    if judge is None:
        return []
    options = context.config.selection.judging
    seconds = context.config.teacher.context
    return [fingerprint(sha256_of(judge), seconds, options)]


def judging_works(context: Context) -> list[Work]:
    """What the judge is to hear: the labelled clips for training."""
    judge = judge_file(context)
    if judge is None:
        return []
    teacher, kind = context_teacher(context, judge), context_kind(context)
    return [
        Work(f"{name}, judged", store, tuple(clips), teacher, kind)
        for name, store, clips in _labelled(context, judge)
    ]


def contradicted(context: Context) -> Contradicted:
    """The training clips whose label the judge contradicts; none where nobody judges.

    Raises
    ------
    StoreError
        if it has not heard them.
    """
    judge = judge_file(context)
    if judge is None:
        return {}
    return context.share("contradicted", lambda: _contradicted(context, judge))


def contradicts(highest: float, label: Label, options: JudgingConfig) -> bool:
    """Whether what the judge hears speaks against a clip's label.

    Parameters
    ----------
    highest : probability of a baby's cry where it is highest in the clip
    """
    if label is Label.CRY:
        return highest <= options.cry_above
    return label is Label.NONCRY and highest >= options.noncry_below


def _contradicted(context: Context, judge: Path) -> Contradicted:
    kind = context_kind(context)
    return {
        name: _against(clips, LogitStore(store, kind), context)
        for name, store, clips in _labelled(context, judge)
    }


def _labelled(context: Context, judge: Path) -> list[tuple[str, Path, list[Clip]]]:
    """By the name of a corpus's store: that of the judge's scores, and labelled training clips."""
    suffix = store_suffix(context, judge)
    stores: dict[str, Path] = {}
    clips: dict[str, dict[str, Clip]] = {}
    for corpus, part in context.splits.train:
        labelled = {clip.id: clip for clip in part if clip.label is not Label.UNLABELLED}
        if labelled:
            name = corpus.store_name
            stores[name] = context.store_directory(corpus).with_name(f"{name}-{suffix}")
            clips.setdefault(name, {}).update(labelled)
    return [(name, stores[name], list(by_id.values())) for name, by_id in clips.items()]


def _against(clips: Collection[Clip], heard: LogitStore, context: Context) -> dict[str, Label]:
    options = context.config.selection.judging
    return {
        clip.id: clip.label
        for clip in clips
        if clip.id in heard
        and contradicts(float(expit(heard.logits(clip.id).max())), clip.label, options)
    }
