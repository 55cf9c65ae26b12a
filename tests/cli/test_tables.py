import json
from pathlib import Path

from tests.evaluation.made_up import run_metrics
from typer.testing import CliRunner, Result

from crydistill.cli import app


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
