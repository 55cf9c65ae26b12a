"""Which windows each epoch shows, and in which order: a pure function of seed and epoch."""

from typing import Protocol

import numpy as np

from crydistill.errors import CorpusError
from crydistill.selection.pool import Indices
from crydistill.selection.teacher_filter import ConfidentWindows


class Sampler(Protocol):
    """Names the windows of an epoch."""

    def epoch(self, number: int) -> Indices:
        """Window indices of epoch `number`, shuffled; the same for the same number."""
        ...


class BalancedSampler:
    """All confident positives with `ratio` confident negatives to each.

    With `resample` every epoch draws its negatives afresh, so that training sees them all in
    time; without, one draw serves all epochs. Where there are fewer negatives than asked for, all
    are taken.
    """

    def __init__(
        self, windows: ConfidentWindows, *, ratio: float, resample: bool, seed: int
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
        self._negatives = min(len(windows.negative), round(ratio * len(windows.positive)))
        self._resample = resample
        self._seed = seed

    def epoch(self, number: int) -> Indices:
        draw = np.random.default_rng([self._seed, number if self._resample else 0])
        negatives = draw.choice(self._windows.negative, self._negatives, replace=False)
        order = np.random.default_rng([self._seed, number, 1])
        return order.permutation(np.concatenate([self._windows.positive, negatives]))


class FixedSampler:
    """The same windows every epoch, in another order."""

    def __init__(self, windows: Indices, *, seed: int) -> None:
        self._windows = windows
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
