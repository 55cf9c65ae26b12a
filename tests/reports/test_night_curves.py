from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.nights.nightly import scorer

from crydistill.reports.night_curves import Frame, lines_of
from crydistill.roles import Role

FRAME = Frame(left=50, right=250, top=10, bottom=110, least=0.1, most=10)


def test_the_scale_of_rates_is_logarithmic() -> None:
    assert [FRAME.across(rate) for rate in (0.1, 1.0, 10.0)] == pytest.approx([50, 150, 250])


def test_rates_beyond_the_frame_are_drawn_at_its_edges() -> None:
    assert FRAME.across(0.0) == pytest.approx(50)
    assert FRAME.across(1e6) == pytest.approx(250)


def test_all_caught_is_at_the_top() -> None:
    assert (FRAME.up(1.0), FRAME.up(0.0)) == (10, 110)


@pytest.mark.parametrize(
    ("roles", "lines"),
    [
        ([Role.TEACHER, Role.TEACHER, Role.INT8], [0, 1, 2]),
        ([Role.FP32, Role.INT8], [1, 2]),
        ([Role.INT8], [2]),
    ],
)
def test_students_without_a_teacher_look_as_in_the_report(
    roles: list[Role], lines: list[int]
) -> None:
    models = [SimpleNamespace(scorer=replace(scorer("ear"), role=role)) for role in roles]
    assert list(lines_of(SimpleNamespace(models=models))) == lines
