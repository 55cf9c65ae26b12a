"""Benchmark scoring, training, detection and start-up on this machine.

Each figure is the median of several rounds; detection runs in a process of its own, pinned to one
core, and start-up is the time of a whole process.
"""

import argparse
import contextlib
import os
import pty
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.detector.sources import BLOCK_SECONDS
from crydistill.provenance import git_commit, versions

ROUNDS = 5
NIGHT_HOURS = 8
SCORED_MINUTES = 15
"""Audio scored per round of the night benchmark; voting runs over all eight hours of scores."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, help="YAMNet weights (.h5)")
    arguments = parser.parse_args()
    rows = [help_seconds(), *detection(), night(), listening(), *training()]
    if arguments.teacher:
        rows.append(scoring(arguments.teacher))
    print("| what | figure |\n| --- | --- |")
    for what, figure in rows:
        print(f"| {what} | {figure} |")
    named = ", ".join(f"{name} {number}" for name, number in versions().items())
    print(f"\n{os.cpu_count()} cores, commit {git_commit()}; {named}")


def help_seconds() -> tuple[str, str]:
    return "`crydistill --help`", f"{process_seconds(*crydistill('--help')):.2f} s"


def detection() -> list[tuple[str, str]]:
    """Time whole processes on a long and a short recording; the difference excludes start-up."""
    import soundfile

    minutes = (1, 31)
    with tempfile.TemporaryDirectory() as directory:
        seconds = []
        for length in minutes:
            path = Path(directory) / f"{length}.wav"
            samples = np.random.default_rng(0).normal(0, 0.05, length * 60 * 16_000)
            soundfile.write(path, samples, 16_000)
            seconds.append(process_seconds("taskset", "-c", "0", *crydistill("detect", str(path))))
    audio = (minutes[1] - minutes[0]) * 60
    return [
        ("`crydistill detect` on one core, start-up excluded",
         f"{audio / (seconds[1] - seconds[0]):,.0f} times real time"),
        ("its start-up and first minute", f"{seconds[0]:.2f} s"),
    ]  # fmt: skip


def night() -> tuple[str, str]:
    """Score audio and vote on a whole night's scores: CPU seconds of one core for a night."""
    from crydistill.audio.mel import SAMPLE_RATE
    from crydistill.detector.vote import VoteSettings, alerts
    from crydistill.evaluation.scorers import student_scorers
    from crydistill.nights.hearing import score_together
    from crydistill.student.packaged import packaged_student
    from crydistill.tflite.interpreters import Kernels

    (student,) = student_scorers(packaged_student(), kernels=Kernels.OPTIMIZED, fp32=False)
    block = np.random.default_rng(0).normal(0, 0.05, 30 * SAMPLE_RATE).astype(np.float32)
    nights = NIGHT_HOURS * 60 // SCORED_MINUTES
    scores, voting = [], []
    for _ in range(ROUNDS):
        # CPU time: both run on one thread, and load from other processes does not count.
        start = time.process_time()
        (track,) = score_together([block] * (2 * SCORED_MINUTES), [student.score])
        scored = time.process_time()
        alerts(np.tile(track, nights), VoteSettings(threshold=0.5))
        scores.append(scored - start)
        voting.append(time.process_time() - scored)
    seconds = nights * statistics.median(scores) + statistics.median(voting)
    return (
        "scoring and voting on one core, INT8 student, optimized kernels",
        f"{NIGHT_HOURS * 3600 / seconds:,.0f} times real time: "
        f"a night of {NIGHT_HOURS} h in {seconds:.0f} s",
    )


def listening() -> tuple[str, str]:
    """Feed `listen` raw PCM in real time, block by block, as a microphone would.

    CPU time is measured, not wall-clock time, so that load from other processes does not count;
    that of a process without input is subtracted.
    """
    seconds = 60.0
    share = (listen_cpu_seconds(seconds) - listen_cpu_seconds(0.0)) / seconds
    return "`crydistill listen` on live sound", f"{share:.2%} of one core"


def listen_cpu_seconds(seconds: float) -> float:
    """CPU time, user and system, of `listen` on this many seconds of noise.

    Its display goes to a pseudo-terminal, as in interactive use.
    """
    piece = round(BLOCK_SECONDS * SAMPLE_RATE)
    pcm = np.random.default_rng(0).normal(0, 1_000, piece).astype("<i2").tobytes()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    screen, terminal = pty.openpty()
    threading.Thread(target=discard, args=(screen,), daemon=True).start()
    with subprocess.Popen(
        crydistill("listen", "-"),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=terminal,
        env={**os.environ, "TERM": "xterm-256color"},
    ) as process:  # fmt: skip
        os.close(terminal)
        assert process.stdin is not None
        start = time.perf_counter()
        for number in range(round(seconds / BLOCK_SECONDS)):
            time.sleep(max(0.0, start + number * BLOCK_SECONDS - time.perf_counter()))
            process.stdin.write(pcm)
            process.stdin.flush()
        process.stdin.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def discard(descriptor: int) -> None:
    """Read a pseudo-terminal's output until it is closed."""
    with contextlib.suppress(OSError):
        while os.read(descriptor, 65_536):
            pass


def training() -> list[tuple[str, str]]:
    import keras

    from crydistill.distill.losses import kl_softmax
    from crydistill.distill.step import training_step
    from crydistill.student.zoo import build

    rows = []
    backend = keras.backend.backend()
    generator = np.random.default_rng(0)
    for batch in (32, 128, 256):
        model = build("dscnn")
        model.compile(optimizer=keras.optimizers.AdamW(1e-3), loss=kl_softmax, jit_compile=False)
        step = training_step(model, kl_softmax)
        patches = generator.normal(-3, 2, (batch, 96, 64, 1)).astype(np.float32)
        logits = generator.normal(-5, 2, (batch, 521)).astype(np.float32)
        steps = 4096 // batch

        def epoch(step=step, patches=patches, logits=logits, steps=steps) -> None:
            for _ in range(steps):
                step(patches, logits)

        epoch()
        rate = steps * batch / median(epoch)
        rows.append(
            (f"training the reference student, {backend}, batch {batch}", f"{rate:,.0f} windows/s")
        )
    return rows


def scoring(weights: Path) -> tuple[str, str]:
    from crydistill.audio.mel import log_mel
    from crydistill.audio.windows import window_count
    from crydistill.teacher.base import Recording
    from crydistill.teacher.load import load_teacher

    teacher = load_teacher(weights)
    clips = [
        np.random.default_rng(n).normal(0, 0.05, 160_000).astype(np.float32) for n in range(64)
    ]

    def score() -> None:
        teacher.logits([Recording("", samples, log_mel(samples)) for samples in clips])

    score()
    windows = sum(window_count(len(log_mel(samples))) for samples in clips)
    return "scoring with the FP32 teacher, front end included", (
        f"{windows / median(score):,.0f} windows/s"
    )


def process_seconds(*command: str) -> float:
    return median(lambda: subprocess.run(command, capture_output=True, check=True), rounds=3)


def crydistill(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("crydistill")), *arguments]


def median(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
