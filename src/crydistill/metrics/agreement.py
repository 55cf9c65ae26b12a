"""How closely two models agree, window by window."""

import numpy as np
import numpy.typing as npt

from crydistill.metrics.ranking import Floats

KL_EPSILON = 1e-8
"""Added to each of the 521 probabilities, so that a class a student rules out costs a finite KL."""


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


def _distributions(scores: npt.ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    # A window without any score at all becomes uniform rather than undefined.
    total = np.maximum(values.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    smoothed = values / total + KL_EPSILON
    return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True))
