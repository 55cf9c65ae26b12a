from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.audio.augment import active_level
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.variation import Variation, vary
from crydistill.audio.windows import WINDOW_SAMPLES

NOTHING = Variation(speed=0, room=0, noise=0, microphone=0, band_limit=0, level=0, bits=0)


def sound(seconds: float, seed: int = 0) -> Samples:
    count = int(seconds * SAMPLE_RATE)
    return (0.05 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def share_above(samples: Samples, hertz: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power[np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE) > hertz].sum() / power.sum())


@settings(max_examples=40)
@given(st.floats(0, 4), st.integers(0, 2**32 - 1))
def test_any_sound_stays_a_sound(seconds: float, seed: int) -> None:
    varied = vary(sound(seconds), [sound(2, 9)], Variation(), np.random.default_rng(seed))
    assert varied.dtype == np.float32
    assert len(varied) >= WINDOW_SAMPLES
    assert np.isfinite(varied).all()
    assert np.abs(varied).max() <= 1


def test_the_generator_decides() -> None:
    first, again, other = (
        vary(sound(3), [sound(2, 9)], Variation(), np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert len(other) != len(first) or not np.array_equal(first, other)


def test_with_no_chance_of_change_only_the_beginning_moves() -> None:
    original = sound(3)
    varied = vary(original, [sound(2, 9)], NOTHING, np.random.default_rng(0))
    np.testing.assert_array_equal(varied, original[len(original) - len(varied) :])
    assert len(original) - len(varied) <= 7680


def test_a_short_sound_is_kept_whole() -> None:
    varied = vary(sound(0.3), [], NOTHING, np.random.default_rng(0))
    assert len(varied) == WINDOW_SAMPLES
    assert np.count_nonzero(varied) == np.count_nonzero(sound(0.3))


@pytest.mark.parametrize("seed", range(5))
def test_level_brings_to_the_level_asked_for(seed: int) -> None:
    options = replace(NOTHING, level=1.0, active_dbfs=(-40.0, -40.0))
    varied = vary(sound(3), [], options, np.random.default_rng(seed))
    assert active_level(varied) == pytest.approx(-40, abs=0.1)


def test_band_limit_takes_the_top_away() -> None:
    options = replace(NOTHING, band_limit=1.0, band_limits_hz=(4000.0, 4000.0))
    varied = vary(sound(3), [], options, np.random.default_rng(0))
    assert share_above(varied, 4500) < 1e-3 < share_above(sound(3), 4500)


def test_noise_comes_in_at_the_ratio_asked_for() -> None:
    options = replace(NOTHING, noise=1.0, snr_db=(0.0, 0.0))
    varied = vary(sound(3), [sound(3, 9)], options, np.random.default_rng(0))
    assert active_level(varied) - active_level(sound(3)) == pytest.approx(3, abs=0.3)


def test_speed_changes_the_length() -> None:
    options = replace(NOTHING, speed=1.0, speeds=(2.0, 2.0))
    varied = vary(sound(6), [], options, np.random.default_rng(0))
    assert 3 * SAMPLE_RATE - 7680 <= len(varied) <= 3 * SAMPLE_RATE + 1


def test_a_recorder_narrows_the_band_of_some_copies() -> None:
    options = replace(NOTHING, recorder=1.0)
    above = [
        share_above(vary(sound(3), [], options, np.random.default_rng(seed)), 4500)
        for seed in range(30)
    ]
    assert 5 < sum(share < 0.05 for share in above) < 30


def test_without_a_recorder_nothing_is_drawn_for_it() -> None:
    """Copies of former configs come out as before: eight draws, one for each augmentation."""
    used, expected = np.random.default_rng(0), np.random.default_rng(0)
    vary(sound(3), [], NOTHING, used)
    expected.random()  # speed
    expected.integers(7681)  # shift
    expected.random(6)  # room, noise, microphone, band limit, level, bits
    assert used.random() == expected.random()
