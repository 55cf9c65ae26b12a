"""Stage 5: compare teacher, FP32 and INT8 student on the test clips."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill import atomic
from crydistill.corpora.clip import Label
from crydistill.detector.settings import reachable_score
from crydistill.detector.vote import DEFAULT_HOLD_SECONDS, DEFAULT_M, DEFAULT_N
from crydistill.distill.history import read_history
from crydistill.distill.targets import against_rivals
from crydistill.evaluation.clips import EvaluatedClips, ModelScores
from crydistill.evaluation.compare import Evaluation, choose_thresholds, worst_mistakes
from crydistill.evaluation.compare import evaluate as compare
from crydistill.evaluation.paired import save_scores
from crydistill.evaluation.pooled import student_scores, target_scores, teacher_scores
from crydistill.evaluation.scorers import StudentNetwork, student_networks
from crydistill.experiment.schema import CorpusConfig, ExperimentConfig
from crydistill.metrics.ranking import ClipScore
from crydistill.nights.alarms import WINDOWS_PER_HOUR
from crydistill.nights.operating import (
    choose_presets,
    choose_vote,
    too_little_to_choose,
    with_presets,
)
from crydistill.provenance import made_by
from crydistill.reports.figures import summary_figure
from crydistill.reports.run_page import WorstMistake, write_report
from crydistill.roles import Role
from crydistill.run_directory import fingerprint
from crydistill.selection.pool import WindowPool
from crydistill.stages.context import Context, Part
from crydistill.stages.quantize import quantize_key
from crydistill.stages.validation_night import heard_night
from crydistill.student.heads import Heads
from crydistill.student.manifest import StudentManifest, ThresholdPreset, save_manifest

TAUGHT = "teacher against rivals"
"""Name of the model that scores with the targets of `training.rival_floor`, for comparison."""

_NAMED = 3
"""Corpora of the training set that the report's title names."""

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _ScoredSplit:
    """The labelled clips of a split and every model's scores of them."""

    pool: WindowPool
    clips: EvaluatedClips
    models: list[ModelScores]

    @property
    def int8(self) -> ModelScores:
        return next(model for model in self.models if model.name == Role.INT8)


def evaluate_key(context: Context) -> str:
    """Key of the evaluation: INT8 student, test clips and evaluation options."""
    return fingerprint(
        quantize_key(context),
        context.data_key(context.splits.test),
        context.config.evaluation,
        list(ClipScore),
        _declared(context),
    )


def _declared(context: Context) -> list[bool]:
    """Whether licence and privacy of each clip that trains or is tested on are stated."""
    parts = [*context.splits.train, *context.splits.test]
    return [clip.declared for _, clips in parts for clip in clips]


def evaluate(context: Context) -> None:
    """Write metrics, report and figure; choose the manifest's threshold presets.

    Raises
    ------
    ConfigError
        if no student was quantized with this config.
    """
    run, config = context.run, context.config
    key = evaluate_key(context)
    if run.is_done("evaluate", key, [run.metrics, run.report, run.scores, run.figure]):
        context.say("the evaluation is up to date")
        return
    context.require("quantize", quantize_key(context), run.student)
    networks = student_networks(run.path)
    manifest = networks[0].manifest
    validation = _score_split(context, context.splits.validation, networks, "validation windows")
    test = _score_split(context, context.splits.test, networks, "test windows")
    evaluation = compare(
        test.clips,
        test.models,
        reference=Role.TEACHER,
        thresholds=choose_thresholds(validation.clips, validation.models),
        replicates=config.evaluation.replicates,
        seed=config.seed,
        progress=context.progress,
    )
    _choose_presets(context, networks[-1])
    remembers = config.student.memory is not None
    provenance = _provenance(context, manifest)
    metrics = {**evaluation.to_json(), "provenance": provenance}
    atomic.write_text(run.metrics, json.dumps(metrics, indent=2) + "\n")
    write_report(
        run.report,
        title=_title(config),
        training=manifest.training,
        evaluation=evaluation,
        history=read_history(run.last_training(memory=remembers) / "history.csv"),
        provenance=provenance,
        night=run.night_page.name,
        worst=_worst_mistakes(evaluation, test, config.evaluation.worst_mistakes),
    )
    save_scores(run.scores, test.clips, test.models)
    summary_figure(evaluation, run.figure)
    run.mark_done("evaluate", key)


def _score_split(
    context: Context, parts: list[Part], networks: Sequence[StudentNetwork], what: str
) -> _ScoredSplit:
    labelled = [
        (corpus, [clip for clip in clips if clip.label is not Label.UNLABELLED])
        for corpus, clips in parts
    ]
    pool = context.pool(labelled)
    models = [teacher_scores(pool)]
    if (floor := context.config.training.rival_floor) is not None:
        heads = Heads.from_mids(context.config.student.outputs)

        def taught(logits: Scores) -> Scores:
            return against_rivals(heads.targets(logits)[:, 0], logits, floor)

        models.append(target_scores(pool, TAUGHT, taught))
    models += [
        student_scores(pool, network, what=what, progress=context.progress) for network in networks
    ]
    return _ScoredSplit(pool, EvaluatedClips.from_clips(pool.clips), models)


def _choose_presets(context: Context, int8: StudentNetwork) -> None:
    """Choose vote and thresholds on the night of the validation clips, for the manifest.

    The next stage measures them on a night composed of the test clips.
    """
    night = heard_night(context, int8)
    caution = too_little_to_choose(night.outside.sum() / WINDOWS_PER_HOUR)
    n, m = (DEFAULT_N, DEFAULT_M) if caution else choose_vote([night])
    manifest = int8.manifest
    thresholds = choose_presets([night], n=n, m=m, highest=reachable_score(manifest))
    presets = {
        name: ThresholdPreset(
            threshold=threshold,
            n=n,
            m=m,
            hold_seconds=DEFAULT_HOLD_SECONDS,
            caution=caution,
        )
        for name, threshold in thresholds.items()
    }
    save_manifest(context.run.manifest, with_presets(manifest, presets))


def _title(config: ExperimentConfig) -> str:
    """Name the run and what it was trained on; a description may have been inherited."""
    corpora = config.data.train
    more = len(corpora) - _NAMED
    rest = f" and {more} more" if more > 0 else ""
    return f"{config.name}, trained on {names_of(corpora[:_NAMED])}{rest}"


def names_of(corpora: Sequence[CorpusConfig]) -> str:
    """Names of corpora with their row filters, for display: "audio (split dev)"."""
    names = []
    for corpus in corpora:
        where = ", ".join(
            f"{key} {value if isinstance(value, str) else '/'.join(value)}"
            for key, value in corpus.where.items()
        )
        names.append(f"{corpus.store_name} ({where})" if where else corpus.store_name)
    return "; ".join(names)


def _worst_mistakes(evaluation: Evaluation, test: _ScoredSplit, count: int) -> list[WorstMistake]:
    false_alarms, misses = worst_mistakes(evaluation, Role.INT8, count=count)
    scores = evaluation.models[Role.INT8].by_score[ClipScore.MEAN].clip_scores
    mistakes = []
    for number in [*false_alarms, *misses]:
        clip, store = test.pool.clips[number], test.pool.stores[number]
        mistakes.append(
            WorstMistake(
                clip_id=clip.id,
                label=clip.label,
                score=float(scores[number]),
                frames=store.frames(clip.id),
                teacher=store.cry_scores(clip.id),
                student=test.int8.windows[number],
                model=Role.INT8,
            )
        )
    return mistakes


def _provenance(context: Context, manifest: StudentManifest) -> dict[str, Any]:
    config, splits = context.config, context.splits
    return made_by(
        config=config.model_dump(mode="json"),
        config_sha256=fingerprint(config),
        teacher=manifest.teacher.model_dump(),
        student=manifest.tflite.model_dump(),
        arena_bytes=manifest.arena.size_bytes if manifest.arena else None,
        data={
            name: context.data_key(getattr(splits, name))
            for name in ("train", "validation", "test")
        },
    )
