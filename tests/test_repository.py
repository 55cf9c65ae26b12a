"""What a visitor finds at the top of the repository, and what its host reads there."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from crydistill.cli import app

ROOT = Path(__file__).parents[1]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def code_in(text: str) -> list[str]:
    """What stands in single backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def test_files_that_the_guide_names_are_there() -> None:
    paths = [code for code in code_in(GUIDE) if re.fullmatch(r"[\w./]+\.(py|md|c|h|sh|cff)", code)]
    assert len(paths) > 30
    for path in paths:
        assert any((folder / path).exists() for folder in (ROOT, ROOT / "src/crydistill")), path


def test_tests_that_the_guide_names_are_there() -> None:
    names = [code for code in code_in(GUIDE) if "::" in code]
    assert len(names) > 8
    for path, name in (each.split("::") for each in names):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"\b(def|class) {name}\b", text), name


def test_the_workflow_runs_the_gate_and_every_supported_python() -> None:
    jobs = read(WORKFLOW)["jobs"]
    commands = {
        name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()
    }
    assert ".ci/run" in commands["gate"]
    (make,) = commands["fast"]
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert set(make.split()[1:]) <= set(targets)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    supported = [kind.split()[-1] for kind in project["classifiers"] if ":: 3." in kind]
    assert jobs["fast"]["strategy"]["matrix"]["python"] == supported


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_a_form_can_be_filled_in(form: Path) -> None:
    content = read(form)
    assert {"name", "description", "body"} <= content.keys()
    ids = [part["id"] for part in content["body"] if part["type"] != "markdown"]
    assert len(set(ids)) == len(ids) > 0


def test_a_false_alarm_is_reported_by_its_scores_not_by_its_sound() -> None:
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / "detection.yml").read_text(encoding="utf-8")
    assert "Do not attach recordings" in text
    assert "`crydistill detect --json FILE`" in text
    assert "--json" in CliRunner().invoke(app, ["detect", "--help"]).output
