"""Select the windows for which the teacher's cry score is confident."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.selection.pool import INDEX, Indices

POSITIVE_ABOVE = 0.30
NEGATIVE_BELOW = 0.05


@dataclass(frozen=True)
class ConfidentWindows:
    """Indices of the confident positive and negative windows; `dropped` counts the others."""

    positive: Indices
    negative: Indices
    dropped: int


def confident_windows(
    cry_scores: npt.NDArray[np.float32],
    *,
    positive_above: float = POSITIVE_ABOVE,
    negative_below: float = NEGATIVE_BELOW,
) -> ConfidentWindows:
    """Split windows into confident positives and negatives by the teacher's cry score.

    Parameters
    ----------
    cry_scores : np.ndarray [shape=(n,)], sum of the cry classes' scores, 0 to 2
    positive_above : a window with a higher score is a confident positive
    negative_below : a window with a lower score is a confident negative
    """
    # Half the bytes of what flatnonzero gives: almost all windows of a large corpus are negative.
    positive = np.flatnonzero(cry_scores > positive_above).astype(INDEX)
    negative = np.flatnonzero(cry_scores < negative_below).astype(INDEX)
    dropped = len(cry_scores) - len(positive) - len(negative)
    return ConfidentWindows(positive, negative, dropped)
