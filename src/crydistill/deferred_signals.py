"""Signals that wait while a library written in C calls Python.

An exception cannot pass through C: what a signal's handler raises in a callback, or in a finalizer
(`__del__`), is printed and dropped. Ctrl-C or SIGTERM would then be lost, and a callback that broke
off would look like the end of a file.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""What asks a program to end; Windows has no SIGHUP."""

_Handler = Callable[[int, FrameType | None], object]


class _Waiting:
    """A handler that remembers signals while it defers them, and passes them on afterwards."""

    def __init__(self) -> None:
        self.defers = True
        self.before: dict[int, _Handler] = {}
        self._received: list[int] = []

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.defers:
            self._received.append(number)
        else:
            self.before[number](number, frame)

    def install(self) -> None:
        for number in _SIGNALS:
            # Those that are ignored, or end the process at once, raise nothing.
            if callable(handler := signal.getsignal(number)):
                self.before[number] = handler
                signal.signal(number, self)

    def uninstall(self) -> None:
        for number, handler in self.before.items():
            current = signal.signal(number, handler)
            if current is not self:  # a handler that was passed on to has replaced it
                signal.signal(number, current)

    def deliver(self) -> None:
        if self._received:
            try:
                signal.raise_signal(self._received.pop(0))
            finally:
                self.deliver()


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back within a `with` statement, and deliver them at its end.

    To be entered around short calls of a library that calls Python, such as the decoding of one
    block. Python runs handlers in the main thread alone, so elsewhere it does nothing. It may be
    nested: the outermost delivers.

    Raises
    ------
    BaseException
        what the handlers raise: KeyboardInterrupt for Ctrl-C, unless the program says otherwise.

    Examples
    --------
    >>> try:
    ...     with deferred_signals():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("goes on")
    ... except KeyboardInterrupt:
    ...     print("then ends")
    goes on
    then ends
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting = _Waiting()
    try:
        waiting.install()
        yield
    finally:
        # Whatever a signal interrupts from here on, what stays installed passes signals on.
        waiting.defers = False
        try:
            waiting.uninstall()
        finally:
            waiting.deliver()
