"""Whether a score of 0.7 is right seven times out of ten."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.metrics.ranking import Floats

BINS = 10
"""Equal steps of the score from 0 to 1; scores above 1 count as 1."""


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram; bins without a clip are left out.

    score : mean clip score of each bin
    cries : share of cries in it, 0 to 1
    clips : clips in it
    """

    score: Floats
    cries: Floats
    clips: npt.NDArray[np.int64]


def reliability(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Reliability:
    """Sort clips into bins by score.

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
    """Expected calibration error: mean distance of score and share of cries over the bins.

    Parameters
    ----------
    weights : `[..., n]`, how often each clip counts; once where not given

    Returns
    -------
    np.ndarray [shape=(...)], 0 to 1; each bin weighs as much as the clips in it. Source: Naeini et
    al. 2015, "Obtaining well calibrated probabilities using Bayesian binning".
    """
    values = np.minimum(np.asarray(scores, dtype=np.float64), 1)
    counts = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    gaps = (np.asarray(labels, dtype=np.float64) - values)[:, None] * _membership(values)
    return np.asarray(np.abs(counts @ gaps).sum(axis=-1) / counts.sum(axis=-1))


def _membership(scores: Floats) -> Floats:
    """Which bin each score is in, `[n, bins]`, as 0 and 1."""
    number = np.minimum((scores * BINS).astype(np.intp), BINS - 1)
    return np.asarray(number[:, None] == np.arange(BINS), dtype=np.float64)
