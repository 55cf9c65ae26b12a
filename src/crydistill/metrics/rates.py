"""Estimate the rate of events in time, with an exact Poisson confidence interval.

Source: Garwood, "Fiducial limits for the Poisson distribution" (1936), for the exact interval;
Hanley and Lippman-Hand, "If nothing goes wrong, is everything all right?" (1983), for the rule of
three.
"""

from scipy.special import gammaincinv

from crydistill.metrics.intervals import LEVEL, Estimate

HOURS_PER_NIGHT = 8.0

RULE_OF_THREE = 3.0
"""No event in H hours rules out a rate above 3 / H per hour, at 95 % confidence."""


def poisson_interval(count: float, level: float = LEVEL) -> tuple[float, float]:
    """Exact confidence interval for the mean of a Poisson count.

    Between whole counts, as the mean of several counts of the same events, it is interpolated.

    Raises
    ------
    ValueError
        if the count is negative or the level is not between 0 and 1.
    """
    if count < 0 or not 0 < level < 1:
        raise ValueError(f"{count=} must not be negative, and 0 < level < 1: {level=}")
    tail = (1 - level) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return low, float(gammaincinv(count + 1, 1 - tail))


def rate(count: float, time: float) -> Estimate:
    """Events per unit of `time`, with an exact 95 % confidence interval; NaN if `time` <= 0.

    Examples
    --------
    Three false alarms in 24 hours, and none in 24 hours:

    >>> print(rate(3, 24.0), rate(0, 24.0))
    0.125 [0.026, 0.365] 0.000 [0.000, 0.154]
    """
    if time <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    low, high = poisson_interval(count)
    return Estimate(count / time, low / time, high / time)
