"""The part of a bundle that is a static Space on the hub: the web page, and what the hub reads."""

import json
from pathlib import Path

from crydistill.publish.remade import require_same
from crydistill.student.manifest import StudentManifest
from crydistill.web.page import page

PAGE_NAME = "index.html"
README_NAME = "README.md"


def space_files(tflite: bytes, manifest: StudentManifest, licence: str) -> dict[str, bytes]:
    """Contents of the Space's files by name.

    Parameters
    ----------
    licence : the student's, as an identifier of the hub

    Raises
    ------
    ModelError
        as `export_c`.
    """
    return {
        PAGE_NAME: page(tflite, manifest).encode(),
        README_NAME: _readme(manifest, licence).encode(),
    }


def check_space(
    directory: str | Path, tflite: bytes, manifest: StudentManifest, licence: str
) -> None:
    """Make the files again and compare.

    Raises
    ------
    CheckFailed
        naming the first file that differs.
    ModelError
        if a file is missing.
    """
    otherwise = "not that of this student, edited, or made by another release; bundle again"
    require_same(directory, space_files(tflite, manifest, licence), otherwise)


def _readme(manifest: StudentManifest, licence: str) -> str:
    title = f"Cry detector {manifest.name}"
    return (
        "---\n"
        f"title: {json.dumps(title)}\n"
        "emoji: 👶\n"
        "sdk: static\n"
        f"app_file: {PAGE_NAME}\n"
        f"license: {licence}\n"
        "---\n\n"
        f"# {title}\n\n"
        f"`{PAGE_NAME}` listens for a crying baby in a browser, with the student of the model "
        "repository that this folder comes from. The sound stays in the page, which uses no "
        "network. It is no safety device.\n"
    )
