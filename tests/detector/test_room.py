from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr
from tests.detector.sounds import EachByItself, LoudnessScorer, loud

from crydistill.detector.room import Crying, RoomSound, hear_room, require_different, settled
from crydistill.detector.vote import VoteSettings, alerts
from crydistill.errors import AudioError

RATE = 16_000
VOTE = VoteSettings(threshold=0.9, n=5, m=9, hold_seconds=2.0)

Sound = npt.NDArray[np.float64]


def noise(seconds: float, seed: int = 0, level: float = 0.01) -> Sound:
    return np.random.default_rng(seed).normal(0, level, round(seconds * RATE))


def household(seconds: float, seed: int = 0) -> Sound:
    """Noise in which something louder happens now and then."""
    sound, rng = noise(seconds, seed), np.random.default_rng(seed + 1)
    for start in rng.integers(0, len(sound), round(seconds / 5)):
        sound[start : start + rng.integers(2_000, 20_000)] *= rng.uniform(2, 20)
    return np.clip(sound, -1, 1)


def saved(path: Path, sound: Sound, rate: int = RATE, **how: str) -> Path:
    soundfile.write(path, sound, rate, **how)
    return path


class Nothing(EachByItself):
    """Hears no cry anywhere."""

    def push(self, patches: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.full(len(patches), 0.01, dtype=np.float32)


def heard(path: Path, vote: VoteSettings = VOTE) -> RoomSound:
    return hear_room(path, Nothing(), vote)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("value", [0.0, 1e-5, 0.3])
@pytest.mark.parametrize("n", [1, 5])
def test_silence_and_constants_are_refused(tmp_path: Path, rate: int, value: float, n: int) -> None:
    path = saved(tmp_path / "still.wav", np.full(20 * rate, value), rate)
    with pytest.raises(AudioError, match=r"still\.wav: holds no sound .* microphone"):
        heard(path, VoteSettings(threshold=0.9, n=n, m=9))


def test_faint_noise_and_a_constant_beneath_sound_are_accepted(tmp_path: Path) -> None:
    faint = saved(tmp_path / "faint.wav", noise(20, level=2e-4), subtype="FLOAT")
    offset = saved(tmp_path / "offset.wav", 0.3 + noise(20))
    for path in (faint, offset):
        assert not heard(path).lifeless.any()


def test_a_recording_without_room_for_one_vote_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "short.wav", noise(2.8))
    with pytest.raises(AudioError, match=r"2\.8 s are too short to vote: 5 of 9 .* 2\.9 s"):
        heard(path)
    assert len(heard(path, VoteSettings(threshold=0.9, n=4, m=9)).scores) == 4
    assert len(heard(saved(tmp_path / "enough.wav", noise(2.9))).scores) == 5


def test_long_stretches_without_sound_do_not_count_and_gated_pauses_do(tmp_path: Path) -> None:
    gated = np.concatenate([noise(30), np.zeros(50 * RATE), noise(30)])
    assert np.isfinite(heard(saved(tmp_path / "gated.wav", gated)).scores).all()
    dead = np.concatenate([noise(30), np.zeros(90 * RATE), noise(30)])
    sound = heard(saved(tmp_path / "dead.wav", dead))
    missing = np.flatnonzero(np.isnan(sound.scores)) * 0.48
    assert missing[0] == pytest.approx(30, abs=0.5)
    assert missing[-1] == pytest.approx(119, abs=0.5)
    assert "1.5 min without any sound" in sound.notes[-1]


@pytest.mark.parametrize("copy", ["same", "quieter.wav", "other.flac", "small.ogg", "rate.wav"])
def test_a_copy_is_refused_in_whatever_format(tmp_path: Path, copy: str) -> None:
    sound = household(60)
    path = saved(tmp_path / "room.wav", sound)
    other = tmp_path / copy
    if copy == "same":
        other = path
    elif copy == "small.ogg":
        saved(other, sound, format="OGG", subtype="OPUS")
    elif copy == "rate.wav":
        saved(other, soxr.resample(sound, RATE, 44_100), 44_100)
    else:
        saved(other, sound * 0.5)
    with pytest.raises(AudioError, match=r"room\.wav.* give each recording once"):
        require_different([heard(saved(tmp_path / "b.wav", noise(20))), heard(path), heard(other)])


def test_a_short_copy_is_refused_and_other_nights_are_not(tmp_path: Path) -> None:
    short = [saved(tmp_path / name, noise(5)) for name in ("a.wav", "b.flac")]
    with pytest.raises(AudioError, match=r"b\.flac: holds the same sound as .*a\.wav"):
        require_different([heard(path) for path in short])
    nights = [saved(tmp_path / f"{seed}.wav", household(60, seed)) for seed in range(4)]
    steady = [saved(tmp_path / f"hiss{seed}.wav", noise(60, seed)) for seed in range(4)]
    faint = [
        saved(tmp_path / f"faint{seed}.wav", noise(20, seed, level=1e-4), subtype="FLOAT")
        for seed in range(2)
    ]
    require_different([heard(path) for path in (*nights, *steady, *faint)])


@pytest.fixture
def crying(tmp_path: Path) -> RoomSound:
    """A minute of noise too faint to score, with ten loud seconds from 20 s on."""
    sound = noise(60, level=2e-4)
    sound[20 * RATE : 30 * RATE] += loud(10)
    path = saved(tmp_path / "night.wav", sound)
    return hear_room(path, LoudnessScorer(), VOTE)


def test_crying_is_named_with_its_time_and_what_to_do(crying: RoomSound) -> None:
    with pytest.raises(AudioError) as refused:
        settled([crying], VOTE, Crying.REFUSE)
    message = str(refused.value)
    assert "night.wav at 0:20.2;" in message
    assert "--crying keep" in message
    assert "--crying skip" in message


def test_crying_is_kept_or_left_out_as_the_user_says(crying: RoomSound) -> None:
    (kept,) = settled([crying], VOTE, Crying.KEEP)
    assert np.array_equal(kept.scores, crying.scores)
    (skipped,) = settled([crying], VOTE, Crying.SKIP)
    assert alerts(skipped.scores, VOTE) == []
    missing = np.flatnonzero(np.isnan(skipped.scores)) * 0.48
    assert missing[0] == pytest.approx(17, abs=1)
    assert missing[-1] == pytest.approx(33, abs=1)
    assert np.nanmax(skipped.scores) < 0.1
    assert np.isfinite(crying.scores).all()


def test_many_times_are_not_all_named(crying: RoomSound) -> None:
    scores = np.where(np.arange(800) % 100 < 20, 1.0, 0.0).astype(np.float32)
    sound = RoomSound(crying.path, 384.0, scores, crying.lifeless, crying.levels, ())
    with pytest.raises(AudioError, match="and 3 more"):
        settled([sound], VOTE, Crying.REFUSE)
    assert settled([heard(crying.path)], VOTE, Crying.REFUSE)
