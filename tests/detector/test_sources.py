import io
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.detector import sources
from crydistill.detector.sources import SourceLost, microphone_blocks, pcm_blocks
from crydistill.errors import ConfigError, MissingExtraError


def pcm(count: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.random.default_rng(0).integers(-32_768, 32_767, count).astype("<i2")


@pytest.mark.parametrize("count", [0, 1, 70_000])
def test_pcm_becomes_samples(count: int) -> None:
    values = pcm(count)
    blocks = list(pcm_blocks(io.BytesIO(values.tobytes())))
    samples = np.concatenate([*blocks, np.empty(0, np.float32)])
    assert samples.dtype == np.float32
    assert np.array_equal(samples * 32_768, values)


def test_odd_bytes_do_not_shift_the_rest() -> None:
    values = pcm(5_000)
    reading, writing = os.pipe()

    def write() -> None:
        data, step = values.tobytes(), 777
        for start in range(0, len(data), step):
            os.write(writing, data[start : start + step])
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as stream:
        samples = np.concatenate(list(pcm_blocks(stream)))
    writer.join()
    assert np.array_equal(samples * 32_768, values)


def test_a_pipe_is_read_as_it_fills() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream:
        blocks = pcm_blocks(stream)
        os.write(writing, bytes(3_200))
        assert len(next(blocks)) == 1_600  # a read of a whole buffer would wait for more
        os.close(writing)
        assert list(blocks) == []


def test_other_rates_are_resampled() -> None:
    time = np.arange(2 * 48_000) / 48_000
    tone = (16_384 * np.sin(2 * np.pi * 1000 * time)).astype("<i2")
    samples = np.concatenate(list(pcm_blocks(io.BytesIO(tone.tobytes()), rate=48_000)))
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE, abs=2_000)
    spectrum = np.abs(np.fft.rfft(samples[4_000:20_000]))
    assert int(spectrum.argmax()) == 1000
    with pytest.raises(ConfigError, match="not a supported sample rate"):
        next(pcm_blocks(io.BytesIO(b""), rate=16))


class FakePortAudio:
    """Stands in for the module `sounddevice`."""

    class PortAudioError(Exception):
        pass

    def __init__(self, *, rates: tuple[int, ...] = (16_000,), blocks: int = 3) -> None:
        self.rates, self.blocks, self.opened, self.restarts = rates, blocks, 0, 0
        self.closed = 0

    def _terminate(self) -> None:
        self.restarts += 1

    def _initialize(self) -> None:
        pass

    def check_input_settings(self, *, samplerate: int, **_: Any) -> None:
        if samplerate not in self.rates:
            raise self.PortAudioError("Invalid sample rate")

    def query_devices(self, device: Any, kind: str) -> dict[str, float]:
        if not self.rates:
            raise ValueError("No input device matching 'x'")
        return {"default_samplerate": float(self.rates[0])}

    def RawInputStream(self, *, blocksize: int, callback: Any, **_: Any) -> Any:  # noqa: N802
        self.opened += 1
        for _number in range(self.blocks):
            callback(np.full(blocksize, 16_384, "<i2").tobytes(), blocksize, None, None)
        fake = self

        class Stream:
            def __enter__(self) -> None:
                pass

            def __exit__(self, *_: object) -> None:
                fake.closed += 1

        return Stream()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MICROPHONE_PATIENCE_SECONDS", 0.05)


def microphone(monkeypatch: pytest.MonkeyPatch, fake: Any) -> Iterator[Any]:
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return microphone_blocks()


@pytest.mark.usefixtures("patience")
def test_a_microphone_gives_blocks_until_it_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePortAudio()
    blocks = microphone(monkeypatch, fake)
    for _ in range(3):
        block = next(blocks)
        assert block.shape == (3_840,) and np.all(block == 0.5)
    with pytest.raises(SourceLost, match="delivered no audio for"):
        next(blocks)
    assert (fake.opened, fake.closed, fake.restarts) == (1, 1, 1)


@pytest.mark.usefixtures("patience")
def test_a_microphone_of_another_rate_is_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = microphone(monkeypatch, FakePortAudio(rates=(48_000,), blocks=5))
    heard = sum(len(next(blocks)) for _ in range(5))
    assert heard == pytest.approx(5 * 3_840, abs=1_000)


@pytest.mark.usefixtures("patience")
def test_what_cannot_be_kept_up_with_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = microphone(monkeypatch, FakePortAudio(blocks=10_000))
    heard = 0
    with pytest.raises(SourceLost):
        for block in blocks:
            heard += len(block)
    assert heard == 30 * SAMPLE_RATE


def test_no_microphone_is_a_lost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceLost, match=r"cannot be used \(No input device matching"):
        next(microphone(monkeypatch, FakePortAudio(rates=())))


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(error: Exception) -> Any:
        def raise_it(name: str) -> Any:
            raise error

        return raise_it

    monkeypatch.setattr(sources, "import_module", missing(ModuleNotFoundError("sounddevice")))
    with pytest.raises(MissingExtraError, match=r"crydistill\[live\]"):
        next(microphone_blocks())
    monkeypatch.setattr(sources, "import_module", missing(OSError("PortAudio library not found")))
    with pytest.raises(MissingExtraError, match="libportaudio2"):
        next(microphone_blocks())
