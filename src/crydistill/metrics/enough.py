"""Minimum sample sizes below which metrics are not reported.

A recall from five cries or a rate from ten minutes is a number with decimals and no content: one
more recording could turn it over. Below these minima, pages, cards and tables say `TOO_LITTLE`
and what there was, instead of the figure. The records (`metrics.json`, `night.json`) hold it still.
"""

MIN_CRIES = 20
"""Cry clips, or episodes of crying, that a recall is measured on: each weighs at most 5 %."""

MIN_GROUPS = 10
"""Groups (people, households, source recordings) of either kind. Intervals resample groups, and
with fewer than about ten of them are too narrow (Cameron, Gelbach and Miller, "Bootstrap-based
improvements for inference with clustered errors", 2008)."""

MIN_HOURS = 1.0
"""Audio without a cry, in hours, that false alarms are counted in. No alarm in an hour still allows
a rate of three per hour (`rates.RULE_OF_THREE`)."""

TOO_LITTLE = "too little to tell"


def cries_missing(cries: int, groups: int) -> str:
    """Say why a recall cannot be told from so many cries of so many groups; empty if it can.

    Examples
    --------
    >>> cries_missing(7, 3)
    '7 cries of 3 groups where 20 of 10 are needed'
    >>> cries_missing(20, 10)
    ''
    """
    if cries >= MIN_CRIES and groups >= MIN_GROUPS:
        return ""
    found = f"{_count(cries, 'cries')} of {_count(groups, 'groups')}"
    return f"{found} where {MIN_CRIES} of {MIN_GROUPS} are needed"


def hours_missing(hours: float) -> str:
    """Say why a rate of false alarms cannot be told from so many hours; empty if it can.

    Examples
    --------
    >>> hours_missing(0.25)
    '0.25 h without a cry where 1 h is needed'
    """
    if hours >= MIN_HOURS:
        return ""
    # Not rounded up to the hour that is missing.
    return f"{min(hours, MIN_HOURS - 0.01):.2f} h without a cry where {MIN_HOURS:g} h is needed"


def clips_missing(cries: int, cry_groups: int, other_groups: int) -> str:
    """Say why models cannot be compared on such clips; empty if they can.

    Examples
    --------
    >>> clips_missing(25, 12, 4)
    '4 groups without a cry where 10 are needed'
    """
    reasons = [cries_missing(cries, cry_groups)]
    if other_groups < MIN_GROUPS:
        reasons.append(
            f"{_count(other_groups, 'groups')} without a cry where {MIN_GROUPS} are needed"
        )
    return "; ".join(filter(None, reasons))


def _count(number: int, what: str) -> str:
    singular = {"cries": "cry", "groups": "group"}
    return f"{number} {singular[what] if number == 1 else what}"
