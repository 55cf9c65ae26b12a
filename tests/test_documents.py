"""What the documents promise."""

import re
from pathlib import Path

import yaml

from crydistill.experiment import ExperimentConfig

DOCS = Path(__file__).parents[1] / "docs"


def test_the_configuration_document_lists_every_key_with_its_default() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    stated = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    corpus = {"path": "x"}
    stated["data"]["train"] = stated["data"]["test"] = [corpus]
    defaults = ExperimentConfig.model_validate({"data": {"train": [corpus], "test": [corpus]}})
    expected = defaults.model_dump(mode="json")
    expected["data"]["train"] = expected["data"]["test"] = [corpus]
    assert stated == expected
