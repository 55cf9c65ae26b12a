import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.audio.augment import (
    SILENCE_DBFS,
    active_level,
    add_noise,
    band_limit,
    change_speed,
    clipped,
    gain,
    reduce_bits,
    through_microphone,
)
from crydistill.audio.mel import SAMPLE_RATE, Samples

RELAXED = settings(max_examples=50)


def tone(hertz: float, seconds: float = 1.0, amplitude: float = 0.1) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@RELAXED
@given(st.floats(-60, 0))
def test_active_level_ignores_pauses(dbfs: float) -> None:
    amplitude = float(np.sqrt(2) * 10 ** (dbfs / 20))
    sound = tone(440, amplitude=amplitude)
    with_pauses = np.concatenate([np.zeros(32_000, np.float32), sound, np.zeros(8_000, np.float32)])
    assert active_level(sound) == pytest.approx(dbfs, abs=0.01)
    assert active_level(with_pauses) == pytest.approx(dbfs, abs=0.01)


@pytest.mark.parametrize("length", [0, 1, 500, 20_000])
def test_silence_has_the_lowest_level(length: int) -> None:
    assert active_level(np.zeros(length, np.float32)) == SILENCE_DBFS


def test_gain_scales_and_clips() -> None:
    sound = tone(440)
    assert active_level(gain(sound, -12)) == pytest.approx(active_level(sound) - 12, abs=1e-3)
    loud = gain(sound, 40)
    assert loud.dtype == np.float32
    assert (loud.min(), loud.max()) == (-1, 1)
    assert clipped(np.array([-2, 0.5, 3], np.float32)).tolist() == [-1, 0.5, 1]


@RELAXED
@given(st.floats(-20, 40), st.integers(0, 9), st.sampled_from([700, 16_000, 50_000]))
def test_noise_is_added_at_the_snr(snr_db: float, seed: int, length: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.3, length).astype(np.float32)
    sound = tone(440)
    mix = add_noise(sound, noise, snr_db, np.random.default_rng(seed))
    assert mix.dtype == np.float32 and mix.shape == sound.shape
    assert active_level(sound) - active_level(mix - sound) == pytest.approx(snr_db, abs=0.05)
    again = add_noise(sound, noise, snr_db, np.random.default_rng(seed))
    assert np.array_equal(mix, again)


def test_empty_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        add_noise(tone(440), np.empty(0, np.float32), 0, np.random.default_rng(0))


def test_band_limit_keeps_the_passband_without_delay() -> None:
    low, high = tone(1_000), tone(6_000)
    inner = slice(1_600, -1_600)
    assert np.abs(band_limit(low, 4_000) - low)[inner].max() < 1e-4
    assert np.abs(band_limit(high, 4_000))[inner].max() < 1e-4
    edge = tone(4_000)
    assert active_level(band_limit(edge, 4_000)[inner]) == pytest.approx(
        active_level(edge) - 6, abs=0.2
    )


@pytest.mark.parametrize("length", [0, 1, 100])
def test_short_sounds_are_limited_too(length: int) -> None:
    assert len(band_limit(np.ones(length, np.float32), 4_000)) == length


@pytest.mark.parametrize("hertz", [0, -1, 8_000, float("nan")])
def test_an_impossible_limit_is_refused(hertz: float) -> None:
    with pytest.raises(ValueError, match="is not between"):
        band_limit(tone(440), hertz)


@pytest.mark.parametrize("bits", [2, 8, 12])
def test_bits_give_the_number_of_steps(bits: int) -> None:
    ramp = np.linspace(-1, 1, 50_000, dtype=np.float32)
    rounded = reduce_bits(ramp, bits)
    assert len(np.unique(rounded)) == 2**bits + 1  # both full-scale values are reached
    assert np.abs(rounded - ramp).max() <= 0.5 / 2 ** (bits - 1) + 1e-7


def test_fewer_than_two_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="1 bits"):
        reduce_bits(tone(440), 1)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_speed_moves_pitch_and_length(factor: float) -> None:
    faster = change_speed(tone(1000, seconds=2), factor)
    assert len(faster) == pytest.approx(2 * SAMPLE_RATE / factor, abs=2)
    spectrum = np.abs(np.fft.rfft(faster))
    hertz = np.fft.rfftfreq(len(faster), 1 / SAMPLE_RATE)
    assert hertz[spectrum.argmax()] == pytest.approx(1000 * factor, abs=1)


def test_zero_speed_is_refused() -> None:
    with pytest.raises(ValueError, match="speed of 0"):
        change_speed(tone(440), 0)


def test_microphone_response_has_no_delay() -> None:
    for hertz, expected in ((100, -12.0), (1000, 0.0), (4000, 6.0)):
        heard = through_microphone(tone(hertz), [200, 1000, 3000], [-12, 0, 6])
        middle = slice(4000, 12_000)
        change = 20 * np.log10(heard[middle].std() / tone(hertz)[middle].std())
        assert change == pytest.approx(expected, abs=0.1)
        assert np.corrcoef(heard[middle], tone(hertz)[middle])[0, 1] > 0.999


def test_microphone_response_of_empty_audio() -> None:
    assert len(through_microphone(np.zeros(0, np.float32), [100], [0])) == 0
