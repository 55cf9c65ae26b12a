"""`--seeds`: every seed in a process of its own, and what becomes of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from rich.console import Console

from crydistill.cli.seeds import LOG_NAME, parse_seeds
from crydistill.reports.run_tables import over_seeds
from crydistill.reports.seeds_table import evaluated, seeds_table, trained

DRIVER = """
import sys
from pathlib import Path
from crydistill.cli import common, seeds

class Plan(seeds._Plan):
    def _words(self, verb, seed):
        return [sys.executable, "-c", sys.argv[2], str(self.directory(seed)), str(seed)]

with common.resumable():
    print(Plan("run", None, [], Path(sys.argv[1]), "x", int(sys.argv[3])).run([0, 1, 2]))
"""

SLEEPER = """
import os, sys, time
from pathlib import Path
(Path(sys.argv[1]) / "pid").write_text(str(os.getpid()))
time.sleep(600)
"""

WORKER = """
import sys
print("working on", sys.argv[2], flush=True)
if sys.argv[2] == "1":
    sys.exit("seed 1 cannot")
"""


def driver(folder: Path, program: str, jobs: int = 3) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder), program, str(jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(is_true: Callable[[], bool], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0..4", [0, 1, 2, 3, 4]), ("3", [0, 1, 2]), ("3..3", [3]), ("0, 2,1..2", [0, 2, 1])],
)
def test_ranges_and_lists_of_seeds(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "4..0", "a", "-1", "0..", "1.5", "0..99999999"])
def test_what_is_no_list_of_seeds(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"0\.\.4"):
        parse_seeds(text)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_seed_that_fails_does_not_take_the_others_along(tmp_path: Path, jobs: int) -> None:
    process = driver(tmp_path, WORKER, jobs)
    out, error = process.communicate(timeout=240)
    assert process.returncode == 0, error
    codes = {int(k): int(v) for k, v in (pair.split(":") for pair in out.strip()[1:-1].split(","))}
    assert codes == {0: 0, 1: 1, 2: 0}
    assert "seed 1 cannot" in (tmp_path / "x-seed1" / LOG_NAME).read_text()
    assert (tmp_path / "x-seed2" / LOG_NAME).read_text() == "working on 2\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_seeds(tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = driver(tmp_path, SLEEPER)
    places = [tmp_path / f"x-seed{seed}" / "pid" for seed in range(3)]
    wait_until(lambda: all(place.is_file() and place.read_text() for place in places))
    process.send_signal(number)
    _, error = process.communicate(timeout=240)
    assert process.returncode == code
    assert error.endswith("crydistill: interrupted; run the same command again to resume\n")
    assert not any(is_alive(int(place.read_text())) for place in places)


def test_the_interval_is_students() -> None:
    """Mean 3, standard deviation 1.5811, and 2.776 for four degrees of freedom."""
    found = over_seeds([1, 2, 3, 4, 5])
    assert found.value == 3
    assert found.high - 3 == pytest.approx(2.7764 * 1.5811 / 5**0.5, rel=1e-3)
    assert found.high - 3 == pytest.approx(3 - found.low)


def test_the_table_has_what_all_seeds_have(tmp_path: Path) -> None:
    keys = (
        "roc_auc", "average_precision", "recall_at_fpr_1pct", "recall_at_fpr_0.1pct",
        "f1_at_validation", "recall_at_validation",
    )  # fmt: skip
    runs = []
    for seed, value in enumerate((0.7, 0.8, 0.9)):
        metrics = {key: {"value": value, "low": None, "high": None} for key in keys}
        metrics["roc_auc"]["value"] = None if seed == 1 else 0.5
        runs.append(tmp_path / f"x-seed{seed}")
        runs[-1].mkdir()
        model = {"clip_scores": {"mean": {"metrics": metrics}}}
        (runs[-1] / "metrics.json").write_text(json.dumps({"models": {"student INT8": model}}))
    console = Console(width=100, record=True)
    console.print(seeds_table(runs, evaluated))
    text = console.export_text()
    assert "3 seeds" in text
    assert "0.800 [0.552, 1.048]" in text
    assert "ROC AUC" not in text


@pytest.mark.slow
def test_seeds_of_a_training_share_the_scores(tmp_path: Path) -> None:
    """One of three is broken; the others train, and the same command then resumes."""
    words = [sys.executable, "-m", "crydistill"]
    options = ["--set", "training.epochs=1", "--set", "name=try"]

    def run(verb: str, *more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*words, verb, *options, *more], cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    assert run("score").returncode == 0
    broken = tmp_path / "runs" / "try-seed1" / "stages.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    first = run("train", "--seeds", "0..2", "--jobs", "2")
    assert first.returncode == 1, first.stderr
    assert "seed 1 failed (exit code 2)" in first.stderr
    assert "2 seeds" in first.stdout
    assert "Average precision" in first.stdout
    students = [tmp_path / "runs" / f"try-seed{seed}" / "student.keras" for seed in (0, 2)]
    made = [path.stat().st_mtime_ns for path in students]
    broken.unlink()
    again = run("train", "--seeds", "0..2")
    assert again.returncode == 0, again.stderr
    assert "3 seeds" in again.stdout
    assert [path.stat().st_mtime_ns for path in students] == made
    assert len(list((tmp_path / "stores").glob("nursery-0-*"))) == 1
    assert trained(tmp_path / "runs" / "try-seed0") != trained(tmp_path / "runs" / "try-seed2")
