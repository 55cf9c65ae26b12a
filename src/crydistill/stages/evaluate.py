"""Stage 5: teacher, FP32 and INT8 student side by side on the test clips."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from scipy.special import expit

from crydistill import atomic
from crydistill.corpora.clip import Label
from crydistill.detector.calibrate import highest_score
from crydistill.detector.vote import DEFAULT_HOLD_SECONDS, DEFAULT_M, DEFAULT_N
from crydistill.distill.history import read_history
from crydistill.distill.predict import predict_logits
from crydistill.distill.targets import against_rivals
from crydistill.evaluation.clips import EvaluatedClips, ModelScores
from crydistill.evaluation.compare import Evaluation, choose_thresholds, hardest
from crydistill.evaluation.compare import evaluate as compare
from crydistill.evaluation.paired import save_scores
from crydistill.experiment.schema import CorpusConfig
from crydistill.metrics.agreement import window_kl
from crydistill.metrics.ranking import ClipScore
from crydistill.nights.alarms import ScoredStream
from crydistill.nights.operating import choose_presets, with_presets
from crydistill.progress import Progress
from crydistill.provenance import made_by
from crydistill.reports.figures import summary_figure
from crydistill.reports.run_page import WorstMistake, write_report
from crydistill.run_directory import fingerprint
from crydistill.selection.pool import WindowPool
from crydistill.stages.context import Context, Part
from crydistill.stages.quantize import quantize_key
from crydistill.student.activation import activate
from crydistill.student.heads import Heads
from crydistill.student.manifest import StudentManifest, ThresholdPreset, save_manifest
from crydistill.student.runtime import TfliteStudent
from crydistill.taxonomy import CLASSES

TEACHER = "teacher"
TAUGHT = "teacher against rivals"
"""What `training.rival_floor` asks a student to learn, judged beside what it has learnt."""

FP32 = "student FP32"
INT8 = "student INT8"

_WINDOWS_AT_ONCE = 1024

Scores = npt.NDArray[np.float32]
Score = Callable[[npt.NDArray[np.int64]], Scores]
"""Activated outputs of some windows of a pool, `[n, outputs]`."""


@dataclass(frozen=True)
class _Judged:
    """The labelled clips of a split and what every model says of them."""

    pool: WindowPool
    clips: EvaluatedClips
    models: list[ModelScores]

    @property
    def int8(self) -> ModelScores:
        return next(model for model in self.models if model.name == INT8)


def evaluate_key(context: Context) -> str:
    """Names the evaluation: the INT8 student, the test clips and how they are reported."""
    return fingerprint(
        quantize_key(context),
        context.data_key(context.splits.test),
        context.config.evaluation,
        list(ClipScore),
    )


def evaluate(context: Context) -> None:
    """Write metrics, report and figure; choose the manifest's threshold presets.

    Raises
    ------
    ConfigError
        if no student was quantised with this config.
    """
    run, config = context.run, context.config
    key = evaluate_key(context)
    if run.is_done("evaluate", key, [run.metrics, run.report, run.scores, run.figure]):
        context.say("the evaluation is up to date")
        return
    context.require("quantize", quantize_key(context), run.student)
    student = TfliteStudent.load(run.path)
    model = keras.saving.load_model(run.student_fp32, compile=False)
    validation = _judge(context, context.splits.validation, model, student, "validation windows")
    test = _judge(context, context.splits.test, model, student, "test windows")
    evaluation = compare(
        test.clips,
        test.models,
        reference=TEACHER,
        thresholds=choose_thresholds(validation.clips, validation.models),
        replicates=config.evaluation.replicates,
        seed=config.seed,
        progress=context.progress,
    )
    _choose_presets(context, student.manifest, validation)
    provenance = _provenance(context, student.manifest)
    metrics = {**evaluation.to_json(), "provenance": provenance}
    atomic.write_text(run.metrics, json.dumps(metrics, indent=2) + "\n")
    write_report(
        run.report,
        title=config.description or config.name,
        evaluation=evaluation,
        history=read_history(run.training / "history.csv"),
        provenance=provenance,
        night=run.night_page.name,
        worst=_worst_mistakes(evaluation, test, config.evaluation.worst_mistakes),
    )
    save_scores(run.scores, test.clips, test.models)
    summary_figure(evaluation, run.figure)
    run.mark_done("evaluate", key)
    context.show(evaluation)


def _judge(
    context: Context, parts: list[Part], model: keras.Model, student: TfliteStudent, what: str
) -> _Judged:
    labelled = [
        (corpus, [clip for clip in clips if clip.label is not Label.UNLABELLED])
        for corpus, clips in parts
    ]
    pool = context.pool(labelled)

    def fp32(indices: npt.NDArray[np.int64]) -> Scores:
        return activate(predict_logits(model, pool, indices), student.manifest.activation)

    def int8(indices: npt.NDArray[np.int64]) -> Scores:
        return student.probabilities(pool.patches(indices))

    cries = list(student.manifest.cry_outputs)
    models = [ModelScores(TEACHER, pool.per_clip(pool.cry_scores))]
    scorers: list[tuple[str, Score, list[int]]] = [(FP32, fp32, cries), (INT8, int8, cries)]
    if (floor := context.config.training.rival_floor) is not None:
        heads = Heads.from_mids(context.config.student.outputs)

        def taught(indices: npt.NDArray[np.int64]) -> Scores:
            logits = pool.logits(indices)
            return against_rivals(heads.targets(logits)[:, 0], logits, floor)[:, None]

        scorers.insert(0, (TAUGHT, taught, [0]))
    for name, score, columns in scorers:
        models.append(_model_scores(name, score, pool, columns, context.progress, what))
    return _Judged(pool, EvaluatedClips.from_clips(pool.clips), models)


def _model_scores(
    name: str, score: Score, pool: WindowPool, cries: list[int], progress: Progress, what: str
) -> ModelScores:
    cry = np.empty(len(pool), dtype=np.float32)
    kl = np.full(len(pool), np.nan, dtype=np.float32)
    with progress(f"{name}, {what}", len(pool), "windows") as advance:
        for start in range(0, len(pool), _WINDOWS_AT_ONCE):
            indices = np.arange(start, min(start + _WINDOWS_AT_ONCE, len(pool)))
            scores = score(indices)
            cry[indices] = scores[:, cries].sum(axis=1)
            if scores.shape[1] == CLASSES:
                kl[indices] = window_kl(expit(pool.logits(indices)), scores)
            advance(len(indices))
    clip_kl = [float(values.mean()) for values in pool.per_clip(kl)]
    return ModelScores(name, pool.per_clip(cry), None if np.isnan(kl).any() else clip_kl)


def _choose_presets(context: Context, manifest: StudentManifest, validation: _Judged) -> None:
    """Write thresholds chosen on the validation clips into the manifest.

    What they do to the test clips, played one after the other, is the next stage's to say.
    """
    tracks = zip(validation.int8.windows, validation.clips.labels, strict=True)
    thresholds = choose_presets(
        [ScoredStream(track) for track, crying in tracks if not crying],
        n=DEFAULT_N,
        m=DEFAULT_M,
        highest=highest_score(manifest),
    )
    presets = {
        name: ThresholdPreset(
            threshold=threshold, n=DEFAULT_N, m=DEFAULT_M, hold_seconds=DEFAULT_HOLD_SECONDS
        )
        for name, threshold in thresholds.items()
    }
    save_manifest(context.run.manifest, with_presets(manifest, presets))


def names_of(corpora: Sequence[CorpusConfig]) -> str:
    """Corpora with what selects their rows, for people: "audio (split dev)"."""
    names = []
    for corpus in corpora:
        where = ", ".join(f"{key} {value}" for key, value in corpus.where.items())
        names.append(f"{corpus.store_name} ({where})" if where else corpus.store_name)
    return "; ".join(names)


def _worst_mistakes(evaluation: Evaluation, test: _Judged, count: int) -> list[WorstMistake]:
    false_alarms, misses = hardest(evaluation, INT8, count=count)
    scores = evaluation.models[INT8].by_score[ClipScore.MEAN].clip_scores
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
                model=INT8,
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
