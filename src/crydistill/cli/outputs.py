"""Where a listener's events and state go: standard output, a display, publishers, the nights."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from crydistill.cli.stop_signals import StopSignals
    from crydistill.detector.live import LiveEvent, LiveState, Publisher
    from crydistill.detector.night import NightSummary
    from crydistill.detector.night_log import NightLog


class Outputs:
    """Hands on what a listener hears; what it holds is closed when it is left.

    Parameters
    ----------
    make_log : makes the log of nights, from what to do with the summary of one
    stop : whether an end was asked for; a reader that was stopped, too, is no error then
    """

    def __init__(
        self,
        publishers: "Sequence[Publisher]",
        make_log: "Callable[[Callable[[NightSummary], None]], NightLog]",
        stop: "StopSignals",
    ) -> None:
        self._publishers, self._stop = publishers, stop
        self._log = make_log(self._night)
        self._display = _Display()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._display.close()
        self._log.close()
        for publisher in self._publishers:
            publisher.close()

    def emit(self, event: "LiveEvent") -> None:
        """An alert went on or off."""
        for publisher in self._publishers:
            publisher.publish(event)
        self._print(event.to_json())
        self._log.publish(event)

    def show(self, state: "LiveState") -> None:
        """The state after a block."""
        self._display.show(state)
        self._log.heard(state)
        for publisher in self._publishers:
            publisher.heard(state)

    def available(self, sound: bool) -> None:
        """The sound is gone, or back."""
        for publisher in self._publishers:
            publisher.available(sound)

    def _night(self, summary: "NightSummary") -> None:
        for publisher in self._publishers:
            publisher.night(summary)
        self._print(summary.to_json())

    def _print(self, content: dict[str, Any]) -> None:
        try:
            print(json.dumps(content), flush=True)
        except OSError:
            if not self._stop.requested():
                raise
            # The reader was stopped, too. Python would fail to write the line again when it exits.
            sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115


class _Display:
    """The state on a terminal; nothing where standard error is none."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._screen = Console(stderr=True)
        # Events belong to standard output even while the display is on standard error.
        self._live = Live(
            console=self._screen,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        self._live.start()

    def show(self, state: "LiveState") -> None:
        """Draw the state; a terminal that was closed does not end the listening."""
        from crydistill.detector.live import display

        with suppress(OSError):
            self._live.update(display(state), refresh=self._screen.is_terminal)

    def close(self) -> None:
        """Remove the display."""
        with suppress(OSError):
            self._live.stop()
