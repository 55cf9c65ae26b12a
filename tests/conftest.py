"""Fixtures that more than one room uses."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# No test depends on how fast the machine is, nor on what else runs on it.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of real audio, teacher weights and metadata that lies beside the project."""
    if not (_SHARED / "audio" / "clips.csv").is_file():
        pytest.skip("needs ../shared (real audio and teacher weights), which is not here")
    return _SHARED
