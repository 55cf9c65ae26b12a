import io
import os
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.detector.sounds import LoudnessScorer

from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.detector import live, sources
from crydistill.detector.live import LiveEvent
from crydistill.detector.sources import (
    Dropped,
    SourceLost,
    in_background,
    microphone_blocks,
    pcm_blocks,
)
from crydistill.detector.vote import VoteSettings
from crydistill.errors import AudioError, ConfigError, MissingExtraError


def pcm(count: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.random.default_rng(0).integers(-32_768, 32_767, count).astype("<i2")


@pytest.mark.parametrize("count", [1, 70_000])
def test_pcm_becomes_samples(count: int) -> None:
    values = pcm(count)
    blocks = list(pcm_blocks(io.BytesIO(values.tobytes())))
    samples = np.concatenate([*blocks, np.empty(0, np.float32)])
    assert samples.dtype == np.float32
    assert np.array_equal(samples * 32_768, values)


def through_a_pipe(parts: Iterable[bytes], *, pause: float = 0, blocking: bool = True) -> Samples:
    """Sound that is written into a pipe part by part, each after a pause, as it is read."""
    reading, writing = os.pipe()
    os.set_blocking(reading, blocking)

    def write() -> None:
        for part in parts:
            time.sleep(pause)
            os.write(writing, part)
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as stream:
        samples = np.concatenate(list(pcm_blocks(stream)))
    writer.join()
    return samples


def test_odd_bytes_do_not_shift_the_rest() -> None:
    values = pcm(5_000)
    data, step = values.tobytes(), 777
    samples = through_a_pipe(data[start : start + step] for start in range(0, len(data), step))
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
    assert len(samples) == 2 * SAMPLE_RATE  # to the last one, which a resampler holds back
    spectrum = np.abs(np.fft.rfft(samples[4_000:20_000]))
    assert int(spectrum.argmax()) == 1000
    with pytest.raises(ConfigError, match="not a supported sample rate"):
        next(pcm_blocks(io.BytesIO(b""), rate=16))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ended before any sound"),
        (b"\1", "ended before any sound"),
        (b"fLaC" + bytes(100), "standard input is FLAC, not PCM.*ffmpeg -i - -f s16le"),
        (b"OggS" + bytes(100), "is Ogg"),
        (b"ID3\4" + bytes(100), "is MP3"),
        (bytes(3) + b"\x20ftypM4A " + bytes(100), "is MP4"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "is Matroska"),
        (b"FORM" + bytes(100), "is AIFF"),
        (b"RIFF\0\0\0\0AVI " + bytes(100), "is RIFF without sound"),
        (3 * (b"\x47" + bytes(187)), "is MPEG-TS"),
        (b"FLV\1" + bytes(100), "is FLV"),
        (b"<!DOCTYPE html>\n<title>401 Unauthorized</title>", "is text .'<!DOCTYPE html> <title>"),
        (b"404 Not Found\n", "is text .'404 Not Found'"),
    ],
)
def test_what_is_not_pcm_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        list(pcm_blocks(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("header", "length", "name"),
    [
        (b"\xff\xfb\x90\x00", 417, "MP3"),  # MPEG 1, 128 kbit/s, 44.1 kHz
        (b"\xff\xf3\x44\xc0", 96, "MP3"),  # MPEG 2, 32 kbit/s, 24 kHz
        (b"\xff\xf1\x50\x80\x02\x1f\xfc", 16, "AAC"),
    ],
)
def test_frames_without_a_name_are_recognised(header: bytes, length: int, name: str) -> None:
    frame = header + bytes(length - len(header))
    with pytest.raises(AudioError, match=f"is {name}, not PCM"):
        list(pcm_blocks(io.BytesIO(3 * frame)))
    # The same bytes once are PCM like any other.
    once = header + pcm(1_000).tobytes() + bytes(len(header) % 2)
    assert sum(map(len, pcm_blocks(io.BytesIO(once)))) == len(once) // 2


def test_paths_are_no_microphones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "USB").mkdir()
    (tmp_path / "recording").touch()
    os.mkfifo(tmp_path / "pipe")
    recordings = ["recording", "pipe", str(tmp_path), "USB/", "./USB", "gone.wav"]
    assert all(sources.is_recording(name) for name in recordings)
    assert not any(sources.is_recording(name) for name in ["", "USB", "hw:1,0", "1", "no/such"])


def test_an_odd_byte_at_the_end_is_said() -> None:
    said: list[str] = []
    blocks = list(pcm_blocks(io.BytesIO(pcm(500).tobytes() + b"\1"), say=said.append))
    assert sum(map(len, blocks)) == 500
    assert len(said) == 1 and "ended with 1 of the 2 bytes of a sample" in said[0]


def test_a_non_blocking_pipe_that_is_empty_has_not_ended() -> None:
    values = pcm(4_000)
    parts = (part.tobytes() for part in np.split(values, 4))
    samples = through_a_pipe(parts, pause=0.1, blocking=False)
    assert np.array_equal(samples * 32_768, values)


def test_a_stream_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as stream, pytest.raises(AudioError, match="cannot be read"):
        list(pcm_blocks(stream))
    with pytest.raises(AudioError, match="cannot be read"):
        list(pcm_blocks(stream))  # closed


def test_a_background_source_ticks_while_it_has_nothing() -> None:
    going, closed = threading.Event(), threading.Event()

    def source() -> Generator[Samples]:
        try:
            yield np.ones(1, np.float32)
            assert going.wait(20)
            yield np.ones(2, np.float32)
            while True:
                yield np.empty(0, np.float32)
        finally:
            closed.set()

    blocks = in_background(source, tick=0.02)
    assert len(next(blocks)) == 1
    assert [len(next(blocks)) for _ in range(3)] == [0, 0, 0]
    going.set()
    assert next(block for block in blocks if len(block)).shape == (2,)
    blocks.close()
    assert closed.wait(20)


def test_a_background_source_passes_on_everything_and_its_error() -> None:
    made = 0

    def source() -> Generator[Samples]:
        nonlocal made
        for number in range(200):
            made += 1
            yield np.full(3, number, np.float32)
        raise SourceLost("gone")

    heard: list[float] = []
    with pytest.raises(SourceLost, match="gone"):
        for block in in_background(source):
            if len(block):
                heard.append(float(block[0]))
                assert made <= len(heard) + 20  # not read far ahead of a slow listener
    assert heard == list(range(200))


class FakePortAudio:
    """Stands in for the module `sounddevice`."""

    class PortAudioError(Exception):
        pass

    def __init__(
        self,
        *,
        rates: tuple[int, ...] = (16_000,),
        blocks: int = 3,
        value: int = 16_384,
        noise: bool = False,
    ) -> None:
        self.rates, self.blocks, self.value = rates, blocks, value
        self.noise = noise
        self.opened = self.restarts = 0
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

        def deliver() -> None:
            data = pcm(blocksize) if self.noise else np.full(blocksize, self.value, "<i2")
            callback(data.tobytes(), blocksize, None, None)

        self.deliver = deliver
        for _number in range(self.blocks):
            deliver()
        fake = self

        class Stream:
            def __enter__(self) -> None:
                pass

            def __exit__(self, *_: object) -> None:
                fake.closed += 1

        return Stream()


def microphone(monkeypatch: pytest.MonkeyPatch, fake: Any) -> Iterator[Any]:
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return microphone_blocks(patience=0.05)


def test_a_microphone_gives_blocks_until_it_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePortAudio()
    blocks = microphone(monkeypatch, fake)
    for _ in range(3):
        block = next(blocks)
        assert block.shape == (3_840,) and np.all(block == 0.5)
    with pytest.raises(SourceLost, match="delivered no audio for"):
        next(blocks)
    assert (fake.opened, fake.closed, fake.restarts) == (1, 1, 1)


def test_a_microphone_of_another_rate_is_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = microphone(monkeypatch, FakePortAudio(rates=(48_000,), blocks=5))
    heard = sum(len(next(blocks)) for _ in range(5))
    assert heard == pytest.approx(5 * 3_840, abs=1_000)


def test_what_cannot_be_kept_up_with_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = microphone(monkeypatch, FakePortAudio(blocks=10_000))
    heard = 0
    with pytest.raises(SourceLost):
        for block in blocks:
            heard += len(block)
    assert heard == 30 * SAMPLE_RATE


def test_what_is_dropped_is_missing_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePortAudio(blocks=135)
    said: list[str] = []
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    blocks = microphone_blocks(patience=0.05, say=said.append)
    assert len(next(blocks)) == 3_840
    fake.deliver()  # dropped, too: there still is a backlog
    assert sum(len(next(blocks)) for _ in range(124)) == 124 * 3_840
    fake.deliver()
    assert next(blocks) == Dropped(pytest.approx(11 * 0.24))
    assert len(next(blocks)) == 3_840
    assert len(said) == 1


def test_dropped_audio_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakePortAudio(blocks=10_000))
    said: list[str] = []
    with pytest.raises(SourceLost):
        list(microphone_blocks(patience=0.05, say=said.append))
    assert said == ["this machine is too slow to score all audio; some is dropped"]


def test_a_microphone_of_nothing_but_zeros_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "REOPEN_SECONDS", 1.0)
    fake = FakePortAudio(blocks=5, value=0)
    blocks = microphone(monkeypatch, fake)
    for _ in range(12):
        assert not next(blocks).any()
    assert (fake.opened, fake.closed) == (3, 2)


def test_a_microphone_that_vanishes_ends_its_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RETRY_SECONDS", (0.05, 0.1))
    fake = FakePortAudio(blocks=10, noise=True)  # 2.4 s, then nothing more
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    vote = VoteSettings(threshold=0.5, n=2, m=3, hold_seconds=0.3)
    events, told, said = list[LiveEvent](), list[bool](), list[str]()
    live.listen(
        lambda: in_background(lambda: microphone_blocks(patience=0.4)),
        live.Listener(LoudnessScorer(), vote),
        emit=events.append,
        available=told.append,
        say=said.append,
        stopping=lambda: len(events) == 4,
        patience=5,
    )
    assert [event.kind.value for event in events] == ["on", "off", "on", "off"]
    assert all(event.reason == "no sound" for event in events[1::2])
    assert told == [False, True, False]
    assert said[0] == "the microphone delivered no audio for 0.4 s; retrying until it works"
    assert said[1].startswith("sound is back after ")
    assert fake.opened == fake.closed >= 2


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
