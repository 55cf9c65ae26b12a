import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy.special import expit

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.corpora.clip import Clip, Label
from crydistill.detector.calibrated import Calibration, Method, Range
from crydistill.detector.vote import Scores, VoteSettings, alerts
from crydistill.errors import CorpusError
from crydistill.evaluation import promises
from crydistill.evaluation.alarms import Episode, ScoredStream
from crydistill.evaluation.promises import (
    HeardHome,
    HomeOptions,
    Part,
    Recipe,
    Sounds,
    draw_homes,
    hear_homes,
    report,
    try_promises,
)
from crydistill.evaluation.promises_page import markdown_table, picture, terminal_table
from crydistill.evaluation.scorers import Kind, Scorer
from crydistill.evaluation.streams import StreamOptions, compose, measure_clips, render
from crydistill.teacher.base import Recording

SMALL = HomeOptions(homes=3, clips=20, clips_per_group=2, takes=2, episodes=3, observed_hours=4.0)


def loudness(recording: Recording) -> Scores:
    """Share of a window's frames in which something louder than the bed sounds."""
    loud = recording.frames.max(axis=1) > 0
    count = (len(loud) - 96) // 48 + 1
    return np.array([loud[48 * n : 48 * n + 96].mean() for n in range(count)], dtype=np.float32)


EAR = Scorer("ear", Kind.INT8, "f", loudness, None, {})


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("clips")
    found = []
    for number in range(44):
        cry = number >= 40
        path = folder / f"{number}.wav"
        time = np.arange(int((1 + number / 40) * SAMPLE_RATE)) / SAMPLE_RATE
        soundfile.write(path, 0.2 * np.sin(2 * np.pi * (400 + 9 * number) * time), SAMPLE_RATE)
        label = Label.CRY if cry else Label.NONCRY
        found.append(Clip(f"{number}", path, label, f"{'c' if cry else 'n'}{number // 3}"))
    return found


@pytest.fixture(scope="module")
def heard(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> list[HeardHome]:
    homes = draw_homes(clips, [], replace(SMALL, homes=1), seed=0)
    folder = tmp_path_factory.mktemp("homes")
    found, unusable = hear_homes(homes, clips[40:], EAR, folder, highest=1.0, options=SMALL, seed=0)
    assert not unusable
    return found


def test_homes_keep_their_halves_apart_and_their_bed_out(clips: list[Clip]) -> None:
    bed = clips[:3]
    homes = draw_homes(clips, bed, replace(SMALL, homes=12), seed=0)
    for home in homes:
        known, new = ({clip.id for clip in part} for part in home.parts)
        assert len(known) == len(new) == 10
        assert not known & new
        assert not any(clip.is_cry for part in home.parts for clip in part)
        assert not {clip.id for clip in bed} & (known | new)
        groups = [clip.group for part in home.parts for clip in part]
        assert max(map(groups.count, groups)) <= SMALL.clips_per_group
    assert {home.bed for home in homes} == {(), tuple(bed)}
    assert homes == draw_homes(clips, bed, replace(SMALL, homes=12), seed=0)
    assert homes != draw_homes(clips, bed, replace(SMALL, homes=12), seed=1)


def test_too_few_clips_are_named(clips: list[Clip]) -> None:
    with pytest.raises(CorpusError, match="do not fill a home"):
        draw_homes(clips[:9], [], SMALL, seed=0)


def test_tracks_are_cut_where_sounds_are_heard(clips: list[Clip]) -> None:
    measured, _ = measure_clips(clips[:6])
    plan = compose(
        sounds=clips[:6], cries=[], bed=[], measured=measured, seed=0,
        options=StreamOptions(rooms=0, mean_gap_seconds=2.0, sound_dbfs=(-20.0, -20.0)),
    )  # fmt: skip
    scores = promises._scores(plan, EAR)
    part = promises._part([(plan, scores)], highest=1.0)
    assert len(part.sounds) == 6
    assert sum(map(len, part.sounds)) + len(part.quiet) == len(scores)
    assert part.quiet.max() == 0
    assert all(track.max() > 0 for track in part.sounds)
    assert sum(map(len, render(plan))) == plan.samples  # the plan is whole


def test_a_home_is_heard_once(
    clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = draw_homes(clips, [], replace(SMALL, homes=1), seed=0)

    def hear(scorer: Scorer = EAR) -> list[HeardHome]:
        return hear_homes(homes, clips[40:], scorer, tmp_path, highest=1.0, options=SMALL, seed=0)[
            0
        ]

    (first,) = hear()

    def refuse(recording: Recording) -> Scores:
        raise AssertionError("was heard again")

    (again,) = hear(replace(EAR, score=refuse))
    np.testing.assert_array_equal(again.crying.scores, first.crying.scores)
    for one, other in zip(first.parts, again.parts, strict=True):
        np.testing.assert_array_equal(np.concatenate(one.sounds), np.concatenate(other.sounds))
        assert one.spread == other.spread
    with pytest.raises(AssertionError, match="heard again"):
        hear(replace(EAR, score=refuse, fingerprint="another"))


def test_a_night_is_as_long_as_asked_and_has_pauses() -> None:
    part = Part((np.full(10, 0.5, np.float32),), np.zeros(7, np.float32), spread=0.0)
    night = part.night(2.0, 24.0, 1.0, np.random.default_rng(0))
    assert len(night) == 15_000
    # Ten windows of sound after 24 / 0.48 = 50 of quiet on average.
    assert night.mean() == pytest.approx(0.5 * 10 / 60, rel=0.15)


def test_shifts_are_as_wide_as_takes_differ() -> None:
    rng = np.random.default_rng(0)
    peaks = rng.normal(-2, 3, (4_000, 1)) + rng.normal(0, 0.7, (4_000, 2))
    assert promises._spread(peaks.tolist()) == pytest.approx(0.7, rel=0.05)
    assert promises._spread([[1.0], [2.0]]) == 0
    shifted = promises._shifted(np.array([0.2, 1.0, 1.9], np.float32), 0.5, 2.0)
    np.testing.assert_allclose(shifted, 2 * expit(np.log([1 / 9, 1, 19]) + 0.5), rtol=1e-4)


def made_up_home(number: int, rng: np.random.Generator, *, louder: float = 0.0) -> HeardHome:
    """Sounds of eight windows whose heights are exponential; the new ones may be louder."""

    def part(extra: float) -> Part:
        heights = -4 + extra + rng.exponential(1.0, 400)
        tracks = tuple(np.full(8, expit(height), np.float32) for height in heights)
        return Part(tracks, np.full(50, expit(-9), np.float32), spread=0.3)

    crying = np.zeros(200, np.float32)
    crying[60:80] = 0.5
    stream = ScoredStream(crying, (Episode(30.0, 38.0, "c"),))
    return HeardHome(number, (part(0.0), part(louder)), stream)


@cache
def cells_of(louder: float = 0.0) -> list[promises.Cell]:
    rng = np.random.default_rng(0)
    homes = [made_up_home(number, rng, louder=louder) for number in range(8)]
    return try_promises(
        homes, wanted_per_night=1.0, highest=1.0, options=SMALL, votes=((5, 9),),
        hours=(1.0, 8.0), seed=0,
    )  # fmt: skip


def test_a_promise_comes_true_among_the_same_sounds_and_not_among_louder_ones() -> None:
    longest = [cell for cell in cells_of() if cell.hours == 8 and cell.recipe is Recipe.RATE]
    (cell,) = longest
    assert {outcome.method for outcome in cell.outcomes} == {Method.COUNTED}
    seen = [outcome.observed[Sounds.SAME] for outcome in cell.outcomes]
    assert 0.2 < np.mean(seen) < 3
    assert all(outcome.kept[Sounds.SAME] for outcome in cell.outcomes)
    (louder,) = [cell for cell in cells_of(3.0) if cell.hours == 8 and cell.recipe is Recipe.RATE]
    assert np.mean([outcome.observed[Sounds.NEW] for outcome in louder.outcomes]) > 5
    assert np.mean([bool(outcome.kept[Sounds.NEW]) for outcome in louder.outcomes]) < 0.5


def test_a_trial_counts_what_the_detector_would_raise(heard: list[HeardHome]) -> None:
    home, rng = heard[0], np.random.default_rng(1)
    night = home.parts[1].night(SMALL.observed_hours, 5.0, 1.0, rng)
    vote = VoteSettings(threshold=0.4, n=2, m=3)
    trial = promises._Trial(home, vote, dict.fromkeys(Sounds, night), SMALL)
    made = Calibration(
        vote=vote, method=Method.TAIL, wanted_per_night=1.0, threshold_range=None, hours=1.0,
        alerts=0, expected_per_night=Range(value=1.0, low=0.5, high=2.0),
    )  # fmt: skip
    outcome = trial.observe(made)
    raised = len(alerts(night, vote))
    assert raised > 0
    assert outcome.observed[Sounds.NEW] == pytest.approx(raised * 8 / SMALL.observed_hours)
    assert outcome.caught == 1.0
    deaf = made.model_copy(update={"vote": vote.model_copy(update={"threshold": 2.0})})
    assert trial.observe(deaf).caught == 0
    assert trial.observe(deaf).observed[Sounds.SAME] == 0


@pytest.mark.parametrize(
    ("count", "low", "high", "kept"),
    [(0, 0.0, 0.1, True), (9, 0.0, 1.0, False), (1, 0.0, 0.01, False), (0, 20.0, 30.0, False)],
)
def test_chance_is_allowed_for(count: int, low: float, high: float, kept: bool) -> None:
    rng = np.random.default_rng(0)
    night = np.zeros(100, np.float32)
    options = replace(SMALL, observed_hours=8.0)
    trial = promises._Trial(
        made_up_home(0, rng), VoteSettings(threshold=0.0), dict.fromkeys(Sounds, night), options
    )
    assert trial._is_kept(count, low, high) is kept
    assert trial._is_kept(count, None, None) is None


def test_the_report_is_plain_json_and_its_pages_show_it(clips: list[Clip], tmp_path: Path) -> None:
    homes = draw_homes(clips, clips[:3], SMALL, seed=0)
    provenance: dict[str, Any] = {
        "corpus": "audio", "where": {"split": "train"}, "kernels": "reference", "git_commit": None,
    }  # fmt: skip
    record = report(
        cells_of(), homes, EAR, {}, wanted_per_night=1.0, options=SMALL, seed=0,
        provenance=provenance,
    )  # fmt: skip
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["clips"]["private"] is False and record["clips"]["beds"] <= 1
    text = markdown_table(record)
    assert "| 5 of 9 | 8 h | counted | 1 [0.025, 3.7] |" in text
    assert "| 5 of 9 | 8 h | max-margin | – [0, 3.7] |" in text
    assert "audio (split train)" in text
    assert terminal_table(record).row_count == 4
    picture(record, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
