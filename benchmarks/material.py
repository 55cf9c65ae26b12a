"""What the benchmarks work on: clips, teacher weights, and libraries to compare with."""

import csv
import os
import site
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from benchmarks.rounds import ROUNDS
from crydistill.corpora.clip import Clip, Label


class MissingMaterialError(Exception):
    """A benchmark cannot run because something it needs is not here."""


@dataclass(frozen=True)
class Material:
    """Where things are, and how much of them to use.

    audio : folder of recordings with a clips.csv, in which `split` is train or dev
    teacher : YAMNet's weights (.h5)
    context_teacher : EfficientAT's weights (.pt); None: it is not measured
    libraries : virtual environment of requirements/benchmark.txt
    scale : of the amount of work in a round
    rounds : measurements of each way
    """

    audio: Path
    teacher: Path
    context_teacher: Path | None
    libraries: Path
    scale: float = 1.0
    rounds: int = ROUNDS

    def size(self, full: int) -> int:
        """An amount of work, scaled."""
        return max(1, round(full * self.scale))

    def clips(self, split: str, count: int) -> list[Clip]:
        """`count` labelled clips of a split, a fourth of them cries, evenly from all over it.

        Raises
        ------
        MissingMaterialError
            if they are not there.
        """
        try:
            with (self.audio / "clips.csv").open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["split"] == split]
        except OSError as error:
            raise MissingMaterialError(f"{self.audio}: no clips.csv; give --audio") from error
        chosen = []
        for label, share in (("cry", count // 4), ("noncry", count - count // 4)):
            found = [row for row in rows if row["label"] == label]
            if len(found) < share:
                raise MissingMaterialError(
                    f"{self.audio}: {len(found)} clips of {split} are labelled {label}; {share} "
                    "are needed: use a smaller --scale"
                )
            chosen += [found[number * len(found) // share] for number in range(share)]
        return [
            Clip(row["path"], self.audio / row["path"], Label(row["label"]), row["group"])
            for row in chosen
        ]

    def weights(self) -> Path:
        """The teacher's weights.

        Raises
        ------
        MissingMaterialError
            if they are not there.
        """
        if not self.teacher.is_file():
            raise MissingMaterialError(
                f"{self.teacher}: no such weights; `crydistill teacher fetch` downloads YAMNet's, "
                "and --teacher names them"
            )
        return self.teacher

    def add_librosa(self) -> None:
        """Make librosa importable, behind the libraries of this environment.

        Raises
        ------
        MissingMaterialError
            if it is not installed.
        """
        for folder in self.libraries.glob("lib/python3.*/site-packages"):
            site.addsitedir(str(folder))
        if find_spec("librosa") is None:
            raise MissingMaterialError(
                f"{self.libraries}: no librosa; `make benchmarks` installs requirements/"
                "benchmark.txt there"
            )


def crydistill(*arguments: str) -> list[str]:
    """The command line's command, with this interpreter."""
    return [sys.executable, "-m", "crydistill", *arguments]


def run(*command: str, **environment: str) -> None:
    """Run a command, which has to succeed; what it prints is shown only if it fails.

    Raises
    ------
    RuntimeError
        with the end of what it printed.
    """
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


@contextmanager
def torch_process() -> Iterator[ProcessPoolExecutor | None]:
    """One more process, in which Keras runs on PyTorch; None if that is not installed."""
    if find_spec("torch") is None:
        yield None
        return
    former = os.environ.get("KERAS_BACKEND")
    os.environ["KERAS_BACKEND"] = "torch"
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            process.submit(int).result()  # started now, with this environment
            if former is None:
                del os.environ["KERAS_BACKEND"]
            else:
                os.environ["KERAS_BACKEND"] = former
            yield process
    finally:
        os.environ.pop("KERAS_BACKEND", None)
        if former is not None:
            os.environ["KERAS_BACKEND"] = former
