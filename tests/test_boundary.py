from pathlib import Path

import pytest

from crydistill.boundary import require_outside_work_tree, work_tree_of
from crydistill.errors import CorpusError


def test_inside_and_outside(tmp_path: Path) -> None:
    tree = tmp_path / "project"
    (tree / ".git").mkdir(parents=True)
    assert work_tree_of(tree) == tree.resolve()
    assert work_tree_of(tree / "not" / "yet" / "made") == tree.resolve()
    assert work_tree_of(tmp_path / "elsewhere") is None


def test_linked_work_trees_count(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /elsewhere\n")
    assert work_tree_of(tmp_path / "a") == tmp_path.resolve()


def test_a_link_into_a_work_tree_is_inside(tmp_path: Path) -> None:
    tree = tmp_path / "project"
    (tree / ".git").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tree, target_is_directory=True)
    with pytest.raises(CorpusError, match="the scores must not lie in a git work tree"):
        require_outside_work_tree(tmp_path / "link" / "scores.json", "the scores")
    require_outside_work_tree(tmp_path / "scores.json", "the scores")
