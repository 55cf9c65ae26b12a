import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.evaluation.made_up import run_metrics

from crydistill.errors import ConfigError
from crydistill.reports.student_tables import front, picture, read_zoo, zoo_table

few = st.integers(0, 6)


@given(st.lists(st.tuples(few, few), min_size=1, max_size=12))
def test_the_front_is_what_nothing_beats(points: list[tuple[float, float]]) -> None:
    def beaten(number: int) -> bool:
        cost, worth = points[number]
        return any(
            c <= cost and w >= worth and ((c, w) != (cost, worth) or other < number)
            for other, (c, w) in enumerate(points)
            if other != number
        )

    found = front(points)
    assert sorted(found) == [number for number in range(len(points)) if not beaten(number)]
    assert [points[number][0] for number in found] == sorted(points[n][0] for n in found)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A small student of two seeds, a large one that is better, and a larger one that is worse."""
    for name, auc, size, macs in (
        ("small-seed0", 0.8, 30_000, 500_000),
        ("small-seed1", 0.9, 30_000, 500_000),
        ("large", 0.95, 90_000, None),
        ("larger", 0.7, 100_000, 2_000_000),
    ):
        record = run_metrics(auc)
        record["provenance"]["student"]["size_bytes"] = size
        if macs:
            record["provenance"] |= {"macs": macs, "parameters": size // 2}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    return tmp_path


def test_costs_and_scores_side_by_side(records: Path) -> None:
    text = zoo_table(["larger", "large", "small"], records)
    small = "0.850 ± 0.071"
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert rows == [
        f"| small | 2 | 15,000 | 30,000 | 43,168 | 500,000 | {small} | {small} | {small} |",
        "| large | 1 | – | 90,000 | 43,168 | – | 0.950 | 0.950 | 0.950 |",
        "| larger | 1 | 50,000 | 100,000 | 43,168 | 2,000,000 | 0.700 | 0.700 | 0.700 |",
    ]
    assert "average precision: small, large. Arena" in text


@pytest.mark.parametrize("names", [["small", "large", "larger"], ["large"]])
def test_the_picture(records: Path, names: list[str]) -> None:
    picture(read_zoo(names, records), records / "pareto.png")
    with Image.open(records / "pareto.png") as image:
        pixels = image.convert("RGB").getcolors(maxcolors=2**20)
    assert pixels is not None and len(pixels) > 20
    picture(read_zoo(names, records), records / "pareto.svg")
    svg = (records / "pareto.svg").read_text()
    assert all(f"<!-- {name} -->" in svg for name in [*names, "teacher"])


def test_what_is_not_recorded_is_named(records: Path) -> None:
    with pytest.raises(ConfigError, match=r"huge\.json"):
        zoo_table(["huge"], records)
