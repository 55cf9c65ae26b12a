from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from crydistill.audio.augment import active_level
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.corpora.clip import Clip, Label
from crydistill.evaluation.conditions import (
    CLEAN,
    NOISE_KINDS,
    SNRS_DB,
    Condition,
    Family,
    Noises,
    conditions,
)

pytest.importorskip("pyroomacoustics", reason="rooms need crydistill[train]")

EVERY = conditions()


def tone(seconds: float, hertz: float = 700.0, amplitude: float = 0.1) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def clip(name: str = "a", group: str = "g", category: str = "baby cry") -> Clip:
    return Clip(name, Path(f"{name}.wav"), Label.CRY, group, category=category)


def fan(folder: Path, name: str, group: str, hertz: float, label: Label = Label.NONCRY) -> Clip:
    path = folder / f"{name}.wav"
    soundfile.write(path, tone(1.5, hertz, 0.02), SAMPLE_RATE, subtype="FLOAT")
    return Clip(name, path, label, group, category="air_conditioner")


@pytest.fixture(scope="module")
def synthetic() -> Noises:
    return Noises([], seed=0)


def one(name: str) -> Condition:
    return next(condition for condition in EVERY if condition.name == name)


def test_names_are_unique_and_the_clean_clips_come_first() -> None:
    names = [condition.name for condition in EVERY]
    assert len(set(names)) == len(names)
    assert EVERY[0] == CLEAN
    assert {condition.family for condition in EVERY} == set(Family)
    noisy = [condition for condition in EVERY if condition.family is Family.NOISE]
    assert len(noisy) == len(NOISE_KINDS) * len(SNRS_DB)


@pytest.mark.parametrize("condition", EVERY, ids=lambda condition: condition.name)
def test_every_condition_keeps_length_and_range_and_can_be_repeated(
    condition: Condition, synthetic: Noises
) -> None:
    sound = tone(2.0)
    before = sound.copy()
    heard = condition.change(sound, clip(), synthetic)
    assert heard.shape == sound.shape and heard.dtype == np.float32
    assert np.abs(heard).max() <= 1
    np.testing.assert_array_equal(sound, before)
    np.testing.assert_array_equal(heard, condition.change(sound, clip(), Noises([], seed=0)))
    if condition.family in (Family.NOISE, Family.ROOM):
        other = condition.change(sound, clip("another"), synthetic)
        assert not np.array_equal(heard, other)


@pytest.mark.parametrize("condition", EVERY, ids=lambda condition: condition.name)
def test_silence_survives_every_condition(condition: Condition, synthetic: Noises) -> None:
    heard = condition.change(np.zeros(SAMPLE_RATE, dtype=np.float32), clip(), synthetic)
    assert np.isfinite(heard).all()


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_noise_comes_at_its_ratio_and_is_the_same_at_each(kind: str, synthetic: Noises) -> None:
    sound = tone(2.0)
    noises = [
        one(f"{kind}, {snr:g} dB").change(sound, clip(), synthetic) - sound for snr in (20, 5)
    ]
    for noise, snr in zip(noises, (20, 5), strict=True):
        assert active_level(sound) - active_level(noise) == pytest.approx(snr, abs=0.2)
    soft, loud = (noise / np.sqrt(np.mean(noise**2)) for noise in noises)
    np.testing.assert_allclose(soft, loud, atol=1e-3)


def test_a_mix_above_full_scale_is_made_softer_instead_of_clipped(synthetic: Noises) -> None:
    sound = tone(2.0, amplitude=0.9)
    heard = one("noise machine, -5 dB").change(sound, clip(), synthetic)
    assert np.abs(heard).max() == pytest.approx(1)
    assert (np.abs(heard) > 0.999).sum() < 5


def test_noise_is_a_corpus_own_but_never_of_the_clips_group(tmp_path: Path) -> None:
    clips = [fan(tmp_path, f"fan{n}", f"g{n}", 1_000.0 * (n + 1)) for n in range(3)]
    noises = Noises([*clips, fan(tmp_path, "cry", "g3", 6_000.0, Label.CRY)], seed=0)
    assert noises.origin("fan") == "3 recordings of 3 groups in the split"
    assert noises.origin("music") == "synthetic"
    seen = set()
    for number in range(20):
        sound = noises.behind(clip(f"x{number}", group="g0"), "fan", 4 * SAMPLE_RATE)
        assert len(sound) == 4 * SAMPLE_RATE
        spectrum = np.abs(np.fft.rfft(sound))
        hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
        seen |= set(np.round(hertz[spectrum > 0.3 * spectrum.max()], -3).tolist())
    assert seen == {2_000.0, 3_000.0}


def test_too_few_groups_make_no_noise(tmp_path: Path) -> None:
    clips = [fan(tmp_path, f"fan{n}", f"g{n % 2}", 1_000.0) for n in range(6)]
    assert Noises(clips, seed=0).origin("fan") == "synthetic"


def test_a_far_room_smears_more_than_a_near_one_and_is_as_loud(synthetic: Noises) -> None:
    click = np.zeros(SAMPLE_RATE, dtype=np.float32)
    click[1_000:1_400] = tone(400 / SAMPLE_RATE)
    tails = []
    for metres in (0.5, 4.0):
        heard = one(f"large room, {metres:g} m").change(click, clip(), synthetic)
        assert active_level(heard) == pytest.approx(active_level(click), abs=0.1)
        energy = np.square(heard, dtype=np.float64)
        tails.append(energy[2_000:].sum() / energy.sum())
    assert tails[1] > 2 * tails[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("4 kHz band limit", lambda low, high: high < 0.01 * low),
        ("microphone roll-off", lambda low, high: high < 0.5 * low),
    ],
)
def test_electronics_take_the_treble(
    name: str, expected: Callable[[float, float], bool], synthetic: Noises
) -> None:
    sound = tone(2.0, 1_000.0) + tone(2.0, 6_500.0)
    spectrum = np.abs(np.fft.rfft(one(name).change(sound, clip(), synthetic)))
    assert expected(float(spectrum[2_000]), float(spectrum[13_000]))


def test_a_converter_has_so_many_steps(synthetic: Noises) -> None:
    sound = tone(2.0, amplitude=0.99)
    for bits in (8, 12):
        heard = one(f"{bits}-bit converter").change(sound, clip(), synthetic)
        assert len(np.unique(heard)) <= 2**bits
        assert np.abs(heard - sound).max() <= 2.0**-bits + 1e-6
