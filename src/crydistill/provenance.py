"""Provenance of artefacts: git commit and library versions."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from crydistill import __version__

_LIBRARIES = (
    "numpy", "scipy", "soundfile", "soxr", "keras", "tensorflow", "tensorflow-cpu",
    "ai-edge-litert", "tflite-micro",
)  # fmt: skip


def made_by(**settings: Any) -> dict[str, Any]:
    """Return the provenance stored with an artefact: commit, versions and the given settings."""
    return {"git_commit": git_commit(), "versions": versions(), **settings}


def versions() -> dict[str, str]:
    """Return the versions of this package, Python and the libraries that affect results."""
    found = {"crydistill": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Return the commit of the checkout this package runs from, plus "-dirty" if modified.

    None if the package does not run from its own checkout.
    """
    here = Path(__file__).parent
    if _git(here, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    commit = _git(here, "rev-parse", "HEAD")
    return f"{commit}-dirty" if commit and _git(here, "status", "--porcelain", ".") else commit


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
