"""95 % intervals by resampling groups: how far a number would move with other recordings.

Clips of one group (one child, one phone, one long recording) resemble each other, so groups are
drawn with replacement and each brings all its clips. Groups that hold a cry and groups that hold
none are drawn apart, so that every resample has as many of each as the data. A resample is a whole
number of times each clip counts; all models are judged on the same resamples, and the difference of
two models is taken within each of them.

The intervals know about the choice of recordings only, not about training seeds or wrong labels.

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
"""How often each clip counts in each resample, `[rows, clips]`."""

Statistic = Callable[[Weights], Floats]
"""Computes m numbers for each row of weights: `[rows, clips]` to `[rows, m]`."""

NOTHING = "–"
"""What stands where there is no number."""

SIGNED = "{:+.3f}"
"""How differences are written."""

_MAX_UNDEFINED = 0.05
"""With more than this share of resamples in which a number is undefined it gets no interval."""

_BLOCK = 500_000
"""Weights in work at once: 4 MB, which stays in the processor's cache better than all of them."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; NaN where undefined (see `Resampled.estimate`)."""

    value: float
    low: float
    high: float

    def text(self, form: str = "{:.3f}") -> str:
        """Write it, with its interval where it has one: "0.981 [0.972, 0.989]"."""
        value, low, high = (form.format(part) for part in (self.value, self.low, self.high))
        if np.isnan(self.value):
            return NOTHING
        return value if np.isnan(self.low) else f"{value} [{low}, {high}]"

    def __str__(self) -> str:
        return self.text()


UNDEFINED = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Resampled:
    """A number on the data (`value`) and on each resample (`replicates`, [replicates])."""

    value: float
    replicates: Floats

    def estimate(self) -> Estimate:
        """Percentile interval over the resamples in which the number is defined.

        A number that too many resamples leave undefined has no interval, nor has one that hardly
        any of them changes (no false alarm in 16 clips): that says the data cannot tell, while an
        interval of no width would say that there is no doubt.
        """
        defined = self.replicates[~np.isnan(self.replicates)]
        if len(defined) >= (1 - _MAX_UNDEFINED) * len(self.replicates):
            tail = (1 - LEVEL) / 2
            low, high = np.quantile(defined, [tail, 1 - tail])
            if low < high:
                return Estimate(self.value, float(low), float(high))
        return Estimate(self.value, np.nan, np.nan)

    def __sub__(self, other: "Resampled") -> "Resampled":
        """Paired difference; both must come from one `GroupBootstrap`."""
        return Resampled(self.value - other.value, self.replicates - other.replicates)


class GroupBootstrap:
    """Resamples of grouped clips, drawn once and shared by everything that is compared.

    Parameters
    ----------
    groups : group of each clip, [n]
    labels : true for cries, [n]; a group with any cry is drawn among the groups with cries
    replicates : number of resamples, at least 1
    seed : of the draw

    Raises
    ------
    ValueError
        if groups and labels differ in length or are empty, or replicates < 1.
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

        A kind of group of which there is only one cannot be resampled, and pretending otherwise
        would claim certainty: all numbers then come without an interval.
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
    """Mean of some values, with an interval by drawing their groups.

    Raises
    ------
    ValueError
        if there is no value, or not a group for each.
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
    """How often each group is drawn in each resample, `[replicates, groups]`."""
    times = np.zeros((replicates, len(has_cry)), dtype=np.int32)
    for kind in (has_cry, ~has_cry):
        members = int(kind.sum())
        if members:
            evenly = np.full(members, 1 / members)
            times[:, kind] = rng.multinomial(members, evenly, size=replicates)
    return times
