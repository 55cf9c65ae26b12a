"""The exported libraries' tests: a sound, what must be said about it, and how to build."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.firmware.programs import Pcm, samples_of
from tests.student_fixtures import nursery_sounds

from crydistill.detector.live import Listener
from crydistill.detector.vote import EventKind, VoteSettings
from crydistill.device.packages import export_package
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent

HERE = Path(__file__).parent
SETTINGS = VoteSettings(threshold=0.5, n=2, m=3, hold_seconds=1.92)
"""As if calibrated, so that a sound of a minute has several alerts."""

WARNINGS = ("-Wall", "-Wextra", "-Werror")


def export(system: str, directory: Path) -> Path:
    """A library with the packaged student; returns its folder."""
    student = TfliteStudent.load(packaged_student())
    export_package(system, student.tflite, student.manifest, directory, calibrated=SETTINGS)
    return directory


@cache
def sound() -> Pcm:
    """Cries and other sounds in turn, with pauses."""
    sounds = [pcm for pcm, _ in nursery_sounds()]
    pause = np.zeros(4 * 16_000, dtype=np.int16)
    pairs = zip(sounds[:4], sounds[4:8], strict=True)
    return np.concatenate([piece for pair in pairs for heard in pair for piece in (heard, pause)])


@cache
def changes() -> tuple[bool, ...]:
    """Whether a baby cries, each time that this changes, by the Python package."""
    listener = Listener(TfliteStudent.load(packaged_student()), SETTINGS)
    found = tuple(event.kind is EventKind.ON for event in listener.push(samples_of(sound())))
    assert len(found) > 3
    return found


def said(lines: str) -> tuple[bool, ...]:
    """What a listening program printed, as `changes` has it."""
    texts = {"a baby cries": True, "it is quiet again": False}
    return tuple(
        crying for line in lines.splitlines() for text, crying in texts.items() if text in line
    )


def run(
    *command: str | Path, cwd: Path | None = None, pcm: Path | None = None, **environment: str
) -> str:
    """Run a command that must succeed, with a sound for the stand-ins' microphones."""
    if pcm is not None:
        sound().tofile(pcm)
        environment["SOUND"] = str(pcm)
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python_with(*modules: str) -> str:
    """A Python that has these modules: this one's, or Debian's."""
    for python in (shutil.which("python3"), "/usr/bin/python3"):
        if python and can_import(python, *modules):
            return python
    pytest.skip(f"needs {', '.join(modules)} (firmware/install-emulators.sh)")


def can_import(python: str | Path, *modules: str) -> bool:
    """Whether a Python has all of these modules."""
    program = f"import {', '.join(modules)}"
    done = subprocess.run([python, "-c", program], capture_output=True, check=False)
    return done.returncode == 0
