import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from tests.nights.at_home import EAR, SMALL, one_home, tone_clips

from crydistill.corpora.clip import Clip
from crydistill.detector.calibrated import Method, Range, RoomCalibration
from crydistill.detector.vote import VoteSettings, alerts
from crydistill.nights import promises
from crydistill.nights.alarms import Episode, ScoredStream
from crydistill.nights.homes import Part, ScoredHome, draw_homes
from crydistill.nights.promises import Recipe, Sounds, promises_record, try_promises
from crydistill.reports.promises_page import markdown_table, picture, terminal_table


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return tone_clips(tmp_path_factory.mktemp("clips"))


def made_up_home(number: int, rng: np.random.Generator, *, louder: float = 0.0) -> ScoredHome:
    """Sounds of eight windows with exponential peak scores; the new ones may be louder."""

    def part(extra: float) -> Part:
        heights = -4 + extra + rng.exponential(1.0, 400)
        tracks = tuple(np.full(8, expit(height), np.float32) for height in heights)
        return Part(tracks, np.full(50, expit(-9), np.float32), spread=0.3)

    crying = np.zeros(200, np.float32)
    crying[60:80] = 0.5
    stream = ScoredStream(crying, (Episode(30.0, 38.0, "c"),))
    return ScoredHome(number, (part(0.0), part(louder)), stream)


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


def test_a_trial_counts_what_the_detector_would_raise(clips: list[Clip], tmp_path: Path) -> None:
    home, rng = one_home(clips, tmp_path), np.random.default_rng(1)
    night = home.parts[1].night(SMALL.observed_hours, 5.0, 1.0, rng)
    vote = VoteSettings(threshold=0.4, n=2, m=3)
    trial = promises._Trial(home, vote, dict.fromkeys(Sounds, night), SMALL)
    made = RoomCalibration(
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
    record = promises_record(
        cells_of(), homes, EAR, {}, wanted_per_night=1.0, options=SMALL, seed=0,
        provenance=provenance,
    )  # fmt: skip
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["clips"]["private"] is False and record["clips"]["beds"] <= 1
    text = markdown_table(record)
    assert "| 5 of 9 | 8 h | counted, capped (1) | 1 [0.025, 3.7] |" in text
    assert "| 5 of 9 | 8 h | max-margin, capped (3) | – [0, 3.7] |" in text
    assert "audio (split train)" in text
    assert terminal_table(record).row_count == 4
    picture(record, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
