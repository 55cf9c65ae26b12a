"""`crydistill listen` as a process: pipes that stall, signals, terminals that close."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from select import select
from typing import IO, Any

import numpy as np
import pytest
import soundfile
from tests.detector import soak

LISTEN = [sys.executable, "-m", "crydistill", "listen"]
ALWAYS = ["--threshold", "0", "--votes", "1/1", "--hold", "1"]
"""Every window votes: the alert is on while there is sound."""
WAIT_SECONDS = 60.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and pipes")


def noise(seconds: float) -> bytes:
    values = np.random.default_rng(1).normal(0, 3000, int(seconds * 16_000))
    return values.astype("<i2").tobytes()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def usual_signals() -> None:
    """In a child: a background job or `nohup`, as tests may be, ignores some, and it inherits."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Listening:
    """A running listener with what it has printed so far."""

    def __init__(self, folder: Path, *arguments: str, stdin: int | IO[bytes], **more: Any) -> None:
        self.out, self.errors = folder / "out", folder / "errors"
        with self.out.open("wb") as out, self.errors.open("wb") as errors:
            kinds: dict[str, Any] = {"stdout": out, "stderr": errors, **more}
            self.process = subprocess.Popen([*LISTEN, *arguments], stdin=stdin, **kinds)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def kinds(self) -> list[tuple[str, str | None]]:
        return [(event["event"], event.get("reason")) for event in self.events()]

    def said(self) -> list[str]:
        return self.errors.read_text().splitlines()

    def ended(self) -> int:
        return self.process.wait(WAIT_SECONDS)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0)])
def test_a_stop_loses_nothing(number: signal.Signals, code: int, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    listening = Listening(
        tmp_path, "-", *ALWAYS, "--clips", str(tmp_path / "clips"), stdin=reading,
        preexec_fn=usual_signals,
    )  # fmt: skip
    os.close(reading)
    os.write(writing, noise(1.9))
    until(lambda: len(listening.events()) == 1)
    listening.process.send_signal(number)  # while it waits for the next byte
    assert listening.ended() == code
    os.close(writing)
    assert listening.kinds() == [("on", None), ("off", "stopped")]
    assert listening.said() == []
    (clip,) = (tmp_path / "clips").iterdir()
    samples, _ = soundfile.read(clip, dtype="int16")
    assert samples.tobytes() == noise(1.9)


def test_an_ignored_hangup_does_not_stop_it(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    ignored = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    listening = Listening(tmp_path, "-", *ALWAYS, stdin=reading, preexec_fn=ignored)
    os.close(reading)
    os.write(writing, noise(1.5))
    until(lambda: len(listening.events()) == 1)
    listening.process.send_signal(signal.SIGHUP)
    os.write(writing, noise(1.5))
    os.close(writing)
    assert listening.ended() == 0
    assert listening.events()[-1]["at_s"] == 3.0


@pytest.mark.parametrize("blocking", [True, False])
def test_a_source_that_stalls_and_comes_back(blocking: bool, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reading, blocking)
    with fifo.open("wb", buffering=0) as writing:
        listening = Listening(tmp_path, "-", *ALWAYS, "--patience", "1", stdin=reading)
        os.close(reading)
        writing.write(noise(2))
        until(lambda: len(listening.events()) == 2)  # with nothing to read
        writing.write(noise(2))
        until(lambda: len(listening.events()) == 3)
        writing.write(bytes(4 * 32_000))
        until(lambda: len(listening.events()) == 4)
        writing.write(noise(2))
        until(lambda: len(listening.events()) == 5)
    assert listening.ended() == 0
    assert listening.kinds() == [
        ("on", None), ("off", "no sound"),
        ("on", None), ("off", "no sound"),
        ("on", None), ("off", "stopped"),
    ]  # fmt: skip
    gone, back, silent, again = listening.said()
    assert gone == "no sound has arrived for 1 s; waiting for it"
    assert silent.startswith("nothing but digital silence for 1 s")
    assert back.startswith("sound is back after ") and again.startswith("sound is back after ")


@pytest.mark.parametrize(
    ("shell", "message"),
    [
        ("{} <&-", "standard input is closed"),
        ("printf fLaC1234 | {}", "is FLAC, not PCM"),
    ],
)
def test_an_input_that_cannot_be_heard_is_one_line(shell: str, message: str) -> None:
    done = subprocess.run(
        ["sh", "-c", shell.format(shlex.join([*LISTEN, "-"]))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("crydistill: standard input ") and message in line


def test_a_terminal_that_closes(tmp_path: Path) -> None:
    """It hangs up, which is SIGHUP; the display on it has not swallowed any event before."""
    import pty
    import termios
    from fcntl import ioctl

    reading, writing = os.pipe()
    screen, terminal = pty.openpty()
    listening = Listening(
        tmp_path, "-", *ALWAYS, "--clips", str(tmp_path / "clips"), stdin=reading,
        stderr=terminal, start_new_session=True, env={**os.environ, "TERM": "xterm"},
        preexec_fn=lambda: (usual_signals(), ioctl(2, termios.TIOCSCTTY, 0)),
    )  # fmt: skip
    os.close(reading)
    os.close(terminal)
    os.write(writing, noise(1.9))
    until(lambda: len(listening.events()) == 1)
    shown = b""
    while b"listening for" not in shown:
        assert select([screen], [], [], WAIT_SECONDS)[0], "waited in vain"
        shown += os.read(screen, 4_096)
    os.close(screen)
    assert listening.ended() == 0
    os.close(writing)
    assert listening.kinds() == [("on", None), ("off", "stopped")]
    assert len(list((tmp_path / "clips").iterdir())) == 1


def test_detect_names_student_and_operating_point(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.frombuffer(noise(2), "<i2"), 16_000)
    done = subprocess.run(
        [sys.executable, "-m", "crydistill", "detect", "--json", "--preset", "quiet",
         "--votes", "4/9", str(tmp_path / "a.wav")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert set(found["student"]) == {"name", "sha256"} and len(found["student"]["sha256"]) == 12
    point = found["operating_point"]
    assert (point["preset"], point["n"], point["replaced"]) == ("quiet", 4, ["votes"])


def wants(soaked: soak.Soaked, episodes: int) -> None:
    assert soaked.code == 0
    assert soaked.kinds() == episodes * ["on", "off"]
    assert not any("Traceback" in line for line in soaked.said)
    assert soaked.growth() < 5
    onsets = [event["onset_s"] for event in soaked.events[::2]]
    assert min(np.diff(onsets)) > soak.EPISODE_SECONDS - 1


@pytest.mark.slow
def test_an_hour_of_a_pipe_that_dies_and_comes_back() -> None:
    episodes = 60
    soaked = soak.soak_stream(episodes)
    wants(soaked, episodes)
    gone = [line for line in soaked.said if "waiting for" in line]
    back = [line for line in soaked.said if line.startswith("sound is back")]
    # A busy machine may still be at the sound of before when a short stall is over.
    assert 0.9 * episodes <= len(gone) <= len(back) + 1 <= episodes
    length = episodes * (soak.EPISODE_SECONDS + soak.DEAD_SECONDS) - soak.AFTER_SECONDS
    assert soaked.events[-1]["at_s"] == pytest.approx(length, rel=0.05)


@pytest.mark.slow
def test_an_hour_of_a_microphone_that_dies_and_comes_back() -> None:
    wants(soak.soak_microphone(60), 60)
