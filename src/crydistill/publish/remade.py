"""Check files of a bundle against what they must be: made again, and compared."""

from collections.abc import Mapping
from pathlib import Path

from crydistill.errors import CheckFailed, ModelError


def require_same(directory: str | Path, made: Mapping[str, bytes], otherwise: str) -> None:
    """Compare files with what was made again; of a larger one no more is read than needed.

    Parameters
    ----------
    made : contents by name
    otherwise : what it means that a file differs

    Raises
    ------
    CheckFailed
        naming the first file that differs.
    ModelError
        if a file is missing.
    """
    for name, content in made.items():
        path = Path(directory) / name
        try:
            with path.open("rb") as file:
                found = file.read(len(content) + 1)
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror}); bundle again") from error
        if found != content:
            raise CheckFailed(f"{path}: {otherwise}")
