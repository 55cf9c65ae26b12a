"""Work that is divided among processes."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


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
