"""Take turns: the ways of doing one thing run one after the other, in alternating order.

What slows the machine down for a while then slows all of them, so that the ratio of two holds on a
busy machine, where seconds do not.
"""

import time
from collections.abc import Callable, Mapping

ROUNDS = 5

Work = Callable[[], object]


def seconds(work: Work) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def processor_seconds(work: Work) -> float:
    """Processor seconds of this process during one call, for work on one thread."""
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turn(
    ways: Mapping[str, Work],
    rounds: int = ROUNDS,
    *,
    warm: bool = True,
    clock: Callable[[Work], float] = seconds,
) -> dict[str, list[float]]:
    """Measure each way once a round, in the order A B, B A, A B and so on.

    Parameters
    ----------
    warm : whether each runs once before, uncounted

    Returns
    -------
    Seconds of each way by round.
    """
    if warm:
        for work in ways.values():
            work()
    measured: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways) if number % 2 == 0 else reversed(ways):
            measured[name].append(clock(ways[name]))
    return measured
