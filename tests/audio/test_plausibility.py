"""Sound that cannot be, or hardly is."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.audio.encode import sweep

from crydistill.audio.files import read_audio
from crydistill.audio.plausibility import SampleCheck
from crydistill.errors import AudioError

RATE = 16_000


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "FLOAT") -> Path:
    soundfile.write(path, samples, rate, subtype)
    return path


@pytest.mark.parametrize("rate", [1, 100, 3_999, 192_001, 384_000, 3_000_000])
def test_a_rate_that_no_sound_has_is_refused(rate: int, tmp_path: Path) -> None:
    path = write(tmp_path / "rate.wav", sweep(0.2, RATE), rate, "PCM_16")
    with pytest.raises(AudioError, match=f"claims a sample rate of {rate:,} Hz, which is not betw"):
        read_audio(path)


@pytest.mark.parametrize("rate", [4_000, 192_000])
def test_the_rates_at_the_ends_are_read(rate: int, tmp_path: Path) -> None:
    path = write(tmp_path / "rate.wav", sweep(2, rate), rate)
    assert read_audio(path).duration == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_integers_written_as_float_are_refused_with_the_factor(bits: int, tmp_path: Path) -> None:
    full = 2 ** (bits - 1)
    path = write(tmp_path / "integers.wav", sweep(1, RATE) * np.float32(3 * full))
    with pytest.raises(AudioError, match=rf"as if {bits}-bit integers .* volume=1/{full} "):
        read_audio(path)


def test_samples_beyond_all_integers(tmp_path: Path) -> None:
    path = write(tmp_path / "huge.wav", sweep(1, RATE) * np.float32(1e30))
    with pytest.raises(AudioError, match="samples of up to 3e\\+29 where full scale is 1"):
        read_audio(path)


def test_a_float_recording_above_full_scale_is_remarked(tmp_path: Path) -> None:
    path = write(tmp_path / "loud.wav", sweep(1, RATE) * np.float32(20))
    assert read_audio(path).notes == ("peaks 16 dB above full scale",)
    assert read_audio(write(path, sweep(1, RATE) * np.float32(5))).notes == ()


class TestChannels:
    def test_opposite_ones_do_not_cancel(self, tmp_path: Path) -> None:
        sound = sweep(3, RATE)
        path = write(tmp_path / "antiphase.wav", np.stack([-0.9 * sound, sound], axis=1))
        audio = read_audio(path)
        assert np.array_equal(audio.samples, sound)
        assert audio.notes == ("the channels cancel each other: channel 2 alone is read",)

    def test_one_turned_over_among_many(self, tmp_path: Path) -> None:
        """Its partner is missed in the mean, but the others are heard."""
        sound = sweep(3, RATE)
        path = write(tmp_path / "four.wav", np.stack([sound, sound, sound, -sound], axis=1))
        assert read_audio(path).notes == ()

    @pytest.mark.parametrize("weights", [(1, 1), (1, 0), (1, 0.5), (1, -0.1), (0.2, 1, 0, 0, 0, 0)])
    def test_others_are_averaged(self, weights: tuple[float, ...], tmp_path: Path) -> None:
        tracks = np.outer(sweep(3, RATE), weights).astype(np.float32)
        path = write(tmp_path / "stereo.wav", tracks)
        audio = read_audio(path)
        assert audio.notes == ()
        assert np.array_equal(audio.samples, tracks.mean(axis=1, dtype=np.float32))

    def test_unrelated_ones_are_averaged(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).normal(0, 0.1, (3 * RATE, 2))
        assert read_audio(write(tmp_path / "noise.wav", noise)).notes == ()

    def test_from_where_they_cancel_on(self, tmp_path: Path) -> None:
        quiet = np.zeros((40 * RATE, 2), dtype=np.float32)
        loud = np.outer(sweep(40, RATE), (1, -1)).astype(np.float32)
        path = write(tmp_path / "late.wav", np.concatenate([quiet, loud]))
        audio = read_audio(path)
        assert np.array_equal(audio.samples[60 * RATE :], loud[20 * RATE :, 0])
        assert "channel 1 alone is read" in audio.notes[0]


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_a_constant_is_no_sound(rate: int, tmp_path: Path) -> None:
    path = write(tmp_path / "constant.wav", np.full(3 * rate, 0.25), rate)
    assert read_audio(path).notes == ("no sound but a constant offset of 0.25",)


def test_a_track_of_zeros_is_silent(tmp_path: Path) -> None:
    assert read_audio(write(tmp_path / "zeros.wav", np.zeros(20 * RATE))).notes == ("silent",)


def test_a_microphone_that_died_is_remarked(tmp_path: Path) -> None:
    sound = np.concatenate([sweep(5, RATE), np.full(61 * RATE, 0.1)])
    path = write(tmp_path / "died.wav", sound)
    assert read_audio(path).notes == ("no signal at all for 61 s of it",)


def test_short_pauses_of_zeros_are_nothing_to_tell(tmp_path: Path) -> None:
    sound = np.concatenate([sweep(5, RATE), np.zeros(9 * RATE)])
    assert read_audio(write(tmp_path / "padded.wav", sound)).notes == ()


@pytest.mark.parametrize("block", [RATE // 3, RATE, 4 * RATE + 1])
def test_seconds_without_signal_count_however_the_audio_is_divided(block: int) -> None:
    check = SampleCheck()
    sound = np.concatenate([sweep(5, RATE), np.full(61 * RATE, 0.1, np.float32)])
    for at in range(0, len(sound), block):
        check.look(sound[at : at + block], RATE)
    assert check.remarks == ["no signal at all for 61 s of it"]
