"""Marked blocks in documents."""

from pathlib import Path

import pytest

from crydistill.errors import ConfigError
from crydistill.reports.blocks import replace_blocks

DOCUMENT = """Before.
<!-- names: one two -->
old
<!-- end -->
Between.
<!-- count: three -->
<!-- end -->
<!-- other: four -->
kept
<!-- end -->
"""
RENDERS = {"names": " and ".join, "count": lambda names: f"{len(names)}"}


def test_blocks_are_replaced_and_others_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "document.md"
    path.write_text(DOCUMENT, encoding="utf-8")
    assert replace_blocks(path, RENDERS)
    assert path.read_text(encoding="utf-8") == (
        "Before.\n<!-- names: one two -->\none and two\n<!-- end -->\nBetween.\n"
        "<!-- count: three -->\n1\n<!-- end -->\n<!-- other: four -->\nkept\n<!-- end -->\n"
    )
    assert not replace_blocks(path, RENDERS)


def test_a_block_that_cannot_be_made_leaves_the_document(tmp_path: Path) -> None:
    path = tmp_path / "document.md"
    path.write_text(DOCUMENT, encoding="utf-8")

    def missing(names: object) -> str:
        raise ConfigError("three.json: cannot be read")

    with pytest.raises(ConfigError):
        replace_blocks(path, {**RENDERS, "count": missing})
    assert path.read_text(encoding="utf-8") == DOCUMENT


@pytest.mark.parametrize("after", ["", "<!-- names: three -->\n<!-- end -->\n"])
def test_a_block_without_an_end_does_not_take_what_follows(tmp_path: Path, after: str) -> None:
    path = tmp_path / "document.md"
    text = f"Before.\n<!-- count: one two -->\nThe author's own text.\n{after}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"document\.md:2: the block 'count: one two' has no end"):
        replace_blocks(path, RENDERS)
    assert path.read_text(encoding="utf-8") == text


def test_a_document_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "document.md"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"document\.md: not UTF-8 text"):
        replace_blocks(path, RENDERS)
