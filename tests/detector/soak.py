"""Let `crydistill listen` run on sources that die and come back, and watch what it does.

    python -m tests.detector.soak stream --episodes 60
    python -m tests.detector.soak stream --episodes 60 --real-time
    python -m tests.detector.soak microphone --episodes 60
    python -m tests.detector.soak camera --episodes 60

An episode is nearly a minute of a quiet room with ten seconds of crying in it; then the source dies
in one of several ways. Every cry has to raise an alert that ends, and memory has to stay flat.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tests.detector.camera import Camera
from tests.detector.sounds import faint

from crydistill.synthesis.nursery import compose, render

RATE = 16_000
PATIENCE = 1.0
CAMERA_PATIENCE = 5.0
DEAD_SECONDS = 4.0
ROOM_SECONDS, CRY_SECONDS, AFTER_SECONDS = 20, 10, 25
EPISODE_SECONDS = ROOM_SECONDS + CRY_SECONDS + AFTER_SECONDS

MICROPHONE = Path(__file__).with_name("fake_sounddevice.py")


@dataclass(frozen=True)
class Soaked:
    """What a soak has shown.

    events : as printed
    said : lines on standard error
    memory : resident set in MB after each episode; the first while the alert is on
    seconds : wall-clock time
    """

    code: int
    events: list[dict[str, Any]]
    said: list[str]
    memory: list[float]
    seconds: float

    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events]

    def growth(self) -> float:
        """MB between the first quarter's highest and the last quarter's highest."""
        quarter = max(1, len(self.memory) // 4)
        return max(self.memory[-quarter:]) - max(self.memory[:quarter])


def episode() -> bytes:
    """PCM of a quiet room with a cry in it."""
    crying = next(clip for clip in compose(3) if clip.category == "baby_cry")
    cry = np.resize(render(crying), CRY_SECONDS * RATE)
    before, after = (np.rint(faint(s) * 32_768) for s in (ROOM_SECONDS, AFTER_SECONDS))
    return np.concatenate([before, cry, after]).astype("<i2").tobytes()


def command(*arguments: str, patience: float = PATIENCE) -> list[str]:
    return [
        sys.executable, "-m", "crydistill", "listen", *arguments,
        "--patience", str(patience), "--hold", "3", "--votes", "3/5",
    ]  # fmt: skip


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def soak_stream(episodes: int, *, real_time: bool = False) -> Soaked:
    """A non-blocking pipe that stalls, or gives zeros, after every episode."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    sound, memory, began = episode(), list[float](), time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command("-"), stdin=reading, stdout=out, stderr=errors)
        os.close(reading)
        for number in range(episodes):
            _write(writing, sound, real_time)
            if number % 2:
                _write(writing, bytes(int(2 * RATE * DEAD_SECONDS)), real_time)
            else:
                time.sleep(DEAD_SECONDS)
            memory.append(resident_megabytes(process.pid))
        os.close(writing)
        code = process.wait(600)
        return _soaked(code, out, errors, memory, began)


def soak_microphone(episodes: int) -> Soaked:
    """A microphone that vanishes, gives nothing or gives zeros after every episode."""
    began, memory = time.monotonic(), list[float]()
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as errors,
    ):
        Path(folder, "sounddevice.py").write_bytes(MICROPHONE.read_bytes())
        Path(folder, "episode").write_bytes(episode())
        paths = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
        done = Path(folder, "episodes")
        process = subprocess.Popen(
            command(), stdout=out, stderr=errors, env={**os.environ, "PYTHONPATH": paths}
        )
        while len(memory) < episodes:
            time.sleep(0.1)
            if done.exists() and done.stat().st_size > len(memory):
                memory.append(resident_megabytes(process.pid))
            assert process.poll() is None
        process.terminate()
        code = process.wait(600)
        return _soaked(code, out, errors, memory, began)


def soak_camera(episodes: int) -> Soaked:
    """An RTSP camera, in real time, that is killed or hangs after every episode."""
    memory, began = list[float](), time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile("w+") as out,
        tempfile.NamedTemporaryFile("w+") as errors,
    ):
        camera = Camera(Path(folder), episode(), "--video", "--codec", "pcm")
        process = subprocess.Popen(
            command(camera.address, patience=CAMERA_PATIENCE), stdout=out, stderr=errors
        )
        for number in range(episodes):
            camera.start()
            _until_said(errors, "Hz, mono" if number == 0 else "sound is back", max(1, number))
            time.sleep(EPISODE_SECONDS)
            if number % 2:
                camera.hang()
                time.sleep(2 * CAMERA_PATIENCE)
            camera.kill()
            time.sleep(DEAD_SECONDS)
            assert process.poll() is None
            memory.append(resident_megabytes(process.pid))
        process.terminate()
        code = process.wait(600)
        return _soaked(code, out, errors, memory, began)


def _until_said(errors: Any, what: str, times: int) -> None:
    end = time.monotonic() + 120
    while Path(errors.name).read_text(errors="replace").count(what) < times:
        assert time.monotonic() < end, f"waited in vain for '{what}'"
        time.sleep(0.1)


def _write(pipe: int, data: bytes, real_time: bool) -> None:
    for start in range(0, len(data), RATE):  # half a second
        part = memoryview(data)[start : start + RATE]
        while part:
            part = part[os.write(pipe, part) :]
        if real_time:
            time.sleep(0.5)


def _soaked(code: int, out: Any, errors: Any, memory: list[float], began: float) -> Soaked:
    out.seek(0)
    errors.seek(0)
    events = [json.loads(line) for line in out]
    return Soaked(code, events, errors.read().splitlines(), memory, time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description="Soak `crydistill listen`.")
    parser.add_argument("source", choices=["stream", "microphone", "camera"])
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--real-time", action="store_true")
    given = parser.parse_args()
    if given.source == "stream":
        soaked = soak_stream(given.episodes, real_time=given.real_time)
    elif given.source == "microphone":
        soaked = soak_microphone(given.episodes)
    else:
        soaked = soak_camera(given.episodes)
    kinds = soaked.kinds()
    print(
        f"exit code {soaked.code} after {soaked.seconds:.0f} s: {kinds.count('on')} on, "
        f"{kinds.count('off')} off, {len(soaked.said)} lines; memory {soaked.memory[0]:.1f} MB "
        f"after the first episode, {soaked.memory[-1]:.1f} MB after the last, "
        f"growth {soaked.growth():+.1f} MB; last event at {soaked.events[-1]['at_s']:.0f} s"
    )


if __name__ == "__main__":
    main()
