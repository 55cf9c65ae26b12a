from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.levels import highest_vote
from crydistill.detector.vote import VoteSettings, alerts
from crydistill.nights.alarms import Episode, ScoredStream, measure_nights
from crydistill.nights.operating import (
    PRESET_RATES,
    annotated_preset,
    caught_at_rates,
    choose_presets,
    choose_vote,
    too_little_to_choose,
    with_presets,
)
from crydistill.student.manifest import load_manifest, save_manifest
from crydistill.student.packaged import packaged_student

tracks = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30).map(
    lambda scores: np.array(scores, dtype=np.float32)
)


@given(track=tracks, n=st.integers(1, 5), extra=st.integers(0, 4))
def test_the_highest_vote_is_where_the_detector_stops_alerting(
    track: np.ndarray, n: int, extra: int
) -> None:
    m = n + extra
    highest = highest_vote(track, n=n, m=m)
    above = float(np.nextafter(np.float32(highest), np.float32(2)))
    assert alerts(track, VoteSettings(threshold=above, n=n, m=m)) == []
    if len(track) >= n:
        assert alerts(track, VoteSettings(threshold=highest, n=n, m=m))


@pytest.mark.parametrize("seed", range(5))
def test_rates_are_kept_by_the_lowest_threshold_that_keeps_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    smooth = np.convolve(rng.random(30_000), np.ones(5) / 5, mode="same").astype(np.float32)
    stream = ScoredStream(smooth, (Episode(600.0, 660.0, "a"),))
    presets = choose_presets([stream], n=3, m=5, hold_seconds=2.0)
    assert presets["sensitive"] < presets["balanced"] < presets["quiet"]

    def per_hour(threshold: float) -> float:
        vote = VoteSettings(threshold=threshold, n=3, m=5, hold_seconds=2.0)
        return measure_nights([stream], vote, replicates=1).per_hour.value

    for name, rate in PRESET_RATES.items():
        assert per_hour(presets[name]) <= rate
        below = float(np.nextafter(np.float32(presets[name]), np.float32(0)))
        assert per_hour(below) > rate


def test_rates_need_audio_without_a_cry() -> None:
    quiet = ScoredStream(np.zeros(7_500, dtype=np.float32))
    presets = choose_presets([quiet], n=5, m=9)
    # At 0 everything votes: one alert, which an hour allows and an eighth of a night does not.
    assert presets["sensitive"] == presets["balanced"] == 0
    assert 0 < presets["quiet"] < 1e-30
    with pytest.raises(ValueError, match="without a cry"):
        choose_presets([], n=5, m=9)


def test_quiet_is_never_deaf() -> None:
    confident = [ScoredStream(np.full(20, 0.996, dtype=np.float32))]  # a sigmoid student's cat
    assert choose_presets(confident, n=5, m=9)["quiet"] > 0.996
    assert choose_presets(confident, n=5, m=9, highest=0.996)["quiet"] == 0.996


def crying_night(windows: int) -> ScoredStream:
    """Twenty episodes of as many groups, ten of them caught at 0.8, and a false alarm at 0.6."""
    scores = np.zeros(windows, dtype=np.float32)
    scores[200:220] = 0.6
    times = [600.0 + 30 * number for number in range(20)]
    for at in times[:10]:
        first = round(at / WINDOW_HOP_SECONDS)
        scores[first : first + 20] = 0.9
    return ScoredStream(scores, tuple(Episode(at, at + 10, f"{at}") for at in times))


def test_presets_are_measured_on_continuous_audio(tmp_path: Path) -> None:
    night = crying_night(9_000)
    settings = {
        "sensitive": VoteSettings(threshold=0.5),
        "quiet": VoteSettings(threshold=0.8, n=3, m=5, hold_seconds=2.0),
    }
    presets = {
        name: annotated_preset(measure_nights([night], each), audio="tones", groups=20)
        for name, each in settings.items()
    }
    assert presets["sensitive"].recall == presets["quiet"].recall == 0.5
    assert presets["sensitive"].false_alarms_per_hour == pytest.approx(1 / 1.12, abs=0.01)
    assert presets["quiet"].false_alarms_per_hour == 0
    assert (presets["quiet"].n, presets["quiet"].m, presets["quiet"].hold_seconds) == (3, 5, 2.0)
    assert presets["sensitive"].measured_on == (
        "continuous audio from tones: 20 episodes of crying; 1 false alarms in 1.12 h"
    )
    manifest = with_presets(load_manifest(packaged_student() / "student.json"), presets)
    save_manifest(tmp_path / "student.json", manifest)
    saved = load_manifest(tmp_path / "student.json")
    assert saved.presets["quiet"] == presets["quiet"]
    assert "balanced" in saved.presets  # what was not measured stays


@pytest.mark.parametrize(
    ("windows", "groups", "recall", "rated", "why"),
    [
        (9_000, 9, None, True, "20 cries of 9 groups where 20 of 10 are needed"),
        (7_500, 20, 0.5, False, "0.92 h without a cry where 1 h is needed"),
        (7_500, 9, None, False, "20 cries of 9 groups where 20 of 10 are needed; 0.92 h"),
    ],
)
def test_too_little_audio_gives_no_rate(
    windows: int, groups: int, recall: float | None, rated: bool, why: str
) -> None:
    figures = measure_nights([crying_night(windows)], VoteSettings(threshold=0.5))
    preset = annotated_preset(figures, audio="tones", groups=groups, caution="chosen on a minute")
    assert preset.recall == recall
    assert (preset.false_alarms_per_hour is not None) == rated
    assert f"too little to tell ({why}" in (preset.measured_on or "")
    assert (preset.threshold, preset.caution) == (0.5, "chosen on a minute")


def test_a_stream_without_crying_has_no_recall() -> None:
    quiet = ScoredStream(np.zeros(9_000, np.float32))
    figures = measure_nights([quiet], VoteSettings(threshold=0.5))
    preset = annotated_preset(figures, audio="a", groups=0)
    assert preset.recall is None and preset.false_alarms_per_hour == 0
    assert preset.measured_on == "continuous audio from a: 0 false alarms in 1.20 h"


def test_thresholds_chosen_on_too_little_audio_are_marked() -> None:
    assert too_little_to_choose(1.0) is None
    caution = too_little_to_choose(0.2)
    assert (
        caution
        == "chosen on too little audio to keep a rate (0.20 h without a cry where 1 h is needed)"
    )


def bursts(length: int, *, spikes: int, seed: int = 0) -> ScoredStream:
    """Five hours: episodes of `length` windows at 0.8, and single windows elsewhere at 0.9."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 0.1, 37_500).astype(np.float32)
    starts = np.arange(1, 31) * 1200
    for start in starts:
        scores[start : start + length] = 0.8
    quiet = (starts[:-1, None] + np.arange(200, 1000)).ravel()
    scores[rng.choice(quiet, spikes, replace=False)] = 0.9
    seconds = WINDOW_HOP_SECONDS
    episodes = [Episode(at * seconds, (at + length) * seconds, str(at)) for at in starts]
    return ScoredStream(scores, episodes)


def test_a_vote_is_as_long_as_the_false_alarms_ask_for() -> None:
    assert choose_vote([bursts(12, spikes=0)]) == (1, 1)
    assert choose_vote([bursts(12, spikes=60)]) == (2, 3)
    assert caught_at_rates([bursts(12, spikes=60)], 1, 1) == [0, 0]
    assert caught_at_rates([bursts(12, spikes=60)], 2, 3) == [1, 1]


def test_without_crying_the_vote_is_the_longest() -> None:
    assert choose_vote([ScoredStream(np.zeros(100, dtype=np.float32))]) == (5, 9)
