"""Progress reporting: a bar on a terminal, one line a minute elsewhere, nothing by default.

Library functions take a `Progress` and never print; the command line passes `shown`.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress


class Advance(Protocol):
    """Reports how many more units are done, and how the work stands; an empty note changes none."""

    def __call__(self, units: int, note: str = "", /) -> None: ...


Progress = Callable[[str, int, str], AbstractContextManager[Advance]]
"""Opens a meter: task name, total number of units (0: unknown), name of the unit in the plural."""

_SECONDS_BETWEEN_LINES = 60.0


def silent(task: str, total: int, unit: str) -> AbstractContextManager[Advance]:
    """Show nothing; the default of every library function."""
    return nullcontext(lambda units, note="": None)


def shown(task: str, total: int, unit: str) -> AbstractContextManager[Advance]:
    """Show rate and remaining time on stderr: a bar on a terminal, else one line a minute."""
    if sys.stderr.isatty():
        return _bar(task, total, unit, transient=False)
    return _lines(task, total, unit)


def shown_meanwhile(task: str, total: int, unit: str) -> AbstractContextManager[Advance]:
    """Show the same, but leave no bar behind: for a command whose result is printed at once."""
    if sys.stderr.isatty():
        return _bar(task, total, unit, transient=True)
    return _lines(task, total, unit)


@contextmanager
def _bar(task: str, total: int, unit: str, *, transient: bool) -> Iterator[Advance]:
    with _rich_progress(unit, transient=transient) as bar:
        meter = bar.add_task(task, total=total or None, note="")

        def advance(units: int, note: str = "", /) -> None:
            if note:
                bar.update(meter, note=note)
            bar.advance(meter, units)

        yield advance


def _rich_progress(unit: str, *, transient: bool) -> "RichProgress":
    """Return a bar with its note on a line below, where 80 columns have room for it."""
    from rich.console import Console, RenderableType
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

    class Bar(RichProgress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield from super().get_renderables()
            yield from (Text(task.fields["note"]) for task in self.tasks if task.fields["note"])

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=transient,
    )


@contextmanager
def _lines(task: str, total: int, unit: str) -> Iterator[Advance]:
    start = last = time.monotonic()
    done, latest = 0, ""

    def advance(units: int, note: str = "", /) -> None:
        nonlocal done, last, latest
        done += units
        latest = note or latest
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            rate = done / (now - start)
            left = f", {(total - done) / rate / 60:.0f} min left" if rate and total else ""
            known = f" of {total:,}" if total else ""
            more = f"; {latest}" if latest else ""
            line = f"{task}: {done:,}{known} {unit}, {rate:,.0f}/s{left}{more}"
            print(line, file=sys.stderr, flush=True)

    yield advance
