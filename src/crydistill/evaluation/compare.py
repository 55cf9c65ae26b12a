"""Judge students beside their teacher on the same labelled clips.

Every model is judged by each kind of clip score (`ranking.ClipScore`): ranking metrics,
agreement with the teacher, detection within slices of the clips, and the paired difference from
the teacher, each with a 95 % interval over groups. A student is to be preferred to another only
where the interval of the difference says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crydistill.corpora.clip import Corpus, Label, duplicate_ids
from crydistill.errors import ConfigError, CorpusError, ModelError
from crydistill.evaluation import ranking
from crydistill.evaluation.intervals import (
    LEVEL,
    REPLICATES,
    Estimate,
    GroupBootstrap,
    Resampled,
    Statistic,
    Weights,
)
from crydistill.evaluation.ranking import ClipScore, Detections, Floats, Ranking, ratio
from crydistill.evaluation.records import DIGITS, plain_estimate
from crydistill.evaluation.reliability import calibration_error
from crydistill.progress import Progress, silent

METRICS = {
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "recall_at_fpr_1pct": "Recall at FPR 1 %",
    "recall_at_fpr_0.1pct": "Recall at FPR 0.1 %",
    "f1_at_validation": "F1, validated",
    "precision_at_validation": "Precision, validated",
    "recall_at_validation": "Recall, validated",
    "fpr_at_validation": "FPR, validated",
    "best_f1": "F1, in hindsight",
    "best_f1_precision": "Precision, in hindsight",
    "best_f1_recall": "Recall, in hindsight",
    "best_f1_fpr": "FPR, in hindsight",
    "f1_at_half": "F1 at threshold 0.5",
    "calibration_error": "Expected calibration error",
}
"""Metrics of a clip score and their titles, in the order of the tables. FPR is the share of
non-cries that are detected; "validated" is at the threshold chosen on validation clips, "in
hindsight" at the one with the best F1 on the very clips that are judged."""

DIFFERENCES = ("roc_auc", "average_precision", "recall_at_fpr_1pct", "recall_at_fpr_0.1pct")
"""Metrics whose paired difference from the teacher is reported."""

SLICE_BOUND = 0.01
"""Slices are judged at each model's own threshold of at most this false-positive rate over all."""

STRICT_BOUND = 0.001
"""The stricter false-positive rate at which recall is reported."""

NARROW_BAND_HZ = 8_000
"""Recordings of at most this native rate hold nothing above 4 kHz."""

KL_EPSILON = 1e-8
"""Added to each of the 521 probabilities, so that a class a student rules out costs a finite KL."""


@dataclass(frozen=True, eq=False)
class ModelScores:
    """What one model said about every clip, in the order of the clips.

    name : for tables, plots and JSON
    windows : cry score of each window, one array `[windows]` per clip
    kl : mean over each clip's windows of the KL divergence from the teacher (see `window_kl`),
        `[clips]`; None where the model has no 521 classes
    """

    name: str
    windows: Sequence[npt.NDArray[Any]]
    kl: Sequence[float] | None = None


@dataclass(frozen=True, eq=False)
class EvaluatedClips:
    """Labelled clips as parallel sequences.

    labels : true for cries, bool [n]
    native_rates : sample rate in hertz of the original recording, None where unknown
    private : at least one clip is private, and so is everything derived from it
    """

    ids: Sequence[str]
    labels: npt.NDArray[np.bool_]
    groups: Sequence[str]
    categories: Sequence[str]
    sources: Sequence[str]
    native_rates: Sequence[int | None]
    private: bool = False

    @classmethod
    def from_clips(cls, clips: Corpus) -> "EvaluatedClips":
        """Take a corpus apart.

        Raises
        ------
        CorpusError
            if there is no clip, a clip is unlabelled, or two share an id.
        """
        if not clips:
            raise CorpusError("no clips to evaluate on; choose a split that has some")
        for clip in clips:
            if clip.label is Label.UNLABELLED:
                raise CorpusError(
                    f"{clip.id}: is unlabelled; evaluate on clips labelled cry or noncry only"
                )
        if twice := duplicate_ids(clips):
            raise CorpusError(f"{twice[0]}: two clips have this id; give each its own")
        return cls(
            ids=tuple(clip.id for clip in clips),
            labels=np.array([clip.is_cry for clip in clips]),
            groups=tuple(clip.group for clip in clips),
            categories=tuple(clip.category for clip in clips),
            sources=tuple(clip.source for clip in clips),
            native_rates=tuple(clip.native_rate for clip in clips),
            private=any(clip.private for clip in clips),
        )

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Slice:
    """Share of some clips that a model detects at its threshold of 1 % false positives over all.

    kind : "band", "category" or "source"
    label : of the clips; `detected` is a recall for cries, a false-positive rate for non-cries
    clips, groups : how many there are; a single group, and mostly even two, are missing from too
        many resamples for `detected` to have an interval
    """

    kind: str
    name: str
    label: Label
    clips: int
    groups: int
    detected: Estimate

    def to_json(self) -> dict[str, Any]:
        rate = "recall" if self.label is Label.CRY else "false_positive_rate"
        return {
            "kind": self.kind,
            "name": self.name,
            "label": str(self.label),
            "clips": self.clips,
            "groups": self.groups,
            rate: plain_estimate(self.detected),
        }


@dataclass(frozen=True)
class Agreement:
    """How closely a student follows the teacher, window by window.

    kl : mean over all windows of KL(teacher || student); undefined if it was not given
    correlation : mean over clips of the correlation of the two tracks of window scores
    correlation_cries : the same over the cries
    correlation_cry_windows : correlation over all windows of the cries, as one track
    correlated_clips : clips that count; the others have a constant track (or one window)
    """

    kl: Estimate
    correlation: Estimate
    correlation_cries: Estimate
    correlation_cry_windows: Estimate
    correlated_clips: int
    skipped_clips: int

    def to_json(self) -> dict[str, Any]:
        return {
            "kl": plain_estimate(self.kl),
            "frame_correlation": plain_estimate(self.correlation),
            "frame_correlation_cries": plain_estimate(self.correlation_cries),
            "frame_correlation_cry_windows": plain_estimate(self.correlation_cry_windows),
            "correlated_clips": self.correlated_clips,
            "skipped_clips": self.skipped_clips,
        }


@dataclass(frozen=True, eq=False)
class ScoreEvaluation:
    """One model judged by one kind of clip score.

    clip_scores : the scores, `[clips]`; not part of the JSON
    metrics : keys as in `METRICS`
    thresholds : "best_f1" and "fpr_1pct" in hindsight, "validation" where one was given
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
    """One model judged by each kind of clip score; the teacher has no agreement with itself."""

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

    models : by name, the teacher first and then the students in the order they were given
    cry_groups, other_groups : groups with and without a cry, which are resampled apart
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
    def students(self) -> list[str]:
        """Names of all models but the teacher."""
        return [name for name in self.models if name != self.reference]

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers of six digits; None where undefined."""
        return {
            "clips": {
                "clips": len(self.clips),
                "cries": self.cries,
                "groups": self.cry_groups + self.other_groups,
                "cry_groups": self.cry_groups,
                "private": self.clips.private,
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
"""Of each model, for each kind of clip score: `{"student": {"mean": 0.31, "max": 0.6}}`."""


def evaluate(
    clips: EvaluatedClips,
    models: Sequence[ModelScores],
    *,
    reference: str = "teacher",
    thresholds: Thresholds | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Judge models on labelled clips.

    Parameters
    ----------
    clips, models : the clips, and what each model said about them in the same order
    reference : name of the model that the others are compared with
    thresholds : chosen elsewhere, on validation clips (see `choose_thresholds`); metrics "at the
        validation threshold" are undefined for a model without
    replicates, seed : of the bootstrap

    Raises
    ------
    ConfigError
        if two models have one name, or `reference` or `thresholds` names none of them.
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
                None if model is teacher else _agreement(model, teacher, clips, bootstrap),
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
    """Find each model's threshold of the best F1 on these (validation) clips, for `evaluate`.

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


def ranking_metrics(detections: Detections) -> dict[str, Floats]:
    """Metrics, by key of `METRICS`, that need no threshold chosen elsewhere."""
    best = ranking.best_f1(detections)
    return {
        "roc_auc": ranking.roc_auc(detections),
        "average_precision": ranking.average_precision(detections),
        "recall_at_fpr_1pct": ranking.recall_at_false_positive_rate(detections, SLICE_BOUND),
        "recall_at_fpr_0.1pct": ranking.recall_at_false_positive_rate(detections, STRICT_BOUND),
        "best_f1": best.f1,
        "best_f1_precision": best.precision,
        "best_f1_recall": best.recall,
        "best_f1_fpr": best.false_positive_rate,
    }


def window_kl(teacher_scores: npt.ArrayLike, student_probabilities: npt.ArrayLike) -> Floats:
    """KL(teacher || student) of the class distributions of each window, in nats.

    Parameters
    ----------
    teacher_scores : [n, 521], independent scores >= 0; normalised here to sum to 1
    student_probabilities : [n, 521], likewise

    Returns
    -------
    np.ndarray [shape=(n,)], >= 0
    """
    teacher, student = _distributions(teacher_scores), _distributions(student_probabilities)
    return np.asarray((teacher * np.log(teacher / student)).sum(axis=1))


def track_correlation(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> float:
    """Pearson correlation of two tracks of window scores, `[windows]`; NaN if one is constant."""
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b)))


def hardest(
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
    """What is known of one model and one kind of clip score before it is compared."""

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
        slices=_slices(ranked, scores, clips, bootstrap),
        source_auc=_source_auc(scores, clips, bootstrap),
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
    strict = ranking.at_false_positive_rate(detections, SLICE_BOUND)
    thresholds = {
        "best_f1": _rounded_down(float(ranking.best_f1(detections).thresholds)),
        "fpr_1pct": _rounded_down(float(strict.thresholds)),
    }
    return thresholds if validation is None else thresholds | {"validation": validation}


def _slices(
    ranked: Ranking, scores: Floats, clips: EvaluatedClips, bootstrap: GroupBootstrap
) -> tuple[Slice, ...]:
    parts = _parts(clips)
    members = np.stack([part.members for part in parts], axis=1).astype(np.float64)

    def statistic(weights: Weights) -> Floats:
        point = ranking.at_false_positive_rate(ranked.detections(weights), SLICE_BOUND)
        detected = weights * (scores >= point.thresholds[:, None])
        return ratio(detected @ members, weights @ members)

    groups = np.asarray(clips.groups)
    slices = []
    for part, number in zip(parts, bootstrap.run(statistic), strict=True):
        size, count = int(part.members.sum()), len(np.unique(groups[part.members]))
        slices.append(Slice(part.kind, part.name, part.label, size, count, number.estimate()))
    return tuple(sorted(slices, key=_slice_order))


class _Part(NamedTuple):
    kind: str
    name: str
    label: Label
    members: npt.NDArray[np.bool_]


def _parts(clips: EvaluatedClips) -> list[_Part]:
    """Clips of every slice that has any."""
    labels, sources = clips.labels, np.asarray(clips.sources)
    categories = np.asarray(clips.categories)
    rates = np.array([np.nan if rate is None else rate for rate in clips.native_rates])
    # A recording of unknown rate (NaN) is in neither band.
    parts = [
        _Part("band", "wide", Label.CRY, labels & (rates > NARROW_BAND_HZ)),
        _Part("band", "narrow", Label.CRY, labels & (rates <= NARROW_BAND_HZ)),
    ]
    for name in np.unique(categories):
        parts.append(_Part("category", str(name), Label.NONCRY, ~labels & (categories == name)))
    for name in np.unique(sources):
        parts.append(_Part("source", str(name), Label.CRY, labels & (sources == name)))
        parts.append(_Part("source", str(name), Label.NONCRY, ~labels & (sources == name)))
    return [part for part in parts if part.members.any()]


def _slice_order(part: Slice) -> tuple[int, float, int]:
    """Bands, categories, sources; among categories those with most false alarms, then clips."""
    kind = ("band", "category", "source").index(part.kind)
    if part.kind != "category" or np.isnan(part.detected.value):
        return kind, 0.0, 0
    return kind, -part.detected.value * part.clips, -part.clips


def _source_auc(
    scores: Floats, clips: EvaluatedClips, bootstrap: GroupBootstrap
) -> dict[str, Estimate]:
    sources = np.asarray(clips.sources)
    parts = {}
    for name in np.unique(sources):
        mask = sources == name
        if clips.labels[mask].any() and not clips.labels[mask].all():
            parts[str(name)] = mask, Ranking(labels=clips.labels[mask], scores=scores[mask])
    if not parts:
        return {}

    def statistic(weights: Weights) -> Floats:
        columns = [
            ranking.roc_auc(part.detections(weights[:, mask])) for mask, part in parts.values()
        ]
        return np.stack(columns, axis=-1)

    numbers = bootstrap.run(statistic)
    return {name: number.estimate() for name, number in zip(parts, numbers, strict=True)}


def _agreement(
    model: ModelScores, teacher: ModelScores, clips: EvaluatedClips, bootstrap: GroupBootstrap
) -> Agreement:
    tracks = zip(clips.ids, model.windows, teacher.windows, strict=True)
    for clip, ours, theirs in tracks:
        if len(ours) != len(theirs):
            raise ModelError(
                f"{model.name}: {len(ours)} window scores for clip {clip}, {teacher.name} has "
                f"{len(theirs)}; score both on the same windows"
            )
    pairs = zip(model.windows, teacher.windows, strict=True)
    correlations = np.array([track_correlation(ours, theirs) for ours, theirs in pairs])
    counted = ~np.isnan(correlations)
    correlations = np.where(counted, correlations, 0.0)
    windows = np.array([len(track) for track in model.windows])
    moments = _track_moments(model, teacher)
    kl = np.full(len(clips), np.nan) if model.kl is None else np.asarray(model.kl, np.float64)

    def statistic(weights: Weights) -> Floats:
        return np.stack(
            [
                _mean(kl, weights * windows),
                _mean(correlations, weights * counted),
                _mean(correlations, weights * (counted & clips.labels)),
                _pooled_correlation((weights * clips.labels) @ moments),
            ],
            axis=-1,
        )

    mean_kl, over_all, over_cries, pooled = (n.estimate() for n in bootstrap.run(statistic))
    return Agreement(
        kl=mean_kl,
        correlation=over_all,
        correlation_cries=over_cries,
        correlation_cry_windows=pooled,
        correlated_clips=int(counted.sum()),
        skipped_clips=int((~counted).sum()),
    )


def _track_moments(ours: ModelScores, theirs: ModelScores) -> Floats:
    """Per clip: windows, and sums of our and their scores, of their squares and products."""
    tracks = zip(ours.windows, theirs.windows, strict=True)
    pairs = ((np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in tracks)
    return np.array([(len(a), a.sum(), b.sum(), a @ a, b @ b, a @ b) for a, b in pairs])


def _pooled_correlation(sums: Floats) -> Floats:
    """Pearson correlation from sums as of `_track_moments`, `[..., 6]`; NaN if one is constant."""
    n, a, b, aa, bb, ab = np.moveaxis(sums, -1, 0)
    variances = (n * aa - a**2) * (n * bb - b**2)
    usable = variances > 1e-9 * n**4
    root = np.sqrt(np.where(usable, variances, 1))
    return np.where(usable, (n * ab - a * b) / root, np.nan)


def _mean(values: Floats, weights: Weights) -> Floats:
    return ratio(weights @ values, weights.sum(axis=-1))


def _distributions(scores: npt.ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    # A window without any score at all becomes uniform rather than undefined.
    total = np.maximum(values.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    smoothed = values / total + KL_EPSILON
    return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True))


def _clip_scores(model: ModelScores, how: ClipScore) -> Floats:
    return np.array([ranking.clip_score(track, how) for track in model.windows])


def _check_names(names: Sequence[str], reference: str, thresholds: Thresholds) -> None:
    if len(set(names)) != len(names):
        raise ConfigError(f"two models have one name among {names}; give each its own")
    for name in (reference, *thresholds):
        if name not in names:
            raise ConfigError(f"{name}: is none of the models to evaluate: {', '.join(names)}")
    kinds = [how.value for how in ClipScore]
    for name, chosen in thresholds.items():
        for how in chosen:
            if how not in kinds:
                raise ConfigError(f"{name}: threshold for clip score {how}; it must be of {kinds}")


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
    """Shorten a threshold to six digits so that whatever reached it still does."""
    rounded = float(f"{threshold:.{DIGITS}g}")
    if rounded <= threshold:
        return rounded
    return float(Context(prec=DIGITS, rounding=ROUND_FLOOR).create_decimal(threshold))


def _plain_estimates(
    estimates: Mapping[str, Estimate],
) -> dict[str, dict[str, float | None]]:
    return {name: plain_estimate(estimate) for name, estimate in estimates.items()}
