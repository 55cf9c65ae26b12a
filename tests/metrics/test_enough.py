"""When a set of recordings is too small for a figure."""

import pytest

from crydistill.metrics.enough import clips_missing, cries_missing, hours_missing


@pytest.mark.parametrize(
    ("cries", "groups", "enough"), [(20, 10, True), (19, 19, False), (200, 9, False)]
)
def test_a_recall_needs_cries_of_several_groups(cries: int, groups: int, enough: bool) -> None:
    assert (cries_missing(cries, groups) == "") == enough


def test_a_rate_needs_an_hour() -> None:
    assert hours_missing(1.0) == ""
    assert hours_missing(0.996) == "0.99 h without a cry where 1 h is needed"


def test_a_comparison_needs_groups_of_both_kinds() -> None:
    assert clips_missing(20, 10, 10) == ""
    assert clips_missing(20, 10, 9) == "9 groups without a cry where 10 are needed"
    assert clips_missing(3, 2, 1) == (
        "3 cries of 2 groups where 20 of 10 are needed; 1 group without a cry where 10 are needed"
    )
