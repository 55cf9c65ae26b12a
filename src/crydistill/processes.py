"""Work that is divided among processes, and work that gives way to other processes."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")

_NICENESS = 10
"""A process of usual priority gets nine times as much of a processor that both want."""

_THREADS = Path("/proc/self/task")


def in_processes(
    work: Callable[[Item], None], items: Sequence[Item], *, least: int
) -> Iterator[None]:
    """Run `work` for every item, on all processors if that is worth starting processes.

    Parameters
    ----------
    work : a function of a module, or a `functools.partial` of one, since it goes to other processes
    least : items for which a process is worth starting

    Yields
    ------
    None after each item, in the order in which they are done.
    """
    processes = min(os.cpu_count() or 1, len(items) // least)
    if processes <= 1:
        yield from map(work, items)
        return
    # Spawned, because forking a process with TensorFlow threads may hang. Ctrl-C reaches all
    # processes; only this one handles it and ends the others.
    spawned = multiprocessing.get_context("spawn")
    with spawned.Pool(processes, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap_unordered(work, items, chunksize=max(1, min(8, least // 8)))


def give_way() -> None:
    """Leave the processors to other programs that want them, from now on.

    Nothing is slower where no other wants one, and no result changes, as it may with the number of
    threads. On Linux a priority is that of a thread, so those that libraries have started are
    lowered too, and later ones inherit it. On Windows nothing changes.
    """
    if sys.platform == "win32":
        return
    threads = [int(path.name) for path in _THREADS.iterdir()] if _THREADS.is_dir() else [0]
    for thread in threads:
        # It has ended meanwhile, or a sandbox does not let one ask.
        with suppress(OSError):
            before = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, max(before, _NICENESS))
