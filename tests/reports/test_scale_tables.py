import json
from pathlib import Path

import pytest

from crydistill.errors import ConfigError
from crydistill.reports.scale_tables import read_scale, scale_table


def test_one_row_for_each_thing_done(tmp_path: Path) -> None:
    row = {"what": "list", "seconds": 1234.56, "processor_seconds": 7, "own_gb": None}
    record = {"rows": [row], "machine": "2 processors", "git_commit": "0123456789abcdef"}
    (tmp_path / "a.json").write_text(json.dumps(record))
    text = scale_table(read_scale(tmp_path / "a.json"))
    assert "| list | 1,234.6 | 7.0 | – |" in text
    assert text.endswith("2 processors; commit 0123456789.")


def test_without_a_record_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="corpora_scale"):
        read_scale(tmp_path / "none.json")
