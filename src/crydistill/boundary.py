"""Where private material may lie: outside every git work tree."""

from pathlib import Path

from crydistill.errors import CorpusError


def work_tree_of(path: str | Path) -> Path | None:
    """The git work tree that a path (there or yet to be made) lies in, None outside of any."""
    resolved = Path(path).resolve()
    for folder in (resolved, *resolved.parents):
        # A linked work tree and a submodule have a file named .git instead of the directory.
        if (folder / ".git").exists():
            return folder
    return None


def require_outside_work_tree(path: str | Path, what: str) -> None:
    """Refuse to keep private material where a commit could catch it.

    Raises
    ------
    CorpusError
        if `path` lies in a git work tree, ignored or not.
    """
    tree = work_tree_of(path)
    if tree is not None:
        raise CorpusError(
            f"{path}: {what} must not lie in a git work tree ({tree}); choose a place outside it"
        )
