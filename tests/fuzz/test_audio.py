"""A few seconds of mutated recordings, in processes of their own: a decoder may crash."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_recordings_are_read_or_refused(seed: int, tmp_path: Path) -> None:
    words = [str(tmp_path), "--seed", str(seed), "--round", "300"]
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-m", "tests.fuzz.fuzz_audio", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
