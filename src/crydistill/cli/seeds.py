"""Several seeds of one experiment, each in a process of its own.

Scores do not depend on the seed, so the stores are filled once, before the seeds start. Each seed
is the plain command with another seed and name, and resumes as it does: what it says goes to
`run.log` in its run directory.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import typer

from crydistill.cli.common import resumable, tell
from crydistill.errors import CheckFailed, CrydistillError
from crydistill.settings import environment_with

LOG_NAME = "run.log"

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 30.0
"""Time for a seed to end by itself before it is killed: it is to finish what it writes."""

_OWN_GRACE_SECONDS = 1.0
"""Time for seeds that a terminal's Ctrl-C reached, too; the others are then asked to end."""

_MOST_SEEDS = 1000
_NOTE_CHARACTERS = 60


@dataclass
class _Seed:
    """A seed that runs."""

    number: int
    directory: Path
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def latest(self) -> str:
        """The last line that it said."""
        lines = _tail(self.directory / LOG_NAME)
        return lines[-1][:_NOTE_CHARACTERS] if lines else "starting"


def parse_seeds(text: str) -> list[int]:
    """Parse 0..4 (both ends count), 0,3,7, a mixture of both, or a number of seeds from 0 on.

    Examples
    --------
    >>> from crydistill.cli.seeds import parse_seeds
    >>> parse_seeds("0..2,7")
    [0, 1, 2, 7]
    >>> parse_seeds("3")  # as in `crydistill night --seeds 3`
    [0, 1, 2]
    """
    if re.fullmatch(r"\s*[1-9]\d{0,2}\s*", text):
        return list(range(int(text)))
    seeds: dict[int, None] = {}
    for part in text.split(","):
        bounds = re.fullmatch(r"\s*(\d{1,9})(?:\.\.(\d{1,9}))?\s*", part)
        first = int(bounds[1]) if bounds else 0
        last = int(bounds[2] or first) if bounds else -1
        if not first <= last < first + _MOST_SEEDS:
            raise typer.BadParameter(
                f"'{text}': write 5 or 0..4 for seeds 0 to 4, or 0,3,7", param_hint="--seeds"
            )
        seeds |= dict.fromkeys(range(first, last + 1))
    return list(seeds)


def run_seeds(
    verb: str,
    config: Path | None,
    overrides: list[str] | None,
    runs: Path,
    seeds: str,
    jobs: int | None,
) -> None:
    """Run `run` or `train` for every seed, and print a table over those that are done.

    Exit codes: 0 all are done, 1 some are, 2 none is; a seed that left clips out counts as done,
    and makes it 1, too.
    """
    from crydistill.experiment.load import load_config

    numbers = parse_seeds(seeds)
    name = load_config(config, overrides or []).name
    at_once = min(jobs or max(1, (os.cpu_count() or 1) // 2), len(numbers))
    plan = _Plan(verb, config, overrides or [], runs, name, at_once)
    with resumable():
        if verb == "run":
            plan.score(numbers[0])
        codes = plan.run(numbers)
    done = [n for n in numbers if codes[n] in (0, CheckFailed.exit_code)]
    if done:
        plan.print_table(done)
    for number in numbers:
        if number not in done:
            lines = _tail(plan.directory(number) / LOG_NAME)
            tell(f"seed {number} failed (exit code {codes[number]}): {lines[-1] if lines else ''}")
    if not done:
        raise typer.Exit(CrydistillError.exit_code)
    if any(codes.values()):
        raise typer.Exit(CheckFailed.exit_code)


@dataclass(frozen=True)
class _Plan:
    """What runs for every seed.

    name : of the experiment; a seed's run is NAME-seedK
    at_once : seeds that run at the same time
    """

    verb: str
    config: Path | None
    overrides: Sequence[str]
    runs: Path
    name: str
    at_once: int

    def directory(self, seed: int) -> Path:
        return self.runs / f"{self.name}-seed{seed}"

    def score(self, seed: int) -> None:
        """Fill the stores, which all seeds share."""
        process = subprocess.Popen(self._words("score", seed))
        try:
            code = process.wait()
        finally:
            _end([process])
        if code not in (0, CheckFailed.exit_code):
            raise typer.Exit(CrydistillError.exit_code)

    def run(self, seeds: Sequence[int]) -> dict[int, int]:
        """Run the seeds; the exit code of each."""
        from crydistill.progress import shown

        waiting, running, codes = list(seeds), list[_Seed](), dict[int, int]()
        with shown(f"{self.name}, seeds", len(seeds), "seeds") as advance:
            try:
                while waiting or running:
                    while waiting and len(running) < self.at_once:
                        running.append(self._started(waiting.pop(0)))
                    time.sleep(_POLL_SECONDS)
                    ended = [seed for seed in running if seed.process.poll() is not None]
                    for seed in ended:
                        seed.log.close()
                        codes[seed.number] = seed.process.returncode
                        running.remove(seed)
                    notes = (f"seed {seed.number}: {seed.latest()}" for seed in running)
                    advance(len(ended), "; ".join(notes))
            finally:
                _end([seed.process for seed in running])
        return codes

    def print_table(self, done: Sequence[int]) -> None:
        from rich.console import Console

        from crydistill.reports.seeds_table import evaluated, seeds_table, trained

        figures = evaluated if self.verb == "run" else trained
        Console().print(seeds_table([self.directory(seed) for seed in done], figures))
        first = self.directory(done[0])
        print(f"to keep the figures of each: crydistill tables add {first} {first.name}")

    def _started(self, seed: int) -> _Seed:
        directory = self.directory(seed)
        directory.mkdir(parents=True, exist_ok=True)
        log = (directory / LOG_NAME).open("ab")
        process = subprocess.Popen(
            self._words(self.verb, seed), stdout=log, stderr=log, env=self._environment()
        )
        return _Seed(seed, directory, process, log)

    def _words(self, verb: str, seed: int) -> list[str]:
        named = [*self.overrides, f"seed={seed}", f"name={self.name}-seed{seed}"]
        options = [word for setting in named for word in ("--set", setting)]
        config = [str(self.config)] if self.config else []
        program = [sys.executable, "-m", "crydistill", verb, *config]
        return [*program, *options, "--runs", str(self.runs)]

    def _environment(self) -> dict[str, str]:
        """Divides the processors among seeds; one alone has them all, as without `--seeds`."""
        if self.at_once == 1:
            return environment_with()
        threads = str(max(1, (os.cpu_count() or 1) // self.at_once))
        return environment_with(
            OMP_NUM_THREADS=threads,
            TF_NUM_INTRAOP_THREADS=threads,
            TF_NUM_INTEROP_THREADS=threads,
        )


def _end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """End what still runs. A second Ctrl-C ends it at once."""
    try:
        _wait(processes, _OWN_GRACE_SECONDS)
        for process in processes:
            if process.poll() is None:
                process.terminate()
        _wait(processes, _GRACE_SECONDS)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def _wait(processes: Sequence["subprocess.Popen[bytes]"], seconds: float) -> None:
    until = time.monotonic() + seconds
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))


def _tail(log: Path) -> list[str]:
    """The last lines of a log that are not empty."""
    if not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        text = file.read().decode(errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]
