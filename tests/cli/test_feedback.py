"""`review` and `adapt` as processes, and an adapted student in every command that takes one."""

import json
import random
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.feedback.toys import cries, put, student, toy
from typer.testing import CliRunner

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.cli import app
from crydistill.detector.clip_folder import ClipLabel, kept_clips, read_labels
from crydistill.errors import ModelError
from crydistill.feedback.adapt import BEFORE_NAME
from crydistill.student.runtime import TfliteStudent

PROGRAM = [sys.executable, "-m", "crydistill"]
WAIT_SECONDS = 240

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for seed in range(2):
        put(folder, f"alert-{seed}.wav", toy(seed), ClipLabel.NOT_A_CRY)
    return folder


@pytest.fixture(scope="module")
def adapted(reviewed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("adapted") / "student"
    done = run("adapt", reviewed, "--out", out)
    assert done.exit_code == 0, done.output
    assert "changed: refit" in done.output
    assert "'not a cry' that raise an alert: 2 before, 0 after" in done.output
    assert f"crydistill adapt --undo {out}" in done.output
    return out


def alerts(recording: Path, *options: object) -> int:
    done = run("detect", recording, "--json", *options)
    assert done.exit_code == 0, done.output
    return len(json.loads(done.stdout)["alerts"])


def test_the_toy_is_silent_in_detect_and_cries_are_not(adapted: Path, tmp_path: Path) -> None:
    toy_file, cry_file = put(tmp_path, "toy.wav", toy(50)), put(tmp_path, "cry.wav", cries()[1])
    assert alerts(toy_file) == 1
    assert alerts(toy_file, "--model", adapted) == 0
    assert alerts(cry_file) == alerts(cry_file, "--model", adapted) == 1


def test_the_toy_is_silent_in_listen(adapted: Path, tmp_path: Path) -> None:
    recording = put(tmp_path, "toy.wav", toy(51))
    assert '"event": "on"' in run("listen", recording).stdout
    assert '"event": "on"' not in run("listen", recording, "--model", adapted).stdout


@pytest.mark.parametrize(("target", "made"), [("c", "student"), ("web", "listen.html")])
def test_an_adapted_student_is_exported(
    target: str, made: str, adapted: Path, tmp_path: Path
) -> None:
    out = tmp_path / made
    done = run("export", target, out, "--model", adapted)
    assert done.exit_code == 0, done.output
    assert out.exists()


def test_an_adapted_student_is_calibrated(adapted: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    evening = tmp_path / "evening.wav"
    soundfile.write(evening, rng.normal(0, 0.002, 700 * SAMPLE_RATE), SAMPLE_RATE)
    done = run("calibrate", evening, "--model", adapted, "--out", tmp_path / "room.json")
    assert done.exit_code == 0, done.output
    settings = json.loads((tmp_path / "room.json").read_text())
    assert settings["student_sha256"] == TfliteStudent.load(adapted).manifest.tflite.sha256


def test_it_is_undone(adapted: Path, reviewed: Path) -> None:
    done = run("adapt", "--undo", adapted)
    assert done.stdout == f"{adapted}: hears as before it was adapted\n"
    assert TfliteStudent.load(adapted).tflite == student().tflite
    assert "is not adapted" in run("adapt", "--undo", adapted).stdout
    assert run("adapt", reviewed, "--out", adapted).exit_code == 0


def test_without_labels_it_says_so_and_ends_with_1(tmp_path: Path) -> None:
    put(tmp_path / "clips", "alert-1.wav", toy(0))
    done = run("adapt", tmp_path / "clips", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "changed: nothing (no clip was reviewed as 'not a cry')" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads")
def test_no_thread_of_it_takes_the_processor_from_who_listens(tmp_path: Path) -> None:
    code = """
import os, sys
import numpy, scipy.linalg  # whose threads are there first
from crydistill.cli import app
from crydistill.errors import CrydistillError

try:
    app(["adapt", sys.argv[1], "--out", sys.argv[2]], standalone_mode=False)
except CrydistillError as error:
    print(error)
threads = os.listdir("/proc/self/task")
print(min(os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in threads))
"""
    missing = [str(tmp_path / "clips"), str(tmp_path / "out")]
    command = [sys.executable, "-c", code, *missing]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, lowest = done.stdout.splitlines()
    assert "cannot be read" in said and int(lowest) >= 10


@pytest.mark.slow
def test_a_kill_at_any_time_leaves_whole_files(reviewed: Path, tmp_path: Path) -> None:
    """Afterwards the student loads, or the same command and undo make it whole."""
    out = tmp_path / "out"
    for _ in range(4):
        with subprocess.Popen([*PROGRAM, "adapt", str(reviewed), "--out", str(out)]) as process:
            time.sleep(random.uniform(1, 15))
            process.kill()
        if not out.exists():
            continue
        try:
            TfliteStudent.load(out)
        except ModelError:
            if (out / BEFORE_NAME).exists():
                run("adapt", "--undo", out)
                TfliteStudent.load(out)
    assert run("adapt", reviewed, "--out", out).exit_code == 0
    TfliteStudent.load(out)


def test_a_review_that_is_killed_has_kept_what_was_said(tmp_path: Path) -> None:
    for number in range(6):
        put(tmp_path, f"alert-{number}.wav", np.zeros(SAMPLE_RATE, dtype=np.float32))
    with subprocess.Popen(
        [*PROGRAM, "review", str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        said = []
        for number in range(5):
            request = urllib.request.Request(
                f"{address}label/alert-{number}.wav",
                data=b'{"label": "cry"}',
                headers={"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
                assert answer.status == 200
            said.append(f"alert-{number}.wav")
        process.kill()
    assert read_labels(tmp_path) == dict.fromkeys(said, ClipLabel.CRY)
    assert len(kept_clips(tmp_path)) == 6


def test_a_review_ends_when_it_is_told(tmp_path: Path) -> None:
    put(tmp_path, "alert-1.wav", np.zeros(SAMPLE_RATE, dtype=np.float32))
    with subprocess.Popen(
        [*PROGRAM, "review", str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.terminate()
        assert process.wait(WAIT_SECONDS) == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["adapt"], "name a folder of clips"),
        (["adapt", "FOLDER"], "name a folder of clips, and --out"),
        (["adapt", "FOLDER", "--undo", "DIR"], "takes neither clips nor --out"),
        (["adapt", "FOLDER", "--out", "out", "--preset", "loud"], "no preset 'loud'"),
        (["adapt", "FOLDER", "--out", "out", "--replay", "none.npz"], "none.npz: no such file"),
        (["review", "none"], "none: cannot be read"),
    ],
)
def test_mistakes_are_named(
    arguments: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FOLDER").mkdir()
    done = run(*arguments)
    assert done.exit_code == 2 or done.exception is not None
    assert why in done.output + str(done.exception)
