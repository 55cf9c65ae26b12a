"""Meters as a user sees them: on a terminal, in a log, for work of unknown length."""

import os
import pty
import re
import subprocess
import sys
import time

import pytest

from crydistill import progress

SHOWS = """
from crydistill.progress import {meter} as meter
with meter("training", {total}, "windows") as advance:
    advance(20, "epoch 1/3, loss 0.5")
    advance(10)
print("done")
"""


def on_a_terminal(meter: str, total: int) -> str:
    """What stands on a terminal of 80 columns in the end, line by line."""
    ours, theirs = pty.openpty()
    code = SHOWS.format(meter=meter, total=total)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        written += chunk
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


def plain(text: str) -> list[str]:
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def test_a_bar_has_its_note_below() -> None:
    lines = plain(on_a_terminal("shown", 60))
    assert lines[-3].startswith("training ")
    assert "30/60" in lines[-3]
    assert lines[-2:] == ["epoch 1/3, loss 0.5", "done"]
    assert max(map(len, lines)) <= 80


def test_a_passing_bar_is_erased() -> None:
    text = on_a_terminal("shown_meanwhile", 60)
    assert "30/60" in text
    assert text.rindex("\x1b[2K") > text.rindex("30/60")


def test_unknown_lengths_have_a_bar_too() -> None:
    assert any("30/?" in line for line in plain(on_a_terminal("shown", 0)))


@pytest.mark.parametrize(
    ("total", "line"),
    [
        (600, "training: 120 of 600 windows, 1/s, 8 min left; epoch 2/3"),
        (0, "training: 120 windows, 1/s; epoch 2/3"),
    ],
)
def test_a_log_gets_a_line_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, total: int, line: str
) -> None:
    clock = iter([0.0, 59.0, 120.0, 179.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with progress.shown("training", total, "windows") as advance:
        advance(59, "epoch 2/3")  # after 59 s
        advance(61)  # a minute has passed
        advance(59, "epoch 3/3")  # 59 s after the line
    assert capsys.readouterr().err.splitlines() == [line]


def test_silence_takes_notes_too() -> None:
    with progress.silent("training", 60, "windows") as advance:
        advance(1, "epoch 1/3")
