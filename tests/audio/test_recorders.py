import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.audio.augment import active_level
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.recorders import RECORDERS, through_recorder

SEEDS = range(6)


def noise(seconds: float = 2.0, seed: int = 0) -> Samples:
    count = int(seconds * SAMPLE_RATE)
    return (0.05 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def decibels(samples: Samples, low: float, high: float) -> float:
    """Mean power between two frequencies, per hertz."""
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].mean()))


@settings(max_examples=40)
@given(st.floats(0, 2), st.integers(0, 2**32 - 1))
def test_any_sound_keeps_length_and_level(seconds: float, seed: int) -> None:
    recorded = through_recorder(noise(seconds), np.random.default_rng(seed))
    assert recorded.dtype == np.float32
    assert len(recorded) == len(noise(seconds))
    assert np.isfinite(recorded).all()
    if seconds > 0.1:
        assert active_level(recorded) == pytest.approx(active_level(noise(seconds)), abs=0.1)


def test_silence_stays_silence() -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    for seed in range(20):
        recorded = through_recorder(silence, np.random.default_rng(seed))
        np.testing.assert_array_equal(recorded, silence)


def test_the_generator_decides() -> None:
    one, again, other = (through_recorder(noise(), np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", ["telephone", "baby monitor", "narrow band"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_narrow_band_ends_below_5_khz(name: str, seed: int) -> None:
    recorded = RECORDERS[name](noise(), np.random.default_rng(seed))
    middle = decibels(recorded, 800, 2_500)
    assert middle - decibels(recorded, 5_500, 8_000) > 15
    assert abs(middle - decibels(recorded, 500, 800)) < 3


@pytest.mark.parametrize("name", RECORDERS)
@pytest.mark.parametrize("seed", SEEDS)
def test_rumble_is_weaker(name: str, seed: int) -> None:
    recorded = RECORDERS[name](noise(), np.random.default_rng(seed))
    assert decibels(recorded, 500, 1_500) - decibels(recorded, 2, 20) > 8


@pytest.mark.parametrize("name", ["electret", "mems"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_microphone_has_a_resonance(name: str, seed: int) -> None:
    recorded = RECORDERS[name](noise(), np.random.default_rng(seed))
    octaves = 1_400 * 2 ** np.arange(0, 2.6, 0.25)
    strongest = max(decibels(recorded, low, low * 2**0.25) for low in octaves)
    assert strongest - decibels(recorded, 500, 900) > 0.5


def test_a_baby_monitor_evens_out_levels() -> None:
    """20 dB between two halves of a sound become fewer."""
    halves = np.concatenate([noise(1), 0.1 * noise(1, 1)])
    for seed in SEEDS:
        recorded = RECORDERS["baby monitor"](halves, np.random.default_rng(seed))
        loud, faint = np.split(recorded, 2)
        assert active_level(loud) - active_level(faint) < 17


def test_a_telephone_has_few_levels() -> None:
    """Logarithmic quantisation of a pure tone leaves noise that follows its level."""
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = (0.1 * np.sin(2 * np.pi * 1_000 * time)).astype(np.float32)
    recorded = RECORDERS["telephone"](tone, np.random.default_rng(0))
    between = decibels(recorded, 1_200, 1_800)
    assert 20 < decibels(recorded, 990, 1_010) - between < 80
    assert decibels(tone, 990, 1_010) - decibels(tone, 1_200, 1_800) > 100
