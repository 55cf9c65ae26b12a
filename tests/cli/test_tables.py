import json
from pathlib import Path

import pytest
from tests.evaluation.made_up import run_metrics
from typer.testing import CliRunner, Result

from crydistill.cli import app
from crydistill.errors import ConfigError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["tables", *map(str, arguments)])


def test_records_become_a_table_and_a_picture(tmp_path: Path) -> None:
    records, made, page = tmp_path / "records", tmp_path / "run", tmp_path / "page.md"
    made.mkdir()
    (made / "metrics.json").write_text(json.dumps(run_metrics(0.9)))
    page.write_text("<!-- zoo: mine -->\n<!-- end -->\n")
    for seed in (0, 1):
        assert run("add", made, f"mine-seed{seed}", "--records", records).exit_code == 0
    assert f"{page}: updated" in run("update", page, "--records", records).stdout
    assert "| mine | 2 |" in page.read_text()
    assert f"{page}: up to date" in run("update", page, "--records", records).stdout
    drawn = run("pareto", "mine", "--records", records, "--out", tmp_path / "pareto.png")
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["", ".", "../outside", "a/b", "two words", "-x", "a\nb"])
def test_a_name_that_a_document_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    records, made = tmp_path / "records", tmp_path / "run"
    made.mkdir()
    (made / "metrics.json").write_text(json.dumps(run_metrics(0.9)))
    for words in (("add", made), ("compare", "--ours", made, "--against", made)):
        done = run(*words, "--records", records, "--", name)
        assert isinstance(done.exception, ConfigError)
        assert "use letters, digits" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
