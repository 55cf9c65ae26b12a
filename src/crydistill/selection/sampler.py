"""Sample each epoch's windows and their order as a pure function of seed and epoch."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from crydistill.errors import CorpusError
from crydistill.selection.pool import Indices
from crydistill.selection.teacher_filter import ConfidentWindows

Weights = npt.NDArray[np.float64]
"""Relative sampling weight of each window, `[n]`; all above 0."""

_BLOCKS_AT_ONCE = 16
"""Stretches of a pool that are shuffled together where it is not shuffled as a whole."""

_SCORE_FLOOR = 1e-3
"""Floor added to cry scores, so that all scores far below it get the same weight."""


class Sampler(Protocol):
    """Chooses the windows of an epoch."""

    def epoch(self, number: int) -> Indices:
        """Return the shuffled window indices of epoch `number`, deterministically."""
        ...


class BalancedSampler:
    """All confident positives, with `ratio` confident negatives per positive.

    With `resample`, every epoch draws new negatives, so that training eventually sees them all;
    otherwise one draw is used for all epochs. Negatives are sampled without replacement, with
    probability proportional to their weight; if there are too few, all are used. A positive of
    weight w occurs w times per epoch on average.
    """

    def __init__(
        self,
        windows: ConfidentWindows,
        *,
        ratio: float,
        resample: bool,
        seed: int,
        weights: Weights | None = None,
        at_once: int = 0,
    ) -> None:
        """Set up the sampler; `at_once` is of `shuffled`.

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
        self._at_once = at_once

    def epoch(self, number: int) -> Indices:
        draw = np.random.default_rng([self._seed, number if self._resample else 0])
        positives = _repeat_by_weight(self._windows.positive, self._weights, draw)
        negative = self._windows.negative
        count = min(len(negative), round(self._ratio * len(positives)))
        share = None if self._weights is None else self._weights[negative]
        negatives = draw.choice(
            negative, count, replace=False, p=None if share is None else share / share.sum()
        )
        order = np.random.default_rng([self._seed, number, 1])
        return shuffled(np.concatenate([positives, negatives]), order, self._at_once)


class FixedSampler:
    """The same windows every epoch in a new order (`shuffled`); weight w: w times on average."""

    def __init__(
        self, windows: Indices, *, seed: int, weights: Weights | None = None, at_once: int = 0
    ) -> None:
        draw = np.random.default_rng([seed, 0])
        self._windows = _repeat_by_weight(windows, weights, draw)
        self._seed = seed
        self._at_once = at_once

    def epoch(self, number: int) -> Indices:
        order = np.random.default_rng([self._seed, number, 1])
        return shuffled(self._windows, order, self._at_once)


def shuffled(windows: Indices, rng: np.random.Generator, at_once: int = 0) -> Indices:
    """Shuffle an epoch's windows, or only so many at once that their frames stay in memory.

    A pool that is larger than the memory is read from the disk in the order of training. Shuffled
    as a whole, every window is a read of its own, and little of what the system reads around it is
    still there when its neighbours' turn comes. So stretches of the pool, in random order, are
    taken a few at a time, and the windows of these few are shuffled: all that is read is used.

    Parameters
    ----------
    at_once : windows that are shuffled together; 0, or at least as many as there are: all

    Examples
    --------
    >>> import numpy as np
    >>> from crydistill.selection.sampler import shuffled
    >>> order = shuffled(np.arange(64), np.random.default_rng(0), at_once=32)
    >>> sorted(order.tolist()) == list(range(64)), order.tolist() == list(range(64))
    (True, False)
    """
    if not 0 < at_once < len(windows):
        return rng.permutation(windows)
    ordered = np.sort(windows)
    block = -(-at_once // _BLOCKS_AT_ONCE)
    starts = block * rng.permutation(-(-len(ordered) // block))
    done = 0
    found = np.empty_like(ordered)
    for first in range(0, len(starts), _BLOCKS_AT_ONCE):
        group = starts[first : first + _BLOCKS_AT_ONCE]
        part = np.concatenate([ordered[start : start + block] for start in group])
        rng.shuffle(part)
        found[done : done + len(part)] = part
        done += len(part)
    return found


def random_windows(clip_of: Indices, *, per_clip: int, seed: int) -> Indices:
    """Draw up to `per_clip` random windows per clip, the baseline without a teacher.

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
    """Weight hard negatives more: windows whose cry score is close to `negative_below`.

    Parameters
    ----------
    cry_scores : np.ndarray [shape=(n,)], the teacher's cry scores, 0 to 2
    hardness : exponent, 0 to 1; at 0.5, a score of 0.1 has ten times the weight of a score of 0

    Returns
    -------
    Weight of each window, `[n]`: 1 for scores of at least `negative_below`, less below.
    """
    share = (np.minimum(cry_scores, negative_below) + _SCORE_FLOOR) / (
        negative_below + _SCORE_FLOOR
    )
    return np.asarray(share, dtype=np.float64) ** hardness


def _repeat_by_weight(
    windows: Indices, weights: Weights | None, draw: np.random.Generator
) -> Indices:
    """Repeat each window by its weight, rounding randomly so that the mean is exact."""
    if weights is None:
        return windows
    return np.repeat(windows, np.floor(weights[windows] + draw.random(len(windows))).astype(int))
