"""Fixtures that more than one room uses."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of real audio, teacher weights and metadata that lies beside the project."""
    if not (_SHARED / "audio" / "clips.csv").is_file():
        pytest.skip("needs ../shared (real audio and teacher weights), which is not here")
    return _SHARED
