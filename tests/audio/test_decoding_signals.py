"""A signal ends decoding, wherever it arrives, and never shortens a sound."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.audio.encode import encode, sweep

from crydistill.audio.file_slice import FileSlice
from crydistill.audio.files import read_audio

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

NAMES = ("plain.wav", "mended.wav", "single.ogg", "chained.ogg", "voice.mp3", "voice.m4a")
CALLBACKS = ("read", "readinto", "seek", "tell")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for each way to a decoder."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in ("plain.wav", "mended.wav"):
        soundfile.write(folder / name, sweep(2.0, 22_050), 22_050, "PCM_16")
    data = (folder / "mended.wav").read_bytes()
    (folder / "mended.wav").write_bytes(data[:40] + bytes(4) + data[44:])  # a length of 0
    soundfile.write(folder / "single.ogg", sweep(2.0, 48_000), 48_000, "OPUS", format="OGG")
    data = (folder / "single.ogg").read_bytes()
    (folder / "chained.ogg").write_bytes(data + data)
    encode(folder / "voice.mp3", "libmp3lame", 44_100, sweep(2.0, 44_100))
    encode(folder / "voice.m4a", "aac", 44_100, sweep(2.0, 44_100))
    return folder


class Ended(BaseException):
    """What the handler of these tests raises."""


@pytest.fixture
def end_on_sigterm() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise Ended

    before = signal.signal(signal.SIGTERM, end)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_in_any_call_from_c(
    name: str, recordings: Path, end_on_sigterm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM arrives in the first, the last and many other calls that a decoder makes."""
    expected = read_audio(recordings / name).samples
    calls, chosen = 0, -1

    def interrupted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: FileSlice, *arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == chosen:
                signal.raise_signal(signal.SIGTERM)
            return original(self, *arguments)

        return call

    for callback in CALLBACKS:
        monkeypatch.setattr(FileSlice, callback, interrupted(getattr(FileSlice, callback)))
    assert np.array_equal(read_audio(recordings / name).samples, expected)
    assert calls > 5
    for place in np.unique(np.linspace(1, calls, 40).astype(int)):
        calls, chosen = 0, int(place)
        with pytest.raises(Ended):
            read_audio(recordings / name)


LOOP = """
import random, signal, sys
from pathlib import Path
import numpy as np
from crydistill.audio.files import AudioReader

class Ended(BaseException):
    pass

raised = caught = rounds = wrong = lost = 0
wanted, seed, *paths = sys.argv[1:]
draw = random.Random(int(seed))

def end(number, frame):
    global raised
    raised += 1
    raise Ended

def arrive(number, frame):
    signal.raise_signal(draw.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)))

def samples(path):
    return np.concatenate(list(AudioReader(path).blocks()))

expected = {path: samples(path) for path in paths}
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, end)
signal.signal(signal.SIGALRM, arrive)
while rounds < int(wanted):
    path = paths[rounds % len(paths)]
    before = raised
    try:
        signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-4, 8e-3))
        while raised == before:
            got = samples(path)
            wrong += not np.array_equal(got, expected[path])
        lost += 1
    except Ended:
        caught += 1
    rounds += 1
print(raised, caught, wrong, lost)
"""


def test_signals_at_random_moments(recordings: Path) -> None:
    """Each ends the decoding that it meets, and what is decoded is whole."""
    rounds = 120
    paths = [str(recordings / name) for name in NAMES]
    done = subprocess.run(
        [sys.executable, "-c", LOOP, str(rounds), "7", *paths],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.stderr == ""
    raised, caught, wrong, lost = map(int, done.stdout.split())
    assert (raised, caught, wrong, lost) == (rounds, rounds, 0, 0)
