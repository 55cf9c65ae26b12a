"""Files of samples whose headers are wrong about their length."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.audio.encode import sweep

from crydistill.audio.files import read_audio
from crydistill.audio.wave_headers import read_layout
from crydistill.errors import AudioError

RATE = 16_000
SECONDS = 5.0
SOUND = sweep(SECONDS, RATE)
KINDS = {
    "a.wav": ("WAV", "PCM_16", "LITTLE"),
    "b.wav": ("WAV", "FLOAT", "LITTLE"),
    "c.wav": ("WAV", "PCM_24", "LITTLE"),
    "x.wav": ("WAV", "PCM_16", "BIG"),
    "r.wav": ("RF64", "PCM_16", "FILE"),
    "e.wav": ("WAVEX", "PCM_16", "FILE"),
    "w.w64": ("W64", "PCM_16", "FILE"),
    "f.aiff": ("AIFF", "PCM_16", "FILE"),
    "g.au": ("AU", "PCM_16", "FILE"),
    "h.caf": ("CAF", "PCM_16", "FILE"),
}


def whole(path: Path) -> bytes:
    form, subtype, endian = KINDS[path.name]
    soundfile.write(path, SOUND, RATE, subtype, endian, form)
    return path.read_bytes()


def sizes_at(name: str, data: bytes) -> list[tuple[int, str, int]]:
    """Where a header says how much sound there is: place, format, and what it counts besides."""
    form, _, endian = KINDS[name]
    at = data.rfind(b"SSND" if form == "AIFF" else b"data")
    if form == "RF64":
        return [(28, "<Q", 0)]
    if form == "W64":
        return [(at + 16, "<q", 24)]
    if form == "AIFF":
        return [(at + 4, ">I", 8)]
    if form == "AU":
        return [(8, ">I", 0)]
    if form == "CAF":
        return [(at + 4, ">q", 4)]
    return [(at + 4, ">I" if endian == "BIG" else "<I", 0)]


def claiming(name: str, data: bytes, share: float) -> bytes:
    changed = bytearray(data)
    for at, kind, besides in sizes_at(name, data):
        (size,) = struct.unpack_from(kind, data, at)
        sound = int(share * (size - besides)) // 24 * 24
        struct.pack_into(kind, changed, at, besides + sound)
    return bytes(changed)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_all_sound_is_read_though_the_header_claims_less(
    name: str, share: float, tmp_path: Path
) -> None:
    path = tmp_path / name
    data = whole(path)
    expected = read_audio(path)
    path.write_bytes(claiming(name, data, share))
    audio = read_audio(path)
    assert np.array_equal(audio.samples, expected.samples)
    assert audio.notes == (f"the header claims {share * SECONDS:.1f} s, the file holds 5.0 s",)


@pytest.mark.parametrize("name", KINDS)
def test_a_recording_that_was_cut_is_read_to_its_end(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    data = whole(path)
    path.write_bytes(data[: len(data) * 2 // 5])
    audio = read_audio(path)
    assert audio.duration == pytest.approx(2.0, abs=0.1)
    assert audio.notes == (f"the header claims 5.0 s, the file holds {audio.duration:.1f} s",)


@pytest.mark.parametrize("name", KINDS)
def test_a_right_header_is_believed(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    whole(path)
    audio = read_audio(path)
    assert (audio.duration, audio.notes) == (5.0, ())
    expected = soundfile.read(path, dtype="float32")[0]
    assert np.array_equal(audio.samples, expected)


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_FFFF, 0x7FFF_F000, 0xFFFF_FF00])
def test_a_pipe_cannot_know_the_length(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    data = bytearray(whole(path))
    struct.pack_into("<I", data, data.find(b"data") + 4, size)
    struct.pack_into("<I", data, 4, size)
    path.write_bytes(data)
    audio = read_audio(path)
    assert (audio.duration, audio.notes) == (5.0, ())


@pytest.mark.parametrize(
    "tail",
    [
        b"LIST\x1a\x00\x00\x00INFOISFT\x0e\x00\x00\x00Lavf58.45.100\x00",
        b"id3 \x05\x00\x00\x00abcde\x00LIST\x04\x00\x00\x00INFO",
        b"TAG" + 125 * b"x",
        bytes(4_096),
        b"ID3\x04" + bytes(range(200)),
        b"LIST\x00\x10\x00\x00INFO",
        b"\x01\x02",
    ],
    ids=["chunk", "chunks", "tag", "padding", "id3", "chunk that was cut", "crumbs"],
)
def test_what_follows_the_sound_is_no_sound(tail: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(whole(path) + tail)
    audio = read_audio(path)
    assert (audio.duration, audio.notes) == (5.0, ())


@pytest.mark.parametrize("name", ["a.wav", "x.wav", "r.wav", "e.wav", "w.w64", "f.aiff"])
def test_a_recording_behind_the_first_is_told_with_the_way_to_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    data = whole(path)
    expected = read_audio(path)
    path.write_bytes(data + data)
    audio = read_audio(path)
    assert np.array_equal(audio.samples, expected.samples)
    (note,) = audio.notes
    assert note.startswith("another recording follows in the file and is not read: `tail -c +")
    start = int(note.split("+")[1].split()[0]) - 1
    path.write_bytes((data + data)[start:])
    assert read_audio(path).notes == ()
    assert np.array_equal(read_audio(path).samples, expected.samples)


def test_an_empty_recording_with_remarks_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), RATE)
    path.write_bytes(path.read_bytes() + b"LIST\x04\x00\x00\x00INFO")
    with pytest.raises(AudioError, match="contains no audio"):
        read_audio(path)


def test_a_header_that_contradicts_itself_is_remarked(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    data = bytearray(whole(path))
    struct.pack_into("<I", data, 24, 8_000)
    path.write_bytes(data)
    (note,) = read_audio(path).notes
    assert note == "the header contradicts itself: 16,000 and 32,000 bytes a second"


def test_a_night_of_more_than_4_gb_needs_a_larger_header(tmp_path: Path) -> None:
    """A recorder that counts to 32 bits leaves what is left over; the file here has holes."""
    path = tmp_path / "a.wav"
    data = whole(path)
    start = data.find(b"data") + 8
    with path.open("wb") as file:
        file.write(data[:start])
        file.truncate(start + (1 << 32) + 32_000)
        file.seek(start + (1 << 32))
        file.write(b"\x01\x00" * 16_000)
        file.flush()
    with path.open("rb") as file:
        layout = read_layout(file)
        assert layout is not None
        assert layout.stop - layout.start == (1 << 32) + 32_000
        with soundfile.SoundFile(layout.opened(file)) as sound:
            assert sound.frames == ((1 << 32) + 32_000) // 2
            sound.seek(1 << 31)
            assert np.all(sound.read(16_000, dtype="int16") == 1)


def spoilt_rate(data: bytearray) -> None:
    struct.pack_into("<I", data, 24, 0)


def spoilt_channels(data: bytearray) -> None:
    struct.pack_into("<H", data, 22, 0)


def spoilt_chunk(data: bytearray) -> None:
    struct.pack_into("<I", data, 16, 0xFFFF_FFF0)


@pytest.mark.parametrize("spoil", [spoilt_rate, spoilt_channels, spoilt_chunk])
def test_a_header_beyond_repair_is_one_line(
    spoil: Callable[[bytearray], None], tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    data = bytearray(whole(path))
    spoil(data)
    path.write_bytes(data)
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", KINDS)
def test_any_length_of_header_is_read_or_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    data = whole(path)
    for length in range(1, 200):
        path.write_bytes(data[:length])
        try:
            assert read_audio(path).duration < 0.1
        except AudioError as error:
            assert "\n" not in str(error)
