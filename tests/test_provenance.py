import subprocess
from pathlib import Path

import numpy as np
import pytest

from crydistill import __version__
from crydistill.provenance import git_commit, made_by, versions


def test_a_record_says_what_made_it_and_how() -> None:
    made = made_by(seed=3, kernels="reference")
    assert made == {
        "git_commit": git_commit(), "versions": versions(), "seed": 3, "kernels": "reference",
    }  # fmt: skip
    assert made["versions"]["crydistill"] == __version__
    assert made["versions"]["numpy"] == np.__version__


def test_the_commit_is_the_checkouts() -> None:
    here = Path(__file__).parent
    found = subprocess.run(
        ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        pytest.skip("the tests do not run from a checkout")
    commit = git_commit()
    assert commit is not None and commit.removesuffix("-dirty") == found.stdout.strip()
