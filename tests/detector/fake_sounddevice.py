"""Stands in for `sounddevice` in a soak: a microphone that plays an episode, dies and comes back.

It plays the file `episode` beside it as fast as it is listened to, and adds a byte to the file
`episodes` after each. Then it vanishes (opening fails twice), delivers nothing, or delivers zeros.
"""

import threading
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SPEED = 60.0
ZERO_SECONDS = 20.0

_opened = 0
_to_fail = 0


class PortAudioError(Exception):
    """A device that cannot be opened."""


def _terminate() -> None:
    pass


def _initialize() -> None:
    pass


def check_input_settings(**_: Any) -> None:
    """Refuse while the microphone has vanished."""
    global _to_fail  # noqa: PLW0603
    if _to_fail:
        _to_fail -= 1
        raise PortAudioError("Device unavailable")


def query_devices(device: Any, kind: str) -> dict[str, float]:
    """As `check_input_settings`: there is no device."""
    raise ValueError("No input device")


class RawInputStream:
    """Plays an episode, then does what dying is this time."""

    def __init__(self, *, blocksize: int, callback: Any, **_: Any) -> None:
        global _opened
        self._bytes, self._callback, self._ended = 2 * blocksize, callback, threading.Event()
        self._way, _opened = _opened % 3, _opened + 1
        self._thread = threading.Thread(target=self._play, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _play(self) -> None:
        global _to_fail  # noqa: PLW0603
        sound = (FOLDER / "episode").read_bytes()
        if self._way == 1:
            sound += bytes(int(ZERO_SECONDS * 32_000))
        if self._way == 2:
            _to_fail = 2
        for start in range(0, len(sound) - self._bytes, self._bytes):
            if self._ended.wait(self._bytes / 32_000 / SPEED):
                return
            self._callback(sound[start : start + self._bytes], self._bytes // 2, None, None)
        time.sleep(0.5)
        with (FOLDER / "episodes").open("ab") as file:
            file.write(b".")
