import numpy as np
import numpy.typing as npt
import pytest
import scipy.signal
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.teacher import mn_reference

from crydistill.audio.mel import MelStream
from crydistill.teacher.mn_mel import MnMelStream

Samples = npt.NDArray[np.float32]


def hum(seconds: float, seed: int = 3) -> Samples:
    """A voice of 400 Hz in noise up to 5 kHz: nothing near the highest frequency."""
    count = round(seconds * 16_000)
    noise = np.random.default_rng(seed).normal(0.0, 0.05, count)
    band = scipy.signal.butter(16, 5_000, fs=16_000, output="sos")
    voice = 0.3 * scipy.signal.sawtooth(2 * np.pi * 400 * np.arange(count) / 16_000)
    return np.asarray(scipy.signal.sosfilt(band, noise + voice), dtype=np.float32)


def test_it_is_the_definition_of_audio_at_32_khz() -> None:
    samples = hum(1.0)
    expected = mn_reference.log_mel(soxr.resample(samples, 16_000, 32_000, "VHQ"))
    found = MnMelStream().push(samples)
    assert found.dtype == np.float32
    # The recording's end is reflected there, but is not an end to a stream.
    assert len(found) == 99
    # How a resampler takes a sudden start is its own affair.
    np.testing.assert_allclose(found[2:], expected[2:99], atol=0.02)
    assert np.median(np.abs(found[:2] - expected[:2])) < 0.02


def test_silence() -> None:
    frames = MnMelStream().push(np.zeros(16_000, dtype=np.float32))
    np.testing.assert_allclose(frames, (np.log(1e-5) + 4.5) / 5, atol=1e-6)


def test_nothing_is_heard_above_the_highest_frequency_of_the_audio() -> None:
    samples = np.random.default_rng(0).normal(0.0, 0.3, 16_000).astype(np.float32)
    frames = MnMelStream().push(samples)
    band_of_8_khz = 104
    assert (frames[5:, band_of_8_khz + 2 :] < -1.0).all()
    assert (frames[5:, : band_of_8_khz - 10].mean(axis=0) > -0.5).all()


@settings(max_examples=30)
@given(chunks=st.lists(st.integers(0, 900), max_size=12))
def test_frames_do_not_depend_on_the_chunks(chunks: list[int]) -> None:
    samples = hum(0.5)
    stream, at, parts = MnMelStream(), 0, []
    for size in [*chunks, len(samples)]:
        parts.append(stream.push(samples[at : at + size]))
        at += size
    np.testing.assert_allclose(np.concatenate(parts), MnMelStream().push(samples), atol=2e-4)


@pytest.mark.parametrize("count", [0, 1, 263, 264, 399, 400, 401, 15_600, 16_000])
def test_no_frame_comes_later_than_the_other_front_end_has_it(count: int) -> None:
    samples = np.ones(count, dtype=np.float32)
    frames = MnMelStream().push(samples)
    assert len(frames) >= len(MelStream().push(samples))
    assert frames.shape[1] == 128
