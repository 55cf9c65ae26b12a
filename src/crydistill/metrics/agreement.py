"""Measure how closely two models agree, window by window."""

import numpy as np
import numpy.typing as npt

from crydistill.metrics.ranking import Floats

KL_EPSILON = 1e-8
"""Added to each of the 521 probabilities, to keep KL finite where the student rules a class out."""


def window_kl(teacher_scores: npt.ArrayLike, student_probabilities: npt.ArrayLike) -> Floats:
    """Per-window KL divergence KL(teacher || student) of the class distributions, in nats.

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
    """Pearson correlation of two score tracks, `[windows]`; NaN if either is constant."""
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b)))


def _distributions(scores: npt.ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    # A window whose scores are all zero becomes uniform instead of undefined.
    total = np.maximum(values.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    smoothed = values / total + KL_EPSILON
    return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True))
