"""Agreement of a student with its teacher, with bootstrap intervals over groups."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from crydistill.errors import ModelError
from crydistill.evaluation.clips import EvaluatedClips, ModelScores
from crydistill.metrics.agreement import track_correlation
from crydistill.metrics.intervals import (
    Estimate,
    GroupBootstrap,
    Weights,
)
from crydistill.metrics.ranking import (
    Floats,
    ratio,
)
from crydistill.metrics.records import plain_estimate


@dataclass(frozen=True)
class Agreement:
    """How closely a student follows the teacher, window by window.

    kl : mean over all windows of KL(teacher || student); undefined if not given
    correlation : mean over clips of the Pearson correlation of the two tracks of window scores
    correlation_cries : the same over the cries
    correlation_cry_windows : correlation over the pooled windows of all cries
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


def agreement(
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
    """Per clip: number of windows, and sums of both scores, of their squares and products."""
    tracks = zip(ours.windows, theirs.windows, strict=True)
    pairs = ((np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in tracks)
    return np.array([(len(a), a.sum(), b.sum(), a @ a, b @ b, a @ b) for a, b in pairs])


def _pooled_correlation(sums: Floats) -> Floats:
    """Pearson correlation from sums of `_track_moments`, `[..., 6]`; NaN if a track is constant."""
    n, a, b, aa, bb, ab = np.moveaxis(sums, -1, 0)
    variances = (n * aa - a**2) * (n * bb - b**2)
    usable = variances > 1e-9 * n**4
    root = np.sqrt(np.where(usable, variances, 1))
    return np.where(usable, (n * ab - a * b) / root, np.nan)


def _mean(values: Floats, weights: Weights) -> Floats:
    return ratio(weights @ values, weights.sum(axis=-1))
