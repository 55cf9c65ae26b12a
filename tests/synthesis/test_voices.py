import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.audio.mel import SAMPLE_RATE, log_mel
from crydistill.synthesis.voices import voice_sound


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(1, 8))
def test_any_seed_speaks(seed: int, seconds: float) -> None:
    sound = voice_sound(np.random.default_rng(seed), seconds)
    assert len(sound) == round(seconds * SAMPLE_RATE)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() == 1


def test_pitches_spread_over_the_range_of_children_and_animals() -> None:
    """No pitch dominates among the strongest bands of forty voices."""
    strongest = [
        int(
            log_mel(voice_sound(np.random.default_rng(seed), 3).astype(np.float32)).mean(0).argmax()
        )
        for seed in range(40)
    ]
    assert np.std(strongest) > 4
    assert np.bincount(strongest).max() < 15


def test_a_seed_speaks_the_same_again() -> None:
    one, again, other = (voice_sound(np.random.default_rng(seed), 2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
