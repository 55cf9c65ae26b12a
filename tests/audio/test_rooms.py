import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.audio.rooms import Room, diffuse_response, draw_room, impulse_response, in_room


def tail_energy(response: np.ndarray) -> float:
    return float(np.sum(response[80:] ** 2) / np.sum(response**2))


def response_of(reverberation: float, distance: float) -> np.ndarray:
    room = Room((4.0, 5.0, 2.6), reverberation, distance)
    return impulse_response(room, np.random.default_rng(3))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_any_drawn_room_answers_with_its_direct_sound_first(seed: int) -> None:
    rng = np.random.default_rng(seed)
    response = impulse_response(draw_room(rng), rng)
    assert response.dtype == np.float32
    assert np.isfinite(response).all()
    assert response[0] == 1
    assert np.abs(response).max() < 1.02


def test_a_longer_reverberation_and_a_larger_distance_leave_more_tail() -> None:
    assert tail_energy(response_of(0.7, 1.0)) > tail_energy(response_of(0.2, 1.0))
    assert tail_energy(response_of(0.4, 3.5)) > tail_energy(response_of(0.4, 0.4))


def test_a_room_too_small_for_the_distance_takes_what_fits() -> None:
    assert len(impulse_response(Room((2.0, 2.0, 2.2), 0.3, 50.0), np.random.default_rng(0))) > 0


def test_playing_keeps_length_and_place() -> None:
    click = np.zeros(1000, np.float32)
    click[100] = 0.5
    heard = in_room(click, response_of(0.3, 1.0))
    assert len(heard) == 1000
    assert not heard[:100].any() or np.abs(heard[:100]).max() < 1e-6
    assert heard[100] == pytest.approx(0.5, abs=1e-6)


def test_a_diffuse_room_decays_as_it_is_told() -> None:
    response = diffuse_response(0.4, 3.0, np.random.default_rng(0)).astype(np.float64)
    assert response[0] == 1
    late = response[1:] ** 2
    assert 10 * np.log10(1 / late.sum()) == pytest.approx(3.0, abs=0.01)
    energy = 10 * np.log10(np.cumsum(late[::-1])[::-1] / late.sum())
    seconds = np.argmax(energy < -20) / SAMPLE_RATE
    assert 3 * seconds == pytest.approx(0.4, rel=0.15)
