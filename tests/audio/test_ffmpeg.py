"""Recordings as phones, cameras and browsers write them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from tests.audio.encode import KINDS, SAMPLED, encode, sweep

from crydistill.audio.files import AudioReader, read_audio
from crydistill.errors import AudioError

NO_DELAY_STATED = {"voice.aac", "voice.avi", "voice.ts", "voice.amr", "voice.wma"}
"""Containers that cannot say what the encoder put in front or left off at the end: up to 50 ms."""

SHIFT = 0.004
"""Seconds; AMR filters, and is not aligned to the sample."""


def shift(samples: np.ndarray, rate: int, seconds: float) -> float:
    """Seconds by which samples at 16 kHz come later than the sweep they were made from."""
    original = soxr.resample(sweep(seconds, rate), rate, 16_000)
    size = 1 << 17
    spectrum = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(original, size))
    place = int(np.argmax(np.fft.irfft(spectrum)))
    return (place if place < size // 2 else place - size) / 16_000


@pytest.mark.parametrize("name", KINDS)
def test_every_container_holds_what_was_put_in(name: str, tmp_path: Path) -> None:
    codec, rate = KINDS[name]
    audio = read_audio(encode(tmp_path / name, codec, rate, sweep(3.0, rate)))
    stated = name not in NO_DELAY_STATED
    assert audio.duration == pytest.approx(3.0, abs=0.005 if stated else 0.05)
    assert abs(shift(audio.samples, rate, 3.0)) <= (SHIFT if stated else 0.05)
    assert audio.notes == ()


@pytest.mark.parametrize("name", ["voice.mp4", "voice.mov"])
def test_a_video_is_read_for_its_sound(name: str, tmp_path: Path) -> None:
    codec, rate = KINDS[name]
    audio = read_audio(encode(tmp_path / name, codec, rate, sweep(2.0, rate), video=True))
    assert audio.duration == pytest.approx(2.0, abs=0.03)


def test_of_several_tracks_one_is_read_and_named(tmp_path: Path) -> None:
    path = encode(tmp_path / "two.mka", "libopus", 48_000, sweep(2, 48_000), 0 * sweep(2, 48_000))
    audio = read_audio(path)
    assert audio.notes == ("2 tracks of sound: number 1 is read",)
    assert np.abs(audio.samples).max() > 0.1


def test_a_film_without_sound(tmp_path: Path) -> None:
    path = encode(tmp_path / "silent.mp4", "aac", 16_000, video=True)
    with pytest.raises(AudioError, match=r"silent\.mp4: contains no sound, only pictures"):
        read_audio(path)


def test_a_format_is_known_by_content(tmp_path: Path) -> None:
    path = encode(tmp_path / "voice.m4a", "aac", 44_100, sweep(2, 44_100))
    for name in ("voice.wav", "voice", "voice.raw", "voice.mp3"):
        renamed = tmp_path / name
        renamed.write_bytes(path.read_bytes())
        assert read_audio(renamed).duration == pytest.approx(2, abs=0.01)


def test_flac_is_what_libsndfile_reads_bit_for_bit(tmp_path: Path) -> None:
    for subtype in ("PCM_16", "PCM_24"):
        path = tmp_path / f"{subtype}.flac"
        stereo = np.stack([sweep(2, 16_000), 0.5 * sweep(2, 16_000)], axis=1)
        soundfile.write(path, stereo, 16_000, subtype)
        expected = soundfile.read(path, dtype="float32")[0].mean(axis=1, dtype=np.float32)
        assert np.array_equal(read_audio(path).samples, expected)


def flac(path: Path, total: int) -> Path:
    """Three seconds whose header claims another number of samples; 0 is unknown."""
    soundfile.write(path, sweep(3, 16_000), 16_000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = total.to_bytes(4, "big")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("total", "notes"),
    [
        (0, ()),
        (16_000, ("the header claims 1.0 s, the file holds 3.0 s",)),
        (160_000, ("the header claims 10.0 s, the file holds 3.0 s",)),
    ],
)
def test_flac_of_unknown_and_of_wrong_length(
    total: int, notes: tuple[str, ...], tmp_path: Path
) -> None:
    audio = read_audio(flac(tmp_path / "pipe.flac", total))
    assert (audio.duration, audio.notes) == (3.0, notes)


def test_a_damaged_flac_frame_is_left_out_and_no_noise(tmp_path: Path) -> None:
    path = tmp_path / "damaged.flac"
    soundfile.write(path, sweep(20, 16_000), 16_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    audio = read_audio(path)
    assert 19 < audio.duration < 20
    assert np.abs(audio.samples).max() < 0.31
    assert any("damaged" in note or "claims" in note for note in audio.notes)


def mp3(folder: Path, *, xing: bool = True, seconds: float = 5.0) -> bytes:
    options = {} if xing else {"write_xing": "0", "id3v2_version": "0"}
    path = folder / f"whole-{xing}.mp3"
    return encode(path, "libmp3lame", 44_100, sweep(seconds, 44_100), options=options).read_bytes()


def read(folder: Path, data: bytes, name: str = "case.mp3") -> AudioReader:
    path = folder / name
    path.write_bytes(data)
    reader = AudioReader(path)
    for _ in reader.blocks():
        pass
    return reader


def test_an_mp3_without_xing_header_ends_where_its_frames_end(tmp_path: Path) -> None:
    assert read(tmp_path, mp3(tmp_path, xing=False)).duration == pytest.approx(5.05, abs=0.05)


@pytest.mark.parametrize("xing", [True, False])
@pytest.mark.parametrize("tail", [bytes(60_000), b"APETAGEX" + bytes(60_000), b"TAG" * 20_000])
def test_the_tail_of_an_mp3_is_no_sound(xing: bool, tail: bytes, tmp_path: Path) -> None:
    reader = read(tmp_path, mp3(tmp_path, xing=xing) + tail)
    assert reader.duration == pytest.approx(5.0, abs=0.1)
    assert [note for note in reader.notes if "are no sound" in note]


def test_two_mp3s_joined_are_both_read(tmp_path: Path) -> None:
    assert read(tmp_path, 2 * mp3(tmp_path)).duration == pytest.approx(10, abs=0.1)


def test_an_mp3_cut_short_says_so(tmp_path: Path) -> None:
    data = mp3(tmp_path)
    reader = read(tmp_path, data[: len(data) // 2])
    assert 2 < reader.duration < 3
    assert reader.notes[-1] == f"the header claims 5.0 s, the file holds {reader.duration:.1f} s"


def test_a_stretch_at_another_rate_keeps_its_length(tmp_path: Path) -> None:
    slow = encode(tmp_path / "slow.mp3", "libmp3lame", 16_000, sweep(5, 16_000)).read_bytes()
    assert read(tmp_path, mp3(tmp_path) + slow).duration == pytest.approx(10.05, abs=0.1)


@pytest.mark.parametrize("turns", [1, 40])
def test_channels_may_come_and_go(turns: int, tmp_path: Path) -> None:
    """PyAV's queue of frames writes past its memory there."""
    tone = sweep(2, 44_100)
    soundfile.write(tmp_path / "one.mp3", tone, 44_100)
    soundfile.write(tmp_path / "two.mp3", np.stack([tone, tone], axis=1), 44_100)
    pair = (tmp_path / "two.mp3").read_bytes() + (tmp_path / "one.mp3").read_bytes()
    assert read(tmp_path, turns * pair).duration == pytest.approx(4 * turns, abs=0.15 * turns)


def test_a_phone_that_died_left_no_index(tmp_path: Path) -> None:
    path = encode(tmp_path / "whole.m4a", "aac", 44_100, sweep(2, 44_100))
    with pytest.raises(AudioError, match="its index, which a recorder writes last, is missing"):
        read(tmp_path, path.read_bytes()[:-2_000], "dead.m4a")


def test_samples_of_64_bit_integers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.wav"
    soundfile.write(path, sweep(2, 16_000), 16_000, "DOUBLE")
    data = bytearray(path.read_bytes())
    data[20] = 1
    with pytest.raises(AudioError, match="contains no audio"):
        read(tmp_path, bytes(data), "wide.wav")


def test_zeros_in_amr_are_no_frames(tmp_path: Path) -> None:
    """They read as frames of 13 bytes, each marked as damaged: 20 ms of sound apiece."""
    path = encode(tmp_path / "voice.amr", "libopencore_amrnb", 8_000, sweep(4, 8_000))
    data = path.read_bytes()
    reader = read(tmp_path, data[:3_002] + bytes(6_500) + data[3_002:], "hole.amr")
    assert reader.duration == pytest.approx(4.0, abs=0.1)
    assert "damaged: 500 pieces left out" in reader.notes


def test_damaged_aac_with_many_channels_does_no_harm(tmp_path: Path) -> None:
    """Damaged AAC may claim 48 channels, at which PyAV 18 reads past its memory."""
    path = encode(tmp_path / "voice.aac", "aac", 44_100, sweep(4, 44_100))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for number in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 30):
            data[place] = rng.integers(256)
        try:
            reader = read(tmp_path, bytes(data), f"{number}.aac")
        except AudioError:
            continue
        assert reader.duration < 4.2


@pytest.mark.parametrize("name", SAMPLED)
def test_what_libsndfile_writes_comes_back(name: str, tmp_path: Path) -> None:
    form, subtype = SAMPLED[name]
    soundfile.write(tmp_path / name, sweep(2.0, 22_050), 22_050, subtype, format=form)
    audio = read_audio(tmp_path / name)
    assert audio.duration == pytest.approx(2.0, abs=0.03)
    assert abs(shift(audio.samples, 22_050, 2.0)) <= SHIFT
    assert audio.notes == ()
