"""The version is written in `crydistill/__init__.py`; files that must repeat it agree."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from crydistill import __version__

ROOT = Path(__file__).parents[1]


def test_the_command_line_tells_it() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "crydistill", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"crydistill {__version__}\n"


def test_the_package_is_built_with_it() -> None:
    pytest.importorskip("hatchling", reason="needs the build backend")
    result = subprocess.run(
        [sys.executable, "-m", "hatchling", "version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert result.stdout.strip() == __version__


def test_the_citation_and_the_changelog_have_it_with_one_date() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    latest = re.search(r"^## (\d\S+) - (\S+)$", changelog, re.MULTILINE)
    assert latest
    assert (citation["version"], str(citation["date-released"])) == latest.groups()
    assert citation["version"] == __version__


@pytest.mark.parametrize("component", ["crydistill", "crydistill_tflm"])
def test_the_esp_idf_components_have_it(component: str) -> None:
    path = ROOT / "firmware" / "esp-idf" / component / "idf_component.yml"
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["version"] == __version__
