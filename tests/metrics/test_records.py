import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crydistill.json_file import read_json
from crydistill.metrics.intervals import UNDEFINED, Estimate
from crydistill.metrics.records import (
    commit_text,
    estimate_text,
    markdown_table,
    plain,
    plain_estimate,
    write_record,
)


@given(st.floats())
def test_numbers_have_six_digits_or_are_null(value: float) -> None:
    found = plain(value)
    assert (found is None) == (not math.isfinite(value))
    if found is not None:
        assert found == pytest.approx(value, rel=1e-5)
        assert found == plain(found)


def test_an_estimate_says_its_interval_where_it_has_one() -> None:
    whole = plain_estimate(Estimate(0.98123456, 0.5, 1.0))
    assert whole == {"value": 0.981235, "low": 0.5, "high": 1.0}
    assert estimate_text(whole) == "0.981 [0.500, 1.000]"
    assert estimate_text(whole, "{:+.1f}") == "+1.0 [+0.5, +1.0]"
    assert estimate_text(plain_estimate(Estimate(0.5, math.nan, math.nan))) == "0.500"
    assert estimate_text(plain_estimate(UNDEFINED)) == "–"


def test_records_come_back(tmp_path: Path) -> None:
    write_record(tmp_path / "sub" / "a.json", {"x": [1, None]})
    assert read_json(tmp_path / "sub" / "a.json", "make it") == {"x": [1, None]}


def test_a_table_of_words_and_numbers() -> None:
    assert markdown_table(["a", "b", "n"], [["x|y", "z", "1"]], text_columns=2) == (
        "| a | b | n |\n| --- | --- | ---: |\n| x/y | z | 1 |"
    )


@pytest.mark.parametrize(
    ("commit", "expected"),
    [("0123456789abcdef", "0123456789"), ("0123456789abcdef-dirty", "0123456789-dirty"),
     (None, "unknown")],
)  # fmt: skip
def test_commits_are_short(commit: str | None, expected: str) -> None:
    assert commit_text(json.loads(json.dumps({"git_commit": commit}))) == expected
    assert commit_text({}) == "unknown"
