"""Which windows each epoch shows, and in which order: a pure function of seed and epoch."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from crydistill.errors import CorpusError
from crydistill.selection.pool import Indices
from crydistill.selection.teacher_filter import ConfidentWindows

Weights = npt.NDArray[np.float64]
"""How often each window trains, relative to the others, `[n]`; all above 0."""

_FAINTEST = 1e-3
"""Cry scores far below this are all the same: certain."""


class Sampler(Protocol):
    """Names the windows of an epoch."""

    def epoch(self, number: int) -> Indices:
        """Window indices of epoch `number`, shuffled; the same for the same number."""
        ...


class BalancedSampler:
    """All confident positives with `ratio` confident negatives to each.

    With `resample` every epoch draws its negatives afresh, so that training sees them all in
    time; without, one draw serves all epochs. Where there are fewer negatives than asked for, all
    are taken. A positive of weight w stands in an epoch w times on average; negatives are drawn
    with probabilities in proportion to their weights.
    """

    def __init__(
        self,
        windows: ConfidentWindows,
        *,
        ratio: float,
        resample: bool,
        seed: int,
        weights: Weights | None = None,
    ) -> None:
        """Prepare to sample.

        Raises
        ------
        CorpusError
            if there is no positive or no negative window.
        """
        for name, indices in (("positive", windows.positive), ("negative", windows.negative)):
            if len(indices) == 0:
                raise CorpusError(
                    f"the teacher finds no confident {name} window in the training clips; add "
                    "recordings or move the selection's thresholds"
                )
        self._windows = windows
        self._weights = weights
        self._ratio = ratio
        self._resample = resample
        self._seed = seed

    def epoch(self, number: int) -> Indices:
        draw = np.random.default_rng([self._seed, number if self._resample else 0])
        positives = _repeated(self._windows.positive, self._weights, draw)
        negative = self._windows.negative
        count = min(len(negative), round(self._ratio * len(positives)))
        share = None if self._weights is None else self._weights[negative]
        negatives = draw.choice(
            negative, count, replace=False, p=None if share is None else share / share.sum()
        )
        order = np.random.default_rng([self._seed, number, 1])
        return order.permutation(np.concatenate([positives, negatives]))


class FixedSampler:
    """The same windows every epoch, in another order; one of weight w, w times on average."""

    def __init__(self, windows: Indices, *, seed: int, weights: Weights | None = None) -> None:
        draw = np.random.default_rng([seed, 0])
        self._windows = _repeated(windows, weights, draw)
        self._seed = seed

    def epoch(self, number: int) -> Indices:
        return np.random.default_rng([self._seed, number, 1]).permutation(self._windows)


def random_windows(clip_of: Indices, *, per_clip: int, seed: int) -> Indices:
    """Draw up to `per_clip` windows of each clip: the baseline that asks no teacher.

    Parameters
    ----------
    clip_of : np.ndarray [shape=(n,)], the clip each window belongs to, in ascending order
    """
    draw = np.random.default_rng([seed, 0])
    chosen = [
        np.sort(draw.choice(windows, min(per_clip, len(windows)), replace=False))
        for windows in np.split(np.arange(len(clip_of)), np.flatnonzero(np.diff(clip_of)) + 1)
    ]
    return np.concatenate(chosen)


def harder(
    cry_scores: npt.NDArray[np.float32], *, negative_below: float, hardness: float
) -> Weights:
    """Weigh negatives by how close the teacher comes to taking them for a cry.

    Parameters
    ----------
    cry_scores : np.ndarray [shape=(n,)], the teacher's, 0 to 2
    hardness : exponent, 0 to 1; at 0.5 a window of score 0.1 weighs ten times one of score 0

    Returns
    -------
    Weight of each window, `[n]`: 1 from `negative_below` on, less below.
    """
    share = (np.minimum(cry_scores, negative_below) + _FAINTEST) / (negative_below + _FAINTEST)
    return np.asarray(share, dtype=np.float64) ** hardness


def _repeated(windows: Indices, weights: Weights | None, draw: np.random.Generator) -> Indices:
    """Repeat each window as often as its weight says, fractions by chance."""
    if weights is None:
        return windows
    return np.repeat(windows, np.floor(weights[windows] + draw.random(len(windows))).astype(int))
