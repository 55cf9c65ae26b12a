from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from crydistill.audio.mel import SAMPLE_RATE, log_mel
from crydistill.audio.rooms import draw_room, impulse_response, in_room
from crydistill.synthesis.nursery.synthesis import coloured_noise
from crydistill.synthesis.soundalikes import MAKERS, soundalike
from crydistill.taxonomy import class_names, cry_indices
from crydistill.teacher.base import Recording, Teacher
from crydistill.teacher.load import load_teacher

HEARD_AS = {
    "child speech": ("Speech", "Child speech, kid speaking", "Child singing"),
    "cartoon voice": ("Speech", "Child speech, kid speaking"),
    "singing": ("Singing", "Child singing", "Lullaby", "Humming", "Chant", "Vocal music"),
    "laughter": ("Laughter", "Baby laughter", "Giggle", "Snicker", "Chuckle, chortle"),
    "cat": ("Cat", "Meow", "Caterwaul"),
    "eating": ("Crunch", "Chewing, mastication", "Biting", "Crushing", "Scrape", "Tearing"),
}
"""Classes of which one is among the five strongest, over a clip."""


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.floats(1, 7))
@pytest.mark.parametrize("name", MAKERS)
def test_any_seed_sounds(name: str, seed: int, seconds: float) -> None:
    sound = MAKERS[name](np.random.default_rng(seed), seconds)
    assert len(sound) == round(seconds * SAMPLE_RATE)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() == pytest.approx(1)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_any_seed_mixes_them(seed: int) -> None:
    sound = soundalike(np.random.default_rng(seed), 2.0)
    assert len(sound) == 2 * SAMPLE_RATE
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() == pytest.approx(1)


@pytest.mark.parametrize("name", MAKERS)
def test_a_seed_sounds_the_same_again(name: str) -> None:
    one, again, other = (MAKERS[name](np.random.default_rng(seed), 2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def traits(name: str, seed: int) -> npt.NDArray[np.float64]:
    """Long-term spectrum of a clip, how much each band varies, and how fast."""
    frames = log_mel(MAKERS[name](np.random.default_rng(seed), 3).astype(np.float32))
    bands = frames.reshape(len(frames), 16, 4).mean(axis=2)
    speed = np.abs(np.diff(bands, axis=0)).mean(axis=0)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0), speed])


def test_makers_are_told_apart() -> None:
    """The mean traits of eight clips of each maker tell whose most further clips are."""
    known = {name: np.array([traits(name, seed) for seed in range(8)]) for name in MAKERS}
    scale = np.concatenate(list(known.values())).std(axis=0)
    centres = {name: clips.mean(axis=0) for name, clips in known.items()}

    def nearest(clip: npt.NDArray[np.float64]) -> str:
        return min(centres, key=lambda name: float(np.abs((clip - centres[name]) / scale).sum()))

    right = [nearest(traits(name, seed)) == name for name in MAKERS for seed in range(20, 24)]
    assert np.mean(right) > 0.5  # one in seven by chance


@pytest.fixture(scope="module")
def yamnet(shared: Path) -> Teacher:
    return load_teacher(shared / "teacher" / "yamnet_rebuilt.h5")


def heard(yamnet: Teacher, name: str, clips: int = 16) -> list[npt.NDArray[np.float64]]:
    """The teacher's scores of clips with faint noise, each `[windows, 521]`.

    They sound in a room, but for eating, of which teachers know recordings from close by.
    """
    recordings = []
    for seed in range(clips):
        rng = np.random.default_rng(seed)
        sound = MAKERS[name](rng, 6).astype(np.float32)
        if name != "eating":
            sound = in_room(sound, impulse_response(draw_room(rng), rng))
        sound = 0.1 * sound
        sound += 0.0003 * coloured_noise(rng, len(sound), 5.0).astype(np.float32)
        recordings.append(Recording(str(seed), sound, log_mel(sound)))
    return [expit(logits.astype(np.float64)) for logits in yamnet.logits(recordings)]


@pytest.mark.shared
@pytest.mark.parametrize("name", HEARD_AS)
def test_yamnet_hears_what_is_imitated(yamnet: Teacher, name: str) -> None:
    wanted = {class_names().index(each) for each in HEARD_AS[name]}
    strongest = [set(scores.mean(axis=0).argsort()[-5:]) for scores in heard(yamnet, name)]
    share = 0.3 if name == "eating" else 0.6
    assert np.mean([bool(wanted & classes) for classes in strongest]) >= share


@pytest.mark.shared
@pytest.mark.parametrize("name", MAKERS)
def test_yamnet_hears_few_cries(yamnet: Teacher, name: str) -> None:
    """Half of the clips have no window that the teacher takes for crying."""
    cries = [scores[:, list(cry_indices())].sum(axis=1).max() for scores in heard(yamnet, name)]
    assert np.median(cries) < 0.3
