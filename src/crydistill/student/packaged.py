"""Locate the student that ships with the package."""

from importlib.resources import files
from pathlib import Path


def packaged_student() -> Path:
    """Directory of the packaged `student.tflite` and `student.json`.

    Examples
    --------
    >>> sorted(path.name for path in packaged_student().iterdir())
    ['student.json', 'student.tflite']
    """
    return Path(str(files("crydistill").joinpath("data/student")))
