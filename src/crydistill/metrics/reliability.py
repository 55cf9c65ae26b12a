"""Compute reliability diagrams and the expected calibration error of clip scores."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.metrics.ranking import Floats

BINS = 10
"""Number of equal-width bins from 0 to 1; scores above 1 count as 1."""


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram; empty bins are left out.

    score : mean clip score of each bin
    cries : fraction of cries in it, 0 to 1
    clips : number of clips in it
    """

    score: Floats
    cries: Floats
    clips: npt.NDArray[np.int64]


def reliability(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Reliability:
    """Bin clips by score.

    Parameters
    ----------
    labels : bool [n], true for cries
    scores : [n], 0 to 1
    """
    values = np.minimum(np.asarray(scores, dtype=np.float64), 1)
    member = _membership(values)
    clips = member.sum(axis=0)
    some = clips > 0
    count = clips[some]
    return Reliability(
        score=(values @ member)[some] / count,
        cries=(np.asarray(labels, dtype=np.float64) @ member)[some] / count,
        clips=count.astype(np.int64),
    )


def calibration_error(
    labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> Floats:
    """Expected calibration error: mean gap between score and fraction of cries over the bins.

    Parameters
    ----------
    weights : `[..., n]`, weight of each clip; 1 each if None

    Returns
    -------
    np.ndarray [shape=(...)], 0 to 1; bins are weighted by their clips. Source: Naeini et al. 2015,
    "Obtaining well calibrated probabilities using Bayesian binning".
    """
    values = np.minimum(np.asarray(scores, dtype=np.float64), 1)
    counts = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    gaps = (np.asarray(labels, dtype=np.float64) - values)[:, None] * _membership(values)
    return np.asarray(np.abs(counts @ gaps).sum(axis=-1) / counts.sum(axis=-1))


def _membership(scores: Floats) -> Floats:
    """One-hot bin of each score, `[n, bins]`."""
    number = np.minimum((scores * BINS).astype(np.intp), BINS - 1)
    return np.asarray(number[:, None] == np.arange(BINS), dtype=np.float64)
