"""What the documents promise."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from crydistill.experiment.schema import ExperimentConfig
from crydistill.reports.documents import update_document
from crydistill.student.zoo import ARCHITECTURES

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
    # Left out of what is dumped at its default, so that former stores keep their keys.
    expected["data"]["augmentation"]["recorder"] = defaults.data.augmentation.recorder
    expected["scores"] = defaults.scores.model_dump(mode="json")
    expected["selection"]["shuffle_windows"] = defaults.selection.shuffle_windows
    expected["selection"]["judging"] = defaults.selection.judging.model_dump(mode="json")
    expected["student"]["memory"] = defaults.student.memory
    expected["training"]["precision"] = defaults.training.precision
    expected["training"]["colouring"] = defaults.training.colouring
    expected["training"]["memory"] = defaults.training.memory.model_dump(mode="json")
    assert stated == expected


def test_the_configuration_document_names_every_choice() -> None:
    """Values that a key may take, and architectures, which are a table of the student zoo."""
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for choice in (*choices(ExperimentConfig), *ARCHITECTURES):
        assert re.search(rf"\b{choice}\b", text), choice


def choices(section: type[BaseModel]) -> Iterator[str]:
    """Every value of a `Literal`, of a section and those below it."""
    for field in section.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            if get_origin(kind) is Literal:
                yield from get_args(kind)
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from choices(kind)


@pytest.mark.parametrize(
    "document",
    ["README.md", *(str(p.relative_to(ROOT)) for p in DOCS.rglob("*.md"))],
)
def test_tables_are_those_of_the_recorded_runs(document: str, tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    shutil.copyfile(ROOT / document, copy)
    assert not update_document(copy, DOCS / "experiments" / "results")
