"""Keep private data outside git work trees."""

from pathlib import Path

from crydistill.errors import CorpusError


def work_tree_of(path: str | Path) -> Path | None:
    """Return the git work tree that contains a path (existing or not), None if there is none."""
    resolved = Path(path).resolve()
    for folder in (resolved, *resolved.parents):
        # A linked work tree and a submodule have a file named .git instead of the directory.
        if (folder / ".git").exists():
            return folder
    return None


def require_outside_work_tree(path: str | Path, what: str) -> None:
    """Refuse a location from which private data could be committed.

    Parameters
    ----------
    what : the data, for the error message ("private captures")

    Raises
    ------
    CorpusError
        if `path` is inside a git work tree, even if git ignores it.
    """
    tree = work_tree_of(path)
    if tree is not None:
        raise CorpusError(
            f"{path}: {what} must not lie in a git work tree ({tree}); choose a folder outside it"
        )
