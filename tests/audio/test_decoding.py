"""What is no recording gets one line."""

import os
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.audio.encode import encode, sweep

from crydistill.audio.file_slice import FileSlice
from crydistill.audio.files import (
    AudioReader,
    native_rate,
    read_audio,
    read_native,
    recording_seconds,
)
from crydistill.errors import AudioError

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


def refusal(path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder; name the recordings in it" in refusal(tmp_path)


@POSIX
@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev/urandom"])
def test_a_device_is_not_read_for_ever(path: str) -> None:
    assert "pipe or a device" in refusal(Path(path))


@POSIX
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert "`crydistill listen -`" in refusal(tmp_path / "pipe.wav")


@POSIX
def test_standard_input_that_is_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    try:
        assert "pipe or a device" in refusal(Path(f"/dev/fd/{reading}"))
    finally:
        os.close(reading)
        os.close(writing)


@POSIX
def test_a_file_as_standard_input_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sweep(2, 16_000), 16_000)
    with (tmp_path / "a.wav").open("rb") as file:
        assert read_audio(f"/dev/fd/{file.fileno()}").duration == 2


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "locked.wav"
    soundfile.write(path, sweep(1, 16_000), 16_000)
    path.chmod(0)
    assert "cannot be read (Permission denied)" in refusal(path)


def test_names_that_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("nowhere.wav", "file/below.wav", "nul\0.wav", "x" * 300):
        message = refusal(tmp_path / name)
        assert "no such file" in message or "cannot be read" in message


@POSIX
def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xe9b\xe9.wav"))
    try:
        soundfile.write(tmp_path / "a.wav", sweep(2, 16_000), 16_000)
        (tmp_path / "a.wav").rename(path)
    except OSError:
        pytest.skip("this file system wants UTF-8")
    assert read_audio(path).duration == 2


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    message = refusal(tmp_path / "empty.wav")
    assert "the file is empty" in message
    assert "remove" not in message and "delete" not in message


@pytest.mark.parametrize("name", ["take.raw", "take.pcm", "take.s16", "take"])
def test_samples_without_a_header_are_refused_with_the_way_to_give_them(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes((sweep(5, 16_000) * 32_767).astype("<i2").tobytes())
    message = refusal(path)
    assert "crydistill listen - --rate 16000 < FILE" in message
    assert "ffmpeg -f s16le" in message


def test_noise_is_not_taken_for_a_format(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "noise.raw"
    for _ in range(20):
        path.write_bytes(rng.integers(0, 256, 100_000, dtype=np.uint8).tobytes())
        assert "no header" in refusal(path)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:5,\nfile:///etc/passwd\n",
        "ffconcat version 1.0\nfile a.wav\n",
        "<?xml version='1.0'?><MPD></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 4000 RTP/AVP 0\n",
    ],
)
def test_a_playlist_opens_no_other_file(text: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sweep(1, 16_000), 16_000)
    path = tmp_path / "list.m3u8"
    path.write_text(text)
    assert "cannot be decoded" in refusal(path)


def test_what_the_file_holds_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    stereo = np.stack([sweep(40, 8_000), sweep(40, 8_000)], axis=1)
    soundfile.write(path, stereo, 8_000, "FLOAT")
    assert native_rate(path) == 8_000
    assert recording_seconds(path) == 40
    ((rate, samples),) = read_native(path)
    assert rate == 8_000
    assert np.array_equal(samples, stereo)
    reader = AudioReader(path)
    assert sum(len(block) for block in reader.blocks()) == reader.samples == 40 * 16_000
    assert reader.native_rate == 8_000


def test_nothing_to_count(tmp_path: Path) -> None:
    path = tmp_path / "none.wav"
    soundfile.write(path, np.zeros(0), 8_000)
    for count in (native_rate, recording_seconds):
        with pytest.raises(AudioError, match="contains no audio"):
            count(path)
    assert read_native(path) == []


@pytest.mark.parametrize("name", ["long.wav", "long.m4a", "long.ogg", "long.flac"])
def test_memory_does_not_grow_with_length(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    minutes = 20
    if name == "long.m4a":
        encode(path, "aac", 16_000, sweep(60 * minutes, 16_000))
    else:
        with soundfile.SoundFile(path, "w", 16_000, 1) as file:
            for _ in range(minutes):
                file.write(sweep(60, 16_000))
    tracemalloc.start()
    try:
        reader = AudioReader(path)
        for _ in reader.blocks():
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reader.duration == pytest.approx(60 * minutes, abs=0.1)
    assert peak < 16e6  # the samples of 20 minutes are 77 MB


class Failing:
    """A disk that fails half way, or Ctrl-C."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def seek(self, place: int) -> None:
        pass

    def read(self, count: int) -> bytes:
        raise self.error


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_window_keeps_what_went_wrong_for_later(error: BaseException) -> None:
    window = FileSlice(Failing(error), 0, 100)  # type: ignore[arg-type]
    assert window.read(10) == b""
    with pytest.raises(type(error)):
        window.check()


def test_a_window_reads_header_and_part(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(100)))
    with (tmp_path / "file").open("rb") as file:
        window = FileSlice(file, 10, 20, b"head")
        assert window.read() == b"head" + bytes(range(10, 20))
        for place in range(len(window) + 1):
            assert window.seek(place) == place
            assert window.read(3) == (b"head" + bytes(range(10, 20)))[place : place + 3]
        assert window.seek(-1) == -1
        assert window.seek(-2, os.SEEK_END) == 12


@pytest.mark.parametrize(("suffix", "kind", "subtype"), [
    ("opus", "OGG", "OPUS"), ("ogg", "OGG", "VORBIS"), ("wav", "WAV", "PCM_16"),
])  # fmt: skip
def test_reading_in_order_gives_what_seeking_after_each_block_does(
    suffix: str, kind: str, subtype: str, tmp_path: Path
) -> None:
    """Of a recording of several blocks, bit for bit."""
    path, rate = tmp_path / f"long.{suffix}", 48_000
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate, 1, subtype, format=kind) as file:
        for _ in range(70):
            file.write(rng.normal(0, 0.1, rate))
    whole = np.concatenate([block for _, block in read_native(path)])
    with soundfile.SoundFile(path) as file:
        parts = [file.read(30 * rate, dtype="float32", always_2d=True) for _ in range(3)]
    assert whole.tobytes() == np.concatenate(parts).tobytes()
