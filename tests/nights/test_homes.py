from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from tests.nights.at_home import EAR, SMALL, one_home, tone_clips

from crydistill.corpora.clip import Clip
from crydistill.detector.calibrate import score_logits
from crydistill.detector.vote import Scores
from crydistill.errors import CorpusError
from crydistill.experiment.streams import StreamOptions
from crydistill.nights.homes import Part, _part, _scores, _shifted, _spread, draw_homes
from crydistill.nights.streams import compose, measure_clips, render
from crydistill.teacher.base import Recording


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return tone_clips(tmp_path_factory.mktemp("clips"))


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
    with pytest.raises(CorpusError, match="too few for a home"):
        draw_homes(clips[:9], [], SMALL, seed=0)


def test_tracks_are_cut_at_the_sounds(clips: list[Clip]) -> None:
    measured, _ = measure_clips(clips[:6])
    plan = compose(
        sounds=clips[:6], cries=[], bed=[], measured=measured, seed=0,
        options=StreamOptions(
            episodes=0, clips=(1, 1), rooms=0, mean_gap_seconds=2.0, snr_db=(30.0, 30.0)
        ),
    )  # fmt: skip
    scores = _scores(plan, EAR)
    part = _part([(plan, scores)], highest=1.0)
    assert len(part.sounds) == 6
    assert sum(map(len, part.sounds)) + len(part.quiet) == len(scores)
    assert part.quiet.max() == 0
    assert all(track.max() > 0 for track in part.sounds)
    assert sum(map(len, render(plan))) == plan.samples  # the plan is whole


def test_a_home_is_scored_once(clips: list[Clip], tmp_path: Path) -> None:
    first = one_home(clips, tmp_path)

    def refuse(recording: Recording) -> Scores:
        raise AssertionError("was scored again")

    again = one_home(clips, tmp_path, replace(EAR, listen=lambda: refuse))
    np.testing.assert_array_equal(again.crying.scores, first.crying.scores)
    for one, other in zip(first.parts, again.parts, strict=True):
        np.testing.assert_array_equal(np.concatenate(one.sounds), np.concatenate(other.sounds))
        assert one.spread == other.spread
    with pytest.raises(AssertionError, match="scored again"):
        one_home(clips, tmp_path, replace(EAR, listen=lambda: refuse, fingerprint="another"))


def test_a_night_is_as_long_as_asked_and_has_pauses() -> None:
    part = Part((np.full(10, 0.5, np.float32),), np.zeros(7, np.float32), spread=0.0)
    night = part.night(2.0, 24.0, 1.0, np.random.default_rng(0))
    assert len(night) == 15_000
    # Ten windows of sound after 24 / 0.48 = 50 of quiet on average.
    assert night.mean() == pytest.approx(0.5 * 10 / 60, rel=0.15)


def test_shifts_are_as_wide_as_takes_differ() -> None:
    rng = np.random.default_rng(0)
    peaks = rng.normal(-2, 3, (4_000, 1)) + rng.normal(0, 0.7, (4_000, 2))
    assert _spread(peaks.tolist()) == pytest.approx(0.7, rel=0.05)
    assert _spread([[1.0], [2.0]]) == 0
    nothing = [[float(score_logits(0, 1.0))] * 2] * 9_000
    assert _spread(peaks.tolist() + nothing) == _spread(peaks.tolist())
    shifted = _shifted(np.array([0.2, 1.0, 1.9], np.float32), 0.5, 2.0)
    np.testing.assert_allclose(shifted, 2 * expit(np.log([1 / 9, 1, 19]) + 0.5), rtol=1e-4)
