"""Bootstrap 95 % confidence intervals by resampling groups of clips.

Clips of one group (one child, one phone, one long recording) resemble each other, so whole groups
are drawn with replacement. The bootstrap is stratified: groups with a cry and groups without are
drawn separately, so that every resample has as many of each as the data. A resample is an integer
weight per clip; all models are evaluated on the same resamples, and the difference of two models is
taken within each of them (paired bootstrap).

The intervals cover the choice of recordings only, not training seeds or wrong labels.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), percentile intervals;
Davison and Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8, for drawing
whole groups.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.metrics.ranking import Floats

LEVEL = 0.95
REPLICATES = 1_000

Weights = npt.NDArray[np.int64]
"""Weight of each clip in each resample, `[rows, clips]`."""

Statistic = Callable[[Weights], Floats]
"""Computes m numbers for each row of weights: `[rows, clips]` to `[rows, m]`."""

NOTHING = "–"
"""Placeholder for an undefined number."""

SIGNED = "{:+.3f}"
"""Format of differences."""

_MAX_UNDEFINED = 0.05
"""A number that is undefined in more than this fraction of the resamples gets no interval."""

_BLOCK = 500_000
"""Weights processed at a time: 4 MB, which fits the processor's cache."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; NaN where undefined (see `Resampled.estimate`)."""

    value: float
    low: float
    high: float

    def text(self, form: str = "{:.3f}") -> str:
        """Format the number, with its interval if it has one: "0.981 [0.972, 0.989]"."""
        value, low, high = (form.format(part) for part in (self.value, self.low, self.high))
        if np.isnan(self.value):
            return NOTHING
        return value if np.isnan(self.low) else f"{value} [{low}, {high}]"

    def __str__(self) -> str:
        return self.text()


UNDEFINED = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Resampled:
    """A statistic on the data (`value`) and on each resample (`replicates`, [replicates])."""

    value: float
    replicates: Floats

    def estimate(self) -> Estimate:
        """Percentile interval over the resamples in which the number is defined.

        There is no interval where the number is undefined in too many resamples, nor where hardly
        any of them changes it (no false alarm in 16 clips): an interval of zero width would claim
        certainty, when the data are merely too few to tell.
        """
        defined = self.replicates[~np.isnan(self.replicates)]
        if len(defined) >= (1 - _MAX_UNDEFINED) * len(self.replicates):
            tail = (1 - LEVEL) / 2
            low, high = np.quantile(defined, [tail, 1 - tail])
            if low < high:
                return Estimate(self.value, float(low), float(high))
        return Estimate(self.value, np.nan, np.nan)

    def __sub__(self, other: "Resampled") -> "Resampled":
        """Paired difference; both must come from the same `GroupBootstrap`."""
        return Resampled(self.value - other.value, self.replicates - other.replicates)


class GroupBootstrap:
    """Resamples of grouped clips, drawn once and shared by all models that are compared.

    Parameters
    ----------
    groups : group of each clip, [n]
    labels : true for cries, [n]; a group with any cry belongs to the stratum of cries
    replicates : number of resamples, at least 1
    seed : of the random generator

    Raises
    ------
    ValueError
        if groups and labels differ in length or are empty, or replicates < 1.

    Examples
    --------
    The mean score of six clips from four groups, two of which hold cries:

    >>> labels = np.array([1, 1, 0, 0, 1, 0], dtype=bool)
    >>> scores = np.array([0.9, 0.8, 0.2, 0.1, 0.6, 0.3])
    >>> bootstrap = GroupBootstrap(groups=["a", "a", "b", "b", "c", "d"], labels=labels)
    >>> def mean(weights):
    ...     return (weights @ scores / weights.sum(axis=1))[:, None]
    >>> print(bootstrap.run(mean)[0].estimate().text("{:.2f}"))
    0.48 [0.30, 0.67]
    """

    def __init__(
        self,
        *,
        groups: Sequence[str],
        labels: npt.ArrayLike,
        replicates: int = REPLICATES,
        seed: int = 0,
    ) -> None:
        label = np.asarray(labels, dtype=bool)
        if len(groups) != len(label) or len(label) == 0:
            raise ValueError(f"{len(groups)} groups for {len(label)} labels")
        if replicates < 1:
            raise ValueError(f"{replicates} replicates; at least 1 is needed")
        names, self._group_of_clip = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        has_cry = np.bincount(self._group_of_clip, weights=label, minlength=len(names)) > 0
        self.cry_groups, self.other_groups = int(has_cry.sum()), int((~has_cry).sum())
        self.replicates, self.seed = replicates, seed
        self._times_drawn = _draw(has_cry, replicates, np.random.default_rng(seed))

    def run(self, statistic: Statistic) -> list[Resampled]:
        """Compute a statistic's m numbers on the data and on every resample.

        A stratum of only one group cannot be resampled; treating it as fixed would claim certainty,
        so all numbers are then returned without an interval.
        """
        clips = len(self._group_of_clip)
        values = statistic(np.ones((1, clips), dtype=np.int64))[0]
        replicates = np.full((self.replicates, len(values)), np.nan)
        if 1 not in (self.cry_groups, self.other_groups):
            rows = max(1, _BLOCK // clips)
            for start in range(0, self.replicates, rows):
                drawn = self._times_drawn[start : start + rows]
                weights = drawn[:, self._group_of_clip].astype(np.int64)
                replicates[start : start + rows] = statistic(weights)
        return [
            Resampled(float(value), column)
            for value, column in zip(values, replicates.T, strict=True)
        ]


def mean_estimate(
    values: Sequence[float], *, groups: Sequence[str], replicates: int = REPLICATES, seed: int = 0
) -> Estimate:
    """Mean of some values, with an interval from resampling their groups.

    Raises
    ------
    ValueError
        if there are no values, or not one group per value.
    """
    numbers = np.asarray(values, dtype=np.float64)

    def mean(weights: Weights) -> Floats:
        return np.asarray((weights @ numbers / weights.sum(axis=1))[:, None])

    bootstrap = GroupBootstrap(
        groups=groups, labels=np.ones(len(numbers)), replicates=replicates, seed=seed
    )
    return bootstrap.run(mean)[0].estimate()


def _draw(
    has_cry: npt.NDArray[np.bool_], replicates: int, rng: np.random.Generator
) -> npt.NDArray[np.int32]:
    """Number of times each group is drawn in each resample, `[replicates, groups]`."""
    times = np.zeros((replicates, len(has_cry)), dtype=np.int32)
    for stratum in (has_cry, ~has_cry):
        members = int(stratum.sum())
        if members:
            uniform = np.full(members, 1 / members)
            times[:, stratum] = rng.multinomial(members, uniform, size=replicates)
    return times
