"""The documents as they lie in the repository: what they name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITH_TEXT = (".c", ".h", ".md", ".py", ".txt", ".yaml", ".yml")
PLACES = ("configs", "benchmarks", "docs", "examples", "firmware", "integrations", "src", "tests")
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *ROOT.glob("*.md"),
        *(path for place in PLACES for path in (ROOT / place).rglob("*.md")),
    )
)


def test_documents_that_are_named_anywhere_exist() -> None:
    files = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in WITH_TEXT]
    for place in PLACES:
        files += [path for path in (ROOT / place).rglob("*") if path.suffix in WITH_TEXT]
    lost = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in re.findall(r"\bdocs/[\w./-]*\.md\b", path.read_text(encoding="utf-8"))
        if not (ROOT / name).is_file()
    }
    assert not lost


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_files_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for link in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize(
    "document", [name for name in DOCUMENTS if not name.startswith("docs/experiments/")]
)
def test_this_projects_own_recordings_are_named_as_those_behind_published_figures(
    document: str,
) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for section in re.split(r"^#+ ", text, flags=re.MULTILINE):
        if "../shared" in section:
            assert "published figures were made" in section
