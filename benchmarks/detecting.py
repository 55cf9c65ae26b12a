"""`detect`, `listen` and `--help`: how long they take and what they cost."""

import contextlib
import os
import pty
import resource
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.material import Material, crydistill, run
from benchmarks.records import Benchmark, Figure, Measured
from benchmarks.rounds import seconds
from crydistill.audio.mel import SAMPLE_RATE
from crydistill.detector.sources import BLOCK_SECONDS

DETECTED_MINUTES = 30
LISTENED_SECONDS = 30

BENCHMARK = Benchmark(
    "detecting",
    "Detecting and starting",
    "Whole processes, on one core for `detect`: half an hour of noise less one second of it, which "
    "leaves out the start. `listen` hears blocks of sound as a microphone delivers them, with its "
    "display on a terminal; a process without input is subtracted.",
    (
        "benchmarks/detecting.py", "src/crydistill/cli/__init__.py",
        "src/crydistill/cli/detection.py", "src/crydistill/detector/files.py",
        "src/crydistill/detector/stream.py", "src/crydistill/detector/vote.py",
        "src/crydistill/student/runtime.py", "src/crydistill/tflite/interpreters.py",
        "src/crydistill/audio/mel.py",
    ),
)  # fmt: skip


def measure(material: Material) -> Measured:
    minutes = material.size(DETECTED_MINUTES)
    rates, starts, helps, shares = [], [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        short, long = Path(scratch) / "short.wav", Path(scratch) / "long.wav"
        _write_noise(short, 1)
        _write_noise(long, 60 * minutes)
        for _ in range(material.rounds):
            starts.append(seconds(lambda: _detect(short)))
            rates.append((60 * minutes - 1) / (seconds(lambda: _detect(long)) - starts[-1]))
            helps.append(seconds(lambda: run(*crydistill("--help"))))
            heard = material.size(LISTENED_SECONDS)
            cost = _listen_processor_seconds(heard) - _listen_processor_seconds(0)
            shares.append(100 * cost / heard)
    return Measured(
        figures=(
            Figure("`crydistill detect`, start-up excluded", "times real time", rates),
            Figure("`crydistill detect` on one second", "s", starts),
            Figure("`crydistill --help`", "s", helps),
            Figure("`crydistill listen`", "% of one core", shares),
        )
    )


def _detect(path: Path) -> None:
    run("taskset", "-c", "0", *crydistill("detect", str(path)))


def _write_noise(path: Path, length: int) -> None:
    samples = np.random.default_rng(0).normal(0, 0.05, length * SAMPLE_RATE)
    soundfile.write(path, samples, SAMPLE_RATE)


def _listen_processor_seconds(heard: float) -> float:
    """Processor time, user and system, of `listen` on this many seconds of noise."""
    piece = round(BLOCK_SECONDS * SAMPLE_RATE)
    pcm = np.random.default_rng(0).normal(0, 1_000, piece).astype("<i2").tobytes()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    screen, terminal = pty.openpty()
    threading.Thread(target=_discard, args=(screen,), daemon=True).start()
    with subprocess.Popen(
        crydistill("listen", "-"),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=terminal,
        env={**os.environ, "TERM": "xterm-256color"},
    ) as process:  # fmt: skip
        os.close(terminal)
        assert process.stdin is not None
        start = time.perf_counter()
        for number in range(round(heard / BLOCK_SECONDS)):
            time.sleep(max(0.0, start + number * BLOCK_SECONDS - time.perf_counter()))
            process.stdin.write(pcm)
            process.stdin.flush()
        process.stdin.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _discard(descriptor: int) -> None:
    """Read a pseudo-terminal's output until it is closed."""
    with contextlib.suppress(OSError):
        while os.read(descriptor, 65_536):
            pass
