"""Compare models on labelled clips, with bootstrap intervals over groups.

Every model is evaluated with each kind of clip score (`ranking.ClipScore`): ranking metrics,
agreement with the teacher, detection within slices of the clips, and the paired difference from
the teacher, each with a 95 % bootstrap interval over groups. Prefer one student to another only if
the interval of their difference excludes 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.errors import ConfigError, CorpusError, ModelError
from crydistill.evaluation.agreement import Agreement, agreement
from crydistill.evaluation.clips import EvaluatedClips, ModelScores
from crydistill.evaluation.slices import Slice, slices, source_auc
from crydistill.metrics import ranking
from crydistill.metrics.enough import clips_missing
from crydistill.metrics.intervals import (
    LEVEL,
    REPLICATES,
    Estimate,
    GroupBootstrap,
    Resampled,
    Statistic,
    Weights,
)
from crydistill.metrics.ranking import (
    FPR_BOUND,
    ClipScore,
    Detections,
    Floats,
    Ranking,
    ranking_metrics,
)
from crydistill.metrics.records import DIGITS, plain_estimate
from crydistill.metrics.reliability import calibration_error
from crydistill.progress import Progress, silent
from crydistill.roles import Role

METRICS = {
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "recall_at_fpr_1pct": "Recall at FPR 1 %",
    "recall_at_fpr_0.1pct": "Recall at FPR 0.1 %",
    "f1_at_validation": "F1, validation threshold",
    "precision_at_validation": "Precision, validation threshold",
    "recall_at_validation": "Recall, validation threshold",
    "fpr_at_validation": "FPR, validation threshold",
    "best_f1": "F1, hindsight threshold",
    "best_f1_precision": "Precision, hindsight threshold",
    "best_f1_recall": "Recall, hindsight threshold",
    "best_f1_fpr": "FPR, hindsight threshold",
    "f1_at_half": "F1 at threshold 0.5",
    "calibration_error": "Expected calibration error",
}
"""Metrics of a clip score and their titles, in the order of the tables. FPR is the share of
non-cries that are detected; the validation threshold was chosen on validation clips, the hindsight
threshold is the one with the best F1 on the evaluated clips themselves."""

DIFFERENCES = ("roc_auc", "average_precision", "recall_at_fpr_1pct", "recall_at_fpr_0.1pct")
"""Metrics whose paired difference from the teacher is reported."""


@dataclass(frozen=True, eq=False)
class ScoreEvaluation:
    """One model evaluated with one kind of clip score.

    clip_scores : the scores, `[clips]`; not part of the JSON
    metrics : keys as in `METRICS`
    thresholds : "best_f1" and "fpr_1pct" in hindsight, "validation" if one was given
    slices : bands, then categories (most false alarms first), then sources
    source_auc : ROC AUC within each source that has both cries and non-cries
    differences : model minus teacher, keys as in `DIFFERENCES`; empty for the teacher
    """

    clip_scores: Floats
    metrics: Mapping[str, Estimate]
    thresholds: Mapping[str, float]
    slices: Sequence[Slice]
    source_auc: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        return {
            "metrics": _plain_estimates(self.metrics),
            "thresholds": {
                name: value if np.isfinite(value) else None
                for name, value in self.thresholds.items()
            },
            "differences": _plain_estimates(self.differences),
            "slices": [part.to_json() for part in self.slices],
            "source_auc": _plain_estimates(self.source_auc),
        }


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """One model evaluated with each kind of clip score; the teacher has no `agreement`."""

    by_score: Mapping[ClipScore, ScoreEvaluation]
    agreement: Agreement | None

    def to_json(self) -> dict[str, Any]:
        return {
            "clip_scores": {str(how): judged.to_json() for how, judged in self.by_score.items()},
            "agreement": self.agreement.to_json() if self.agreement else None,
        }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All models on the same clips.

    models : by name, the teacher first, then the students in the order given
    cry_groups, other_groups : groups with and without a cry, which are resampled separately
    """

    clips: EvaluatedClips
    reference: str
    models: Mapping[str, ModelEvaluation]
    cry_groups: int
    other_groups: int
    replicates: int
    seed: int

    @property
    def cries(self) -> int:
        return int(self.clips.labels.sum())

    @property
    def too_little(self) -> str:
        """Why the clips are too few to compare models on; empty if they are enough."""
        return clips_missing(self.cries, self.cry_groups, self.other_groups)

    @property
    def students(self) -> list[str]:
        """Names of all models but the teacher."""
        return [name for name in self.models if name != self.reference]

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and six-digit numbers; None where undefined."""
        return {
            "clips": {
                "clips": len(self.clips),
                "cries": self.cries,
                "groups": self.cry_groups + self.other_groups,
                "cry_groups": self.cry_groups,
                "private": self.clips.private,
                "undeclared": self.clips.undeclared,
            },
            "intervals": {
                "level": LEVEL,
                "method": "percentile bootstrap over groups",
                "replicates": self.replicates,
                "seed": self.seed,
            },
            "reference": self.reference,
            "models": {name: model.to_json() for name, model in self.models.items()},
        }


Thresholds = Mapping[str, Mapping[str, float]]
"""By model and kind of clip score: `{"student": {"mean": 0.31, "max": 0.6}}`."""


def evaluate(
    clips: EvaluatedClips,
    models: Sequence[ModelScores],
    *,
    reference: str = Role.TEACHER,
    thresholds: Thresholds | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Compare models on labelled clips.

    Parameters
    ----------
    clips, models : the clips, and each model's scores of them in the same order
    reference : name of the model that the others are compared with
    thresholds : chosen on validation clips (see `choose_thresholds`); metrics at the validation
        threshold are undefined for models without one
    replicates, seed : of the bootstrap

    Raises
    ------
    ConfigError
        if two models have the same name, or `reference` or `thresholds` names none of them.
    ModelError
        if a model's scores do not fit the clips, or a score is NaN.
    """
    thresholds = thresholds or {}
    _check_names([model.name for model in models], reference, thresholds)
    for model in models:
        _check_scores(model, clips)
    teacher = next(model for model in models if model.name == reference)
    bootstrap = GroupBootstrap(
        groups=clips.groups, labels=clips.labels, replicates=replicates, seed=seed
    )
    trials: dict[tuple[str, ClipScore], _Trial] = {}
    with progress("Resampling", len(models) * len(ClipScore), "rankings") as advance:
        for model in models:
            for how in ClipScore:
                threshold = thresholds.get(model.name, {}).get(how)
                trials[model.name, how] = _trial(model, how, threshold, clips, bootstrap)
                advance(1)
    return Evaluation(
        clips=clips,
        reference=reference,
        models={
            model.name: ModelEvaluation(
                {
                    how: _judged(trials[model.name, how], trials[reference, how])
                    for how in ClipScore
                },
                None if model is teacher else agreement(model, teacher, clips, bootstrap),
            )
            for model in (teacher, *(model for model in models if model is not teacher))
        },
        cry_groups=bootstrap.cry_groups,
        other_groups=bootstrap.other_groups,
        replicates=replicates,
        seed=seed,
    )


def choose_thresholds(
    clips: EvaluatedClips, models: Sequence[ModelScores]
) -> dict[str, dict[str, float]]:
    """Find each model's threshold with the best F1 on these (validation) clips, for `evaluate`.

    Raises
    ------
    ModelError
        if a model's scores do not fit the clips, or a score is NaN.
    CorpusError
        if no clip is a cry.
    """
    if not clips.labels.any():
        raise CorpusError("none of the validation clips is a cry; no threshold can be chosen")
    chosen: dict[str, dict[str, float]] = {}
    for model in models:
        _check_scores(model, clips)
        chosen[model.name] = {}
        for how in ClipScore:
            ranked = Ranking(labels=clips.labels, scores=_clip_scores(model, how))
            best = ranking.best_f1(ranked.detections())
            chosen[model.name][how.value] = _rounded_down(float(best.thresholds))
    return chosen


def worst_mistakes(
    evaluation: Evaluation, model: str, *, how: ClipScore = ClipScore.MEAN, count: int = 6
) -> tuple[list[int], list[int]]:
    """Find the non-cries a model scores highest and the cries it scores lowest, worst first.

    Returns
    -------
    two lists of at most `count` positions in `evaluation.clips`.
    """
    scores = evaluation.models[model].by_score[how].clip_scores
    rising = np.argsort(scores, kind="stable")
    labels = evaluation.clips.labels[rising]
    false_alarms, misses = rising[~labels][::-1], rising[labels]
    return false_alarms[:count].tolist(), misses[:count].tolist()


@dataclass(frozen=True, eq=False)
class _Trial:
    """Results of one model and one kind of clip score, before the comparison."""

    scores: Floats
    metrics: Mapping[str, Resampled]
    thresholds: Mapping[str, float]
    slices: Sequence[Slice]
    source_auc: Mapping[str, Estimate]


def _trial(
    model: ModelScores,
    how: ClipScore,
    validation: float | None,
    clips: EvaluatedClips,
    bootstrap: GroupBootstrap,
) -> _Trial:
    scores = _clip_scores(model, how)
    ranked = Ranking(labels=clips.labels, scores=scores)
    metrics = bootstrap.run(_metrics_of(ranked, scores, clips.labels, validation))
    return _Trial(
        scores=scores,
        metrics=dict(zip(METRICS, metrics, strict=True)),
        thresholds=_thresholds(ranked, validation),
        slices=slices(ranked, scores, clips, bootstrap),
        source_auc=source_auc(scores, clips, bootstrap),
    )


def _judged(trial: _Trial, teacher: _Trial) -> ScoreEvaluation:
    compared = () if trial is teacher else DIFFERENCES
    return ScoreEvaluation(
        clip_scores=trial.scores,
        metrics={name: number.estimate() for name, number in trial.metrics.items()},
        thresholds=trial.thresholds,
        slices=trial.slices,
        source_auc=trial.source_auc,
        differences={
            name: (trial.metrics[name] - teacher.metrics[name]).estimate() for name in compared
        },
    )


def _metrics_of(
    ranked: Ranking, scores: Floats, labels: npt.NDArray[np.bool_], validation: float | None
) -> Statistic:
    def statistic(weights: Weights) -> Floats:
        metrics = _metrics(ranked.detections(weights), validation)
        metrics["calibration_error"] = calibration_error(labels, scores, weights)
        return np.stack([metrics[name] for name in METRICS], axis=-1)

    return statistic


def _metrics(detections: Detections, validation: float | None) -> dict[str, Floats]:
    metrics = ranking_metrics(detections)
    undefined = np.full_like(metrics["roc_auc"], np.nan)
    chosen = None if validation is None else ranking.at_threshold(detections, validation)
    return metrics | {
        "f1_at_half": ranking.at_threshold(detections, 0.5).f1,
        "f1_at_validation": chosen.f1 if chosen else undefined,
        "precision_at_validation": chosen.precision if chosen else undefined,
        "recall_at_validation": chosen.recall if chosen else undefined,
        "fpr_at_validation": chosen.false_positive_rate if chosen else undefined,
    }


def _thresholds(ranked: Ranking, validation: float | None) -> dict[str, float]:
    detections = ranked.detections()
    strict = ranking.at_false_positive_rate(detections, FPR_BOUND)
    thresholds = {
        "best_f1": _rounded_down(float(ranking.best_f1(detections).thresholds)),
        "fpr_1pct": _rounded_down(float(strict.thresholds)),
    }
    return thresholds if validation is None else thresholds | {"validation": validation}


def _clip_scores(model: ModelScores, how: ClipScore) -> Floats:
    return np.array([ranking.clip_score(track, how) for track in model.windows])


def _check_names(names: Sequence[str], reference: str, thresholds: Thresholds) -> None:
    if len(set(names)) != len(names):
        raise ConfigError(f"two models have the same name among {names}; give each its own")
    for name in (reference, *thresholds):
        if name not in names:
            raise ConfigError(f"{name}: not one of the models to evaluate: {', '.join(names)}")
    kinds = [how.value for how in ClipScore]
    for name, chosen in thresholds.items():
        for how in chosen:
            if how not in kinds:
                raise ConfigError(f"{name}: threshold for clip score {how}; choose from {kinds}")


def _check_scores(model: ModelScores, clips: EvaluatedClips) -> None:
    if len(model.windows) != len(clips):
        raise ModelError(
            f"{model.name}: scores of {len(model.windows)} clips for {len(clips)} clips; "
            "score exactly the clips to evaluate on"
        )
    if model.kl is not None and len(model.kl) != len(clips):
        raise ModelError(
            f"{model.name}: KL of {len(model.kl)} clips for {len(clips)} clips; "
            "give the mean over each clip's windows"
        )
    for clip, track in zip(clips.ids, model.windows, strict=True):
        if len(track) == 0:
            raise ModelError(f"{model.name}: no window of clip {clip} was scored; pad short clips")
        if np.isnan(track).any():
            raise ModelError(f"{model.name}: a score of clip {clip} is NaN; check the model")


def _rounded_down(threshold: float) -> float:
    """Round a threshold down to six digits, so that every score that reached it still does."""
    rounded = float(f"{threshold:.{DIGITS}g}")
    if rounded <= threshold:
        return rounded
    return float(Context(prec=DIGITS, rounding=ROUND_FLOOR).create_decimal(threshold))


def _plain_estimates(
    estimates: Mapping[str, Estimate],
) -> dict[str, dict[str, float | None]]:
    return {name: plain_estimate(estimate) for name, estimate in estimates.items()}
