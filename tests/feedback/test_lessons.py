import numpy as np
import pytest
from tests.feedback.toys import student, toy

from crydistill.audio.augment import active_level
from crydistill.detector.clip_folder import ClipLabel
from crydistill.feedback.lessons import _SHORTEST_SAMPLES, RETAKES, Retake, lesson

RNG = np.random.default_rng(0)


def test_the_first_retake_is_the_clip_as_it_is() -> None:
    samples = toy(0)
    np.testing.assert_array_equal(RETAKES[0].of(samples, RNG), samples)


def test_a_retake_is_louder_later_faster_and_in_a_room() -> None:
    samples = toy(0, gain=0.2)
    louder = Retake(gain_db=6).of(samples, RNG)
    assert active_level(louder) - active_level(samples) == pytest.approx(6, abs=0.1)
    assert len(samples) - len(Retake(shift=0.5).of(samples, RNG)) == 3840
    assert len(Retake(speed=1.05).of(samples, RNG)) == pytest.approx(len(samples) / 1.05, abs=2)
    room = Retake(reverberation=0.4, direct_db=0.0).of(samples, RNG)
    assert len(room) == len(samples)
    assert active_level(room) > active_level(samples)


def test_the_shortest_clip_has_a_window_in_every_retake() -> None:
    heard = lesson("short", ClipLabel.CRY, toy(0)[:_SHORTEST_SAMPLES], student())
    assert len(heard.variants) == len(RETAKES)
    assert all(len(one) > 0 for one in heard.variants)


def test_lessons_are_the_same_each_time() -> None:
    first, again = (lesson("clip", ClipLabel.CRY, toy(0, seconds=8.0), student()) for _ in range(2))
    for one, other in zip(first.variants, again.variants, strict=True):
        np.testing.assert_array_equal(one, other)
