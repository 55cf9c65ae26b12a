import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.synthesis.formulas import formula_sound
from crydistill.synthesis.scenes import horn_sound, scene_sound


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1, 5))
def test_any_seed_makes_a_scene(seed: int, seconds: float) -> None:
    sound = scene_sound(np.random.default_rng(seed), seconds, formula_sound)
    assert len(sound) == round(seconds * SAMPLE_RATE)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() == pytest.approx(1)


def test_a_seed_makes_the_same_scene_again() -> None:
    one, again, other = (
        scene_sound(np.random.default_rng(seed), 2, formula_sound) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_other_sounds_are_asked_for_now_and_then() -> None:
    asked: list[float] = []

    def other(rng: np.random.Generator, seconds: float) -> np.ndarray:
        asked.append(seconds)
        return rng.standard_normal(round(seconds * SAMPLE_RATE))

    for seed in range(30):
        scene_sound(np.random.default_rng(seed), 1.0, other)
    assert 5 < len(asked) < 25
    assert set(asked) == {1.0}


def test_a_horn_is_steady_while_it_sounds() -> None:
    """Most horns have a constant strongest frequency, and are either silent or loud."""
    steady = 0
    for seed in range(12):
        sound = horn_sound(np.random.default_rng(seed), 3.0)
        pieces = sound[: len(sound) // 1600 * 1600].reshape(-1, 1600)
        loud = pieces[np.abs(pieces).max(axis=1) > 0.3 * np.abs(sound).max()]
        peaks = np.abs(np.fft.rfft(loud * np.hanning(1600))).argmax(axis=1)
        steady += bool(np.median(np.abs(peaks - np.median(peaks))) <= 2)
    assert steady >= 9
