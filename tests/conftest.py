"""Fixtures shared by several test packages."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from crydistill import processes

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Tests must not depend on the machine's speed or load.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of real audio, teacher weights and metadata next to the repository."""
    if not (_SHARED / "audio" / "clips.csv").is_file():
        pytest.skip("needs ../shared (real audio and teacher weights), which is not here")
    return _SHARED


@pytest.fixture(scope="session", autouse=True)
def usual_priority() -> Iterator[None]:
    """A command that lowers its own priority would lower that of all tests after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "give_way", lambda: None)
        yield
