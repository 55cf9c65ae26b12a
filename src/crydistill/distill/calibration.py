"""From a trained logit to a probability.

A student's logit says how sure the teacher would be of a window; what a user asks is how likely the
recording is a cry. Platt scaling (Platt 1999) answers with a scale and an offset of the logit,
which fit into the network's last layer and cost the device nothing.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

_SMALLEST = 1e-6


def clip_calibration(
    tracks: Sequence[npt.NDArray[np.float32]], labels: Sequence[bool]
) -> tuple[float, float]:
    """Fit scale and offset so that the mean score over a clip's windows is the clip's probability.

    Parameters
    ----------
    tracks : logits of each clip's windows, at least one window each
    labels : whether each clip is a cry; both kinds must occur

    Returns
    -------
    scale above 0, offset: sigmoid(scale * logit + offset) has, averaged over a clip's windows, the
    lowest cross-entropy with the labels.

    Raises
    ------
    ValueError
        if all clips are of one kind.
    """
    if len(set(labels)) < 2:
        raise ValueError("calibration needs clips of both kinds")
    truth = np.asarray(labels, dtype=np.float64)
    logits = np.concatenate(tracks).astype(np.float64)
    counts = np.array([len(track) for track in tracks])
    starts = np.cumsum(counts) - counts

    def cross_entropy(parameters: npt.NDArray[np.float64]) -> float:
        scores = expit(np.exp(parameters[0]) * logits + parameters[1])
        mean = np.clip(np.add.reduceat(scores, starts) / counts, _SMALLEST, 1 - _SMALLEST)
        return float(-np.mean(truth * np.log(mean) + (1 - truth) * np.log(1 - mean)))

    found = minimize(cross_entropy, np.zeros(2), method="Nelder-Mead")
    return float(np.exp(found.x[0])), float(found.x[1])
