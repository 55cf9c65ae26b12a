"""Progress reporting: a bar on a terminal, one line a minute elsewhere, nothing by default.

Library functions take a `Progress` and never print; the command line passes `shown`.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

Advance = Callable[[int], None]
"""Reports how many more units are done."""

Progress = Callable[[str, int, str], AbstractContextManager[Advance]]
"""Opens a meter: task name, total number of units, name of the unit in the plural."""

_SECONDS_BETWEEN_LINES = 60.0


def silent(task: str, total: int, unit: str) -> AbstractContextManager[Advance]:
    """Show nothing; the default of every library function."""
    return nullcontext(lambda units: None)


def shown(task: str, total: int, unit: str) -> AbstractContextManager[Advance]:
    """Show rate and remaining time on stderr: a bar on a terminal, else one line a minute."""
    if sys.stderr.isatty():
        return _bar(task, total, unit)
    return _lines(task, total, unit)


@contextmanager
def _bar(task: str, total: int, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import (
        Progress as RichProgress,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        meter = bar.add_task(task, total=total)
        yield lambda units: bar.advance(meter, units)


@contextmanager
def _lines(task: str, total: int, unit: str) -> Iterator[Advance]:
    start = last = time.monotonic()
    done = 0

    def advance(units: int) -> None:
        nonlocal done, last
        done += units
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            rate = done / (now - start)
            left = (total - done) / rate / 60 if rate else float("nan")
            print(
                f"{task}: {done:,} of {total:,} {unit}, {rate:,.0f}/s, {left:.0f} min left",
                file=sys.stderr,
                flush=True,
            )

    yield advance
