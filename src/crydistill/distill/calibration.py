"""Calibrate the cry logit, so that its sigmoid is a probability (Platt scaling).

A student's logit predicts how sure the teacher would be of a window; a user wants the probability
that the recording is a cry. Platt scaling (Platt 1999) fits a scale and an offset of the logit,
which are folded into the network's last layer and cost the device nothing.

Where cries are rare, the best-calibrated probability seldom reaches 0.5, the threshold that
everybody tries first. Scale and offset are therefore the best-calibrated ones among those whose F1
at 0.5 is close to the best F1.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

Floats = npt.NDArray[np.float64]

_SMALLEST = 1e-6

HALF_TOLERANCE = 0.02
"""How far F1 at the threshold 0.5 may fall below F1 at the best threshold."""

_SCALES, _OFFSETS = np.geomspace(0.25, 4, 29), np.linspace(-4, 4, 65)
"""Search grid for a good F1 at 0.5, relative to the best-calibrated scale and offset."""


def clip_calibration(
    tracks: Sequence[npt.NDArray[np.float32]], labels: Sequence[bool]
) -> tuple[float, float]:
    """Fit scale and offset so that the mean score of a clip's windows is the clip's probability.

    Parameters
    ----------
    tracks : per clip, the logits of the windows that count; at least one each
    labels : whether each clip is a cry; both kinds must occur

    Returns
    -------
    scale above 0, offset: sigmoid(scale * logit + offset), averaged over a clip's windows, has the
    lowest cross-entropy with the labels among all that keep F1 at 0.5 within `HALF_TOLERANCE` of
    the best F1 of the same scores; among all if none does.

    Raises
    ------
    ValueError
        if all clips have the same label.
    """
    if len(set(labels)) < 2:
        raise ValueError("calibration needs clips of both kinds")
    truth = np.asarray(labels, dtype=np.float64)
    logits = np.concatenate(tracks).astype(np.float64)
    counts = np.array([len(track) for track in tracks])
    starts = np.cumsum(counts) - counts

    def clip_scores(scale: float, offset: float) -> Floats:
        mean = np.add.reduceat(expit(scale * logits + offset), starts) / counts
        return np.asarray(np.clip(mean, _SMALLEST, 1 - _SMALLEST))

    def cross_entropy(calibration: tuple[float, float]) -> float:
        mean = clip_scores(*calibration)
        return float(-np.mean(truth * np.log(mean) + (1 - truth) * np.log(1 - mean)))

    def is_fair_at_half(calibration: tuple[float, float]) -> bool:
        return _f1_lost_at_half(clip_scores(*calibration), truth) <= HALF_TOLERANCE

    found = minimize(
        lambda p: cross_entropy((np.exp(p[0]), p[1])), np.zeros(2), method="Nelder-Mead"
    )
    accurate = float(np.exp(found.x[0])), float(found.x[1])
    if is_fair_at_half(accurate):
        return accurate
    near = [(float(accurate[0] * s), float(accurate[1] + o)) for s in _SCALES for o in _OFFSETS]
    return min(filter(is_fair_at_half, near), key=cross_entropy, default=accurate)


def _f1_lost_at_half(scores: Floats, truth: Floats) -> float:
    """Best F1 over all thresholds, minus F1 at 0.5."""
    order = np.argsort(-scores)
    ranked = scores[order]
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(scores) + 1) + truth.sum())
    is_threshold = np.append(ranked[1:] < ranked[:-1], True)
    taken = int(np.sum(scores >= 0.5))
    return float(f1[is_threshold].max() - (f1[taken - 1] if taken else 0.0))
