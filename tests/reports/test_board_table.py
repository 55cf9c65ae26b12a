import json
from pathlib import Path

import pytest

from crydistill.errors import ConfigError
from crydistill.reports.board_table import boards_table


@pytest.fixture
def records(tmp_path: Path) -> Path:
    boards = [
        {
            "board": name, "verdict": "fits", "window_ms": {"low": 83.9, "high": 167.7},
            "load": {"low": 0.175, "high": 0.349}, "ram_left_bytes": 471_024,
            "flash_left_bytes": 8_258_919,
        }
        for name in ("A", "B", "C")
    ]  # fmt: skip
    (tmp_path / "profile.json").write_text(json.dumps({"boards": boards}))
    return tmp_path


def test_the_wanted_boards_have_a_row_each(records: Path) -> None:
    head, _, *rows = boards_table(["profile", "C", "A"], records).splitlines()
    assert head == (
        "| board | verdict | ms a window | of one core | RAM left, KB | flash left, KB |"
    )
    assert rows == [
        f"| {name} | fits | 84 to 168 | 18% to 35% | 460 | 8,065 |" for name in ("C", "A")
    ]


def test_a_board_that_is_not_recorded_is_named(records: Path) -> None:
    with pytest.raises(ConfigError, match=r"profile\.json: no board D; there are A, B, C"):
        boards_table(["profile", "D"], records)
