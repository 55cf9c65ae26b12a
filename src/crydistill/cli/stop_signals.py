"""End a command that runs until it is told to stop, without losing what it holds."""

import signal
from types import FrameType, TracebackType
from typing import Self

from typer import Exit

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


class StopSignals:
    """Turns SIGINT, SIGTERM and SIGHUP into a request to stop, while it is entered.

    A second signal has its usual effect, in case stopping takes too long. A signal that was ignored
    (`nohup`, a shell's background job) stays ignored.

    Attributes
    ----------
    received : the signal; None before the first
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.received is not None

    def end(self) -> None:
        """End the command: a deliberate stop is no failure, but Ctrl-C is 130 everywhere."""
        if self.received == signal.SIGINT:
            raise Exit(INTERRUPTED)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)  # type: ignore[arg-type]
