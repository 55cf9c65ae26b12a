"""Ogg files of several links, and with pages that are missing or damaged."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.audio.encode import encode, sweep

from crydistill.audio.files import read_audio
from crydistill.audio.ogg_links import read_links

SECONDS = 4.0


def link(path: Path, codec: str = "VORBIS", rate: int = 16_000, seconds: float = SECONDS) -> bytes:
    soundfile.write(path, sweep(seconds, rate), rate, codec, format="OGG")
    return path.read_bytes()


def reference(data: bytes) -> np.ndarray:
    return np.asarray(soundfile.read(io.BytesIO(data), dtype="float32")[0])


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_link_is_read_as_it_is_alone(codec: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / "chained.ogg"
    one = link(path, codec)
    path.write_bytes(count * one)
    audio = read_audio(path)
    assert np.array_equal(audio.samples, np.tile(reference(one), count))
    joined = (f"{count} streams one after the other: all are read",)
    assert audio.notes == (joined if count > 1 else ())


def test_links_of_other_rates_and_codecs(tmp_path: Path) -> None:
    path = tmp_path / "mixed.ogg"
    data = link(path) + link(path, "OPUS", 48_000) + link(path, rate=44_100)
    path.write_bytes(data)
    audio = read_audio(path)
    assert audio.duration == pytest.approx(3 * SECONDS, abs=0.01)
    # Each begins with the same tone.
    size = 4_000
    for start in (0, round(SECONDS * 16_000), round(2 * SECONDS * 16_000)):
        part = audio.samples[start : start + size]
        assert np.corrcoef(part, sweep(1, 16_000)[:size])[0, 1] > 0.9


def test_codecs_that_libsndfile_does_not_know(tmp_path: Path) -> None:
    path = encode(tmp_path / "whole.ogg", "flac", 16_000, sweep(2, 16_000))
    assert read_audio(path).duration == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_a_hole_is_told_and_nothing_put_in_its_place(codec: str, tmp_path: Path) -> None:
    """libsndfile's Opus decoder repeats the recording's end for as long as the hole is."""
    path = tmp_path / "hole.ogg"
    data = link(path, codec, seconds=20)
    path.write_bytes(data[: len(data) // 2] + data[len(data) * 6 // 10 :])
    audio = read_audio(path)
    assert 10 < audio.duration < 18.5
    assert audio.notes[0] == "damaged: parts are missing"


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_a_page_with_a_wrong_checksum_is_a_hole(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "flipped.ogg"
    data = bytearray(link(path, codec, seconds=20))
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    audio = read_audio(path)
    assert 15 < audio.duration < 20
    assert audio.notes[0] == "damaged: parts are missing"


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_a_recording_that_was_never_finished(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "cut.ogg"
    data = link(path, codec, seconds=20)
    path.write_bytes(data[: len(data) // 2])
    audio = read_audio(path)
    assert 3 < audio.duration < 12


def test_what_lies_between_pages_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "junk.ogg"
    one = link(path)
    path.write_bytes(one + 70_000 * b"OggX" + one)
    with path.open("rb") as file:
        links = read_links(file)
    assert [(part.start, part.whole) for part in links] == [(0, True), (len(one) + 280_000, True)]
    assert read_audio(path).duration == pytest.approx(2 * SECONDS, abs=0.01)


def test_no_page_no_link() -> None:
    for data in (b"", b"OggS", b"OggS" + bytes(100), 100 * b"OggS"):
        with io.BytesIO(data) as file:
            assert all(part.stop <= len(data) for part in read_links(file))
