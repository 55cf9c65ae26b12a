"""How often something happens in a length of time, and how sure a count can make of it.

Source: Garwood, "Fiducial limits for the Poisson distribution" (1936), for the exact interval;
Hanley and Lippman-Hand, "If nothing goes wrong, is everything all right?" (1983), for the rule of
three.
"""

from scipy.special import gammaincinv

from crydistill.metrics.intervals import LEVEL, Estimate

HOURS_PER_NIGHT = 8.0

RULE_OF_THREE = 3.0
"""Nothing in H hours rules out, with 95 %, more than 3 / H an hour."""


def poisson_interval(count: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact interval for the expectation of a Poisson count.

    Raises
    ------
    ValueError
        if the count is negative or the level not between 0 and 1.
    """
    if count < 0 or not 0 < level < 1:
        raise ValueError(f"{count=}, {level=}")
    tail = (1 - level) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return low, float(gammaincinv(count + 1, 1 - tail))


def rate(count: int, time: float) -> Estimate:
    """Events per unit of `time`, with an exact 95 % interval; undefined for no time."""
    if time <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    low, high = poisson_interval(count)
    return Estimate(count / time, low / time, high / time)
