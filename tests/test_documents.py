"""What the documents promise."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from crydistill.experiment.schema import ExperimentConfig
from crydistill.reports.documents import update_document

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_the_configuration_document_lists_every_key_with_its_default() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    stated = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    corpus = {"path": "x"}
    stated["data"]["train"] = stated["data"]["test"] = [corpus]
    defaults = ExperimentConfig.model_validate({"data": {"train": [corpus], "test": [corpus]}})
    expected = defaults.model_dump(mode="json")
    expected["data"]["train"] = expected["data"]["test"] = [corpus]
    assert stated == expected


@pytest.mark.parametrize(
    "document",
    ["README.md", *(str(p.relative_to(ROOT)) for p in DOCS.rglob("*.md"))],
)
def test_tables_are_those_of_the_recorded_runs(document: str, tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    shutil.copyfile(ROOT / document, copy)
    assert not update_document(copy, DOCS / "experiments" / "results")
