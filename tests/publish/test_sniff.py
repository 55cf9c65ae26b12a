import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.publish.sniff import FRAMES_IN_A_ROW, Sound, find_sound

RELAXED = settings(max_examples=50)  # shared machines stall

NOISE = 0.1 * np.random.default_rng(0).standard_normal(16_000)
BEFORE = np.random.default_rng(1).integers(0, 256, 5_001, dtype=np.uint8).tobytes()


def encoded(kind: str, subtype: str | None = None, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, NOISE, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def adts(frames: int, size: int = 180) -> bytes:
    """An AAC stream: headers as 16 kHz mono AAC-LC has them, random payload without 0xFF."""
    generator = np.random.default_rng(2)
    head = bytes([0xFF, 0xF1, 0x60, 0x40 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F])
    payloads = (generator.integers(0, 255, size - 6, dtype=np.uint8) for _ in range(frames))
    return b"".join(head + payload.tobytes() for payload in payloads)


@pytest.mark.parametrize(
    ("kind", "subtype", "name"),
    [
        ("WAV", "PCM_16", "WAV"),
        ("WAV", "FLOAT", "WAV"),
        ("WAVEX", None, "WAV"),
        ("RF64", None, "WAV"),
        ("W64", None, "Wave64"),
        ("FLAC", None, "FLAC"),
        ("OGG", "VORBIS", "Ogg"),
        ("OGG", "OPUS", "Ogg"),
        ("MP3", None, "MP3"),
        ("AIFF", None, "AIFF"),
        ("AU", None, "AU"),
        ("CAF", None, "CAF"),
        ("VOC", None, "VOC"),
    ],
)
def test_containers_that_libsndfile_writes(kind: str, subtype: str | None, name: str) -> None:
    content = encoded(kind, subtype)
    assert find_sound(content) == Sound(name, 0)
    assert find_sound(BEFORE + content + bytes(99)) == Sound(name, len(BEFORE))


@pytest.mark.parametrize("kind", ["SVX", "NIST", "IRCAM", "PAF", "PVF", "AVR", "WVE"])
def test_rare_containers_at_the_start(kind: str) -> None:
    found = find_sound(encoded(kind, rate=8_000 if kind == "WVE" else 16_000))
    assert found is not None
    assert found.offset == 0


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("MP4", b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00"),
        ("MP4", b"\x00\x00\x00\x18ftyp3gp4\x00\x00\x00\x00"),
        ("MP4", b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00"),
        ("Matroska", b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x84webmB\x87"),
        ("AMR", b"#!AMR\n\x3c\x91\x17\x16"),
        ("AMR", b"#!AMR-WB\n\x04\x91\x17\x16"),
        ("WavPack", b"wvpk\x00\x10\x00\x00\x10\x04\x00\x00"),
        ("WMA", bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")),
    ],
)
def test_containers_by_their_heads(name: str, head: bytes) -> None:
    assert find_sound(head + bytes(200)) == Sound(name, 0)
    assert find_sound(BEFORE + head + bytes(200)) == Sound(name, len(BEFORE))


def test_raw_streams_need_frames_in_a_row() -> None:
    assert find_sound(BEFORE + adts(FRAMES_IN_A_ROW)) == Sound("AAC", len(BEFORE))
    assert find_sound(BEFORE + adts(FRAMES_IN_A_ROW - 2)) is None
    mp3 = encoded("MP3")
    assert find_sound(mp3[2_000:]) is not None  # joined in the middle of a frame
    assert find_sound(mp3[:300]) is None


def test_mp3_with_tags() -> None:
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)
    assert find_sound(tag + encoded("MP3")) == Sound("MP3", 0)


@pytest.mark.parametrize(
    "harmless",
    [
        b"",
        b"RIFF",
        b"\xff" * 10_000,
        b"\xff\xfb" * 10_000,
        b"A RIFF header, WAVEfmt and fLaC, OggS, FORM, AIFF, ftyp, caff, .snd, #!AMR\nand ID3.\n"
        * 9,
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100),
        b"\x00\x00\x00\x1cftypavif" + bytes(100),
        b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(100),
        b"The free lunch",
    ],
)
def test_not_audio(harmless: bytes) -> None:
    assert find_sound(harmless) is None


def test_source_code_of_the_sniffer_is_not_audio() -> None:
    for path in Path(find_sound.__code__.co_filename).parent.glob("*.py"):
        assert find_sound(path.read_bytes()) is None


@RELAXED
@given(st.binary(max_size=2_000))
def test_any_bytes_can_be_examined(data: bytes) -> None:
    find_sound(data)
    find_sound(b"\xff\xfb" + data)


def test_eight_megabytes_of_noise_and_weights() -> None:
    generator = np.random.default_rng(3)
    assert find_sound(generator.integers(0, 256, 4_000_000, dtype=np.uint8).tobytes()) is None
    for spread in (3, 10):
        weights = generator.normal(0, spread, 2_000_000).clip(-128, 127).astype(np.int8)
        assert find_sound(weights.tobytes()) is None
