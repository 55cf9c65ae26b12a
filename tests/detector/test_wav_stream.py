import io
import struct

import numpy as np
import pytest
import soundfile

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.detector.sources import pcm_blocks
from crydistill.errors import AudioError, ConfigError

SOUND = np.random.default_rng(3).uniform(-0.9, 0.9, 5_000).astype(np.float32)


def wav(
    samples: np.ndarray = SOUND, subtype: str = "PCM_16", rate: int = SAMPLE_RATE, **kind: str
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format=kind.get("format", "WAV"))
    return file.getvalue()


def resized(data: bytes, size: int) -> bytes:
    """The same file with another size of its data in the header."""
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


def heard(data: bytes) -> tuple[np.ndarray, list[str]]:
    said: list[str] = []
    blocks = list(pcm_blocks(io.BytesIO(data), say=said.append))
    return np.concatenate(blocks), said


@pytest.mark.parametrize(
    ("subtype", "step"),
    [
        ("PCM_U8", 2**-7),
        ("PCM_16", 2**-15),
        ("PCM_24", 2**-23),
        ("PCM_32", 2**-24),
        ("FLOAT", 0),
        ("DOUBLE", 0),
    ],
)
@pytest.mark.parametrize("format_", ["WAV", "WAVEX", "RF64"])
def test_every_kind_of_pcm_is_read(subtype: str, step: float, format_: str) -> None:
    samples, said = heard(wav(subtype=subtype, format=format_))
    assert samples.dtype == np.float32
    assert np.abs(samples - SOUND).max() <= step
    assert len(samples) == len(SOUND)
    assert len(said) == 1 and said[0].startswith("standard input is WAV: 16000 Hz, mono, ")


def test_the_broadcasters_name_for_a_long_wav_is_known() -> None:
    samples, _ = heard(wav(format="RF64").replace(b"RF64", b"BW64", 1))
    assert len(samples) == len(SOUND)


def test_channels_are_averaged_and_other_rates_resampled() -> None:
    time = np.arange(48_000) / 48_000
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time)
    samples, said = heard(wav(np.stack([tone, np.zeros_like(tone)], axis=1), rate=48_000))
    assert len(samples) == SAMPLE_RATE
    assert np.abs(samples[4_000:12_000]).max() == pytest.approx(0.25, abs=0.005)
    assert int(np.abs(np.fft.rfft(samples[2_000:14_000])).argmax()) * SAMPLE_RATE / 12_000 == 1000
    assert said == ["standard input is WAV: 48000 Hz, 2 channels, 16-bit PCM"]


def test_channels_that_cancel_are_not_silence() -> None:
    samples, said = heard(wav(np.stack([SOUND, -SOUND], axis=1)))
    assert np.abs(np.abs(samples) - np.abs(SOUND)).max() <= 2**-15
    assert len(said) == 2 and "cancel" in said[1]


def test_integers_written_as_floating_point_are_said() -> None:
    _, said = heard(wav(SOUND * 32_768, "FLOAT"))
    assert len(said) == 2 and "far above full scale" in said[1]


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0x7FFFFF00, 0xFFFFFFFF, 0x80000000])
def test_a_recorder_that_does_not_know_its_end_is_read_to_it(size: int) -> None:
    samples, said = heard(resized(wav(), size))
    assert len(samples) == len(SOUND) and len(said) == 1


def test_a_size_that_is_too_small_is_not_believed() -> None:
    samples, said = heard(resized(wav(), 2_000))
    assert len(samples) == len(SOUND)
    assert said[1:] == ["more sound arrives than the WAV header says; listening on"]


def test_a_size_that_is_too_large_is_said() -> None:
    samples, said = heard(resized(wav(), 64_000))
    assert len(samples) == len(SOUND)
    assert said[1:] == ["the WAV header promises 2.0 s of sound, 0.3 s arrived"]


def test_files_after_each_other_are_all_read_and_their_tags_are_not() -> None:
    tag = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    first = wav(SOUND[:2_001]) + tag
    second = wav(SOUND[2_001:], "FLOAT")
    samples, said = heard(first + second)
    assert len(samples) == len(SOUND)
    assert np.abs(samples - SOUND).max() <= 2**-15
    assert [line.rsplit(", ", 1)[1] for line in said] == ["16-bit PCM", "32-bit floating point"]


def test_not_a_number_does_not_spread() -> None:
    sound = SOUND.copy()
    sound[100:110] = np.nan
    sound[200:203] = np.inf
    samples, _ = heard(wav(sound, "FLOAT", 48_000))
    assert np.isfinite(samples).all() and np.abs(samples).max() > 0.5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (wav(subtype="ULAW"), r"compressed sound \(format 7\).*ffmpeg"),
        (wav(subtype="IMA_ADPCM"), r"compressed sound \(format 17\)"),
        (wav()[:12], "ended before any sound"),
        (wav()[:44], "ended before any sound"),
        (wav()[:12] + wav()[36:], "damaged header"),
        (b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\x7f" + bytes(1000), "damaged header"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(data: bytes, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        heard(data)


def test_an_implausible_rate_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 Hz is not a supported sample rate"):
        heard(wav(rate=1))


@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_file_is_sound_or_one_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(wav(SOUND[:200]))
    for at in rng.integers(0, 60, 3):
        data[at] = rng.integers(0, 256)
    try:
        samples, _ = heard(bytes(data))
    except (AudioError, ConfigError) as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(samples).all() and len(samples) <= 200 * 4 * 8
