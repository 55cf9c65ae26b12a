"""Signals wait, none is lost, and the handlers are what they were."""

import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from crydistill.deferred_signals import deferred_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """What the handlers of these tests raise."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise Ended(number)

    before = {number: signal.signal(number, end) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def installed() -> list[object]:
    return [signal.getsignal(number) for number in NUMBERS]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_waits_for_the_end(number: signal.Signals) -> None:
    before, steps = installed(), []
    with pytest.raises(Ended) as ended, deferred_signals():
        signal.raise_signal(number)
        steps.append("goes on")
    assert steps == ["goes on"]
    assert ended.value.args == (number,)
    assert installed() == before


def test_it_comes_before_another_error() -> None:
    with pytest.raises(Ended) as ended, deferred_signals():
        signal.raise_signal(signal.SIGTERM)
        raise OSError("a disk that fails")
    assert isinstance(ended.value.__context__, OSError)


def test_the_outermost_delivers() -> None:
    steps = []
    with pytest.raises(Ended), deferred_signals():
        with deferred_signals():
            signal.raise_signal(signal.SIGTERM)
        steps.append("goes on")
    assert steps == ["goes on"]


def test_every_signal_is_delivered() -> None:
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if number == signal.SIGINT:
            raise Ended

    for number in NUMBERS:
        signal.signal(number, note)
    with pytest.raises(Ended), deferred_signals():
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
    assert received == [signal.SIGINT, signal.SIGINT, signal.SIGTERM]


def test_what_is_ignored_or_ends_the_process_stays() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with deferred_signals():
        signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


@pytest.mark.parametrize("calls_before", range(7))
def test_a_signal_while_handlers_change_is_not_lost_either(
    calls_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM arrives right after each of the six changes, three on the way in, three out."""
    before, steps, calls = installed(), [], 0
    change = signal.signal

    def interrupted(number: int, handler: object) -> object:
        nonlocal calls
        replaced = change(number, handler)  # type: ignore[arg-type]
        calls += 1
        if calls == calls_before:
            signal.raise_signal(signal.SIGTERM)
        return replaced

    monkeypatch.setattr(signal, "signal", interrupted)
    try:
        with deferred_signals():
            steps.append("inside")
            if calls_before == 0:
                signal.raise_signal(signal.SIGTERM)
    except Ended:
        steps.append("ended")
    monkeypatch.undo()
    assert steps in (["ended"], ["inside", "ended"])
    with pytest.raises(Ended):  # SIGINT's handler answers at once, whichever is installed
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(Ended):
        signal.raise_signal(signal.SIGHUP)
    if calls_before in (0, 2, 3):
        assert installed() == before


def test_a_handler_that_changes_handlers_has_the_last_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when the second Ctrl-C is to have its usual effect."""
    change, calls = signal.signal, 0

    def restore(number: int, frame: FrameType | None) -> None:
        for each in NUMBERS:
            change(each, signal.SIG_IGN)

    for number in NUMBERS:
        signal.signal(number, restore)

    def interrupted(number: int, handler: object) -> object:
        nonlocal calls
        replaced = change(number, handler)  # type: ignore[arg-type]
        calls += 1
        if calls == 4:
            signal.raise_signal(signal.SIGTERM)  # the first is out, the others are not
        return replaced

    monkeypatch.setattr(signal, "signal", interrupted)
    with deferred_signals():
        pass
    assert installed() == [signal.SIG_IGN] * 3


def test_other_threads_are_left_alone() -> None:
    before, seen = installed(), []

    def work() -> None:
        with deferred_signals():
            seen.append(installed())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
