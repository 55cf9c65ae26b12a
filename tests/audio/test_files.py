from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crydistill.audio.files import AudioReader, read_audio
from crydistill.audio.windows import WINDOW_SAMPLES
from crydistill.errors import AudioError


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_rate_and_channel_count(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.repeat(tone(2, rate)[:, None], channels, axis=1), rate)
    audio = read_audio(path)
    assert audio.samples.dtype == np.float32
    assert audio.duration == pytest.approx(2, abs=0.01)
    # Away from the edges the resampled tone equals the original.
    middle = slice(8_000, 24_000)
    expected = tone(2, 16_000)[middle]
    assert np.abs(audio.samples[middle] - expected).max() < 2e-3


@pytest.mark.parametrize(
    ("suffix", "tolerance"),
    [("wav", 1e-3), ("flac", 1e-3), ("aiff", 1e-3), ("au", 1e-3), ("ogg", 0.1), ("mp3", 0.1)],
)
def test_common_formats(tmp_path: Path, suffix: str, tolerance: float) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(2, 16_000), 16_000)
    samples = read_audio(path).samples
    # Lossy codecs may shift the signal; its level survives.
    level = np.sqrt(np.mean(samples[4_000:28_000] ** 2))
    assert level == pytest.approx(0.5 / np.sqrt(2), rel=max(tolerance, 1e-3))


def test_opus(tmp_path: Path) -> None:
    path = tmp_path / "tone.opus"
    soundfile.write(path, tone(2, 48_000), 48_000, format="OGG", subtype="OPUS")
    assert read_audio(path).duration == pytest.approx(2, abs=0.05)


def test_short_audio_is_padded_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, tone(0.2, 16_000), 16_000)
    audio = read_audio(path)
    assert len(audio.samples) == WINDOW_SAMPLES
    assert np.abs(audio.samples[3_200:]).max() == 0
    assert audio.duration == pytest.approx(0.2)
    assert any("padded" in note for note in audio.notes)


def test_silence_says_so(tmp_path: Path) -> None:
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(32_000), 16_000)
    assert read_audio(path).notes == ("silent",)


def test_blocks_join_without_a_seam(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    rate = 22_050
    soundfile.write(path, tone(95, rate, 100.0), rate)
    samples = np.concatenate(list(AudioReader(path).blocks()))
    expected = tone(95, 16_000, 100.0)
    assert abs(len(samples) - len(expected)) <= 2
    inner = slice(1_000, len(expected) - 1_000)
    assert np.abs(samples[: len(expected)][inner] - expected[inner]).max() < 1e-3


def empty(path: Path) -> None:
    path.write_bytes(b"")


def not_audio(path: Path) -> None:
    path.write_bytes(b"certainly not audio" * 100)


def header_only(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 16_000)


def nan(path: Path) -> None:
    samples = tone(1, 16_000)
    samples[100] = np.nan
    soundfile.write(path, samples, 16_000, subtype="FLOAT")


def infinite(path: Path) -> None:
    samples = tone(1, 16_000)
    samples[100] = np.inf
    soundfile.write(path, samples, 16_000, subtype="FLOAT")


@pytest.mark.parametrize("spoil", [empty, not_audio, header_only, nan, infinite])
def test_bad_audio_is_one_clear_line(tmp_path: Path, spoil) -> None:
    path = tmp_path / "bad.wav"
    spoil(path)
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    assert "bad.wav" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        read_audio(tmp_path / "nowhere.wav")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keep=st.floats(0, 1), suffix=st.sampled_from(["wav", "flac", "ogg"]))
def test_truncated_audio_is_read_in_part_or_refused(
    tmp_path: Path, keep: float, suffix: str
) -> None:
    whole = tmp_path / f"whole.{suffix}"
    if not whole.exists():
        soundfile.write(whole, tone(2, 16_000), 16_000)
    data = whole.read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(data[: int(keep * len(data))])
    try:
        audio = read_audio(path)
    except AudioError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(audio.samples).all()
        assert len(audio.samples) >= WINDOW_SAMPLES
