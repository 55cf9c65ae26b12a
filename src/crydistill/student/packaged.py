"""The student that comes with the package."""

from importlib.resources import files
from pathlib import Path


def packaged_student() -> Path:
    """Directory of the packaged `student.tflite` and `student.json`."""
    return Path(str(files("crydistill").joinpath("data/student")))
