"""How fast scoring, training, detection and start-up are on this machine.

Each figure is the median of several rounds; detection runs in a process of its own, bound to one
core, and start-up is measured by starting.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from crydistill.provenance import git_commit, versions

ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, help="YAMNet weights (.h5)")
    arguments = parser.parse_args()
    rows = [help_seconds(), *detection(), *training()]
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
    """Times whole processes on a long and a short recording; the difference has no start-up."""
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


def training() -> list[tuple[str, str]]:
    import keras

    from crydistill.distill.losses import kl_softmax
    from crydistill.student.zoo import build

    rows = []
    generator = np.random.default_rng(0)
    for batch in (32, 128, 256):
        model = build("dscnn")
        model.compile(optimizer=keras.optimizers.AdamW(1e-3), loss=kl_softmax, jit_compile=False)
        patches = generator.normal(-3, 2, (batch, 96, 64, 1)).astype(np.float32)
        logits = generator.normal(-5, 2, (batch, 521)).astype(np.float32)
        steps = 4096 // batch

        def epoch(model=model, patches=patches, logits=logits, steps=steps) -> None:
            for _ in range(steps):
                model.train_on_batch(patches, logits)

        epoch()
        rate = steps * batch / median(epoch)
        rows.append((f"training the reference student, batch {batch}", f"{rate:,.0f} windows/s"))
    return rows


def scoring(weights: Path) -> tuple[str, str]:
    from crydistill.audio.mel import log_mel
    from crydistill.audio.windows import window_count
    from crydistill.teacher.base import Recording, load_teacher

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
