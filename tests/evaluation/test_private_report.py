import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from crydistill.corpora.captures import Tier
from crydistill.errors import CorpusError
from crydistill.evaluation.private_report import (
    MIN_CLIPS,
    CapturesReport,
    ScoredCaptures,
    captures_report,
)
from crydistill.publish.guard import scan

WINDOWS = 82
"""In a capture of 40 s."""

STAMP = "20260412" + "T03"  # in two pieces, or the guard would find it here

LEVELS = {
    Tier.HIGH_POS: 0.8,
    Tier.MEDIUM_POS: 0.5,
    Tier.LOW: 0.3,
    Tier.MEDIUM_NEG: 0.15,
    Tier.HIGH_NEG: 0.05,
}


def made_up(counts: dict[Tier | None, int], *, hours: Sequence[int] = (2, 3), seed: int = 0) -> Any:
    """Captures whose scores follow their tier; the student follows the teacher."""
    generator = np.random.default_rng(seed)
    tiers = [tier for tier, count in counts.items() for _ in range(count)]
    level = [LEVELS[tier] if tier else 0.2 for tier in tiers]
    teacher = [np.clip(mean + generator.normal(0, 0.2, WINDOWS), 0, 1) for mean in level]
    student = [np.clip(track + generator.normal(0, 0.1, WINDOWS), 0, 1) for track in teacher]
    return ScoredCaptures(
        ids=[f"cry-{STAMP}{index:04}+1000.wav" for index in range(len(tiers))],
        tiers=tiers,
        hours=[hours[index % len(hours)] for index in range(len(tiers))],
        held_out=[index % 5 == 0 for index in range(len(tiers))],
        teacher=teacher,
        student=student,
        kl=generator.uniform(0, 1, len(tiers)).tolist(),
    )


MANY: dict[Tier | None, int] = dict.fromkeys(Tier, 40) | {None: 7}


def numbers_in(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers_in(part)]
    return [value] if isinstance(value, int | float) else []


def slow_auc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    wins = [float(p > n) + 0.5 * float(p == n) for p in positives for n in negatives]
    return float(np.mean(wins))


def test_tier_summaries_against_plain_arithmetic() -> None:
    scored = made_up(MANY)
    report = captures_report(scored)
    members = [index for index, tier in enumerate(scored.tiers) if tier is Tier.LOW]
    summary = report.tiers[Tier.LOW]
    maxima = [max(scored.student[index]) for index in members]
    assert summary.clips == 40
    assert summary.student_max.mean == pytest.approx(np.mean(maxima), abs=1e-4)
    assert summary.student_max.p10 == pytest.approx(np.percentile(maxima, 10), abs=1e-4)
    assert summary.student_max.p90 == pytest.approx(np.percentile(maxima, 90), abs=1e-4)
    teacher, student = (
        np.concatenate([np.asarray(side[index], dtype=np.float64) for index in members])
        for side in (scored.teacher, scored.student)
    )
    assert summary.correlation == pytest.approx(np.corrcoef(teacher, student)[0, 1], abs=1e-4)


def test_auc_against_all_pairs_overall_and_by_hour() -> None:
    scored = made_up(MANY, hours=(0, 23))
    report = captures_report(scored)

    def maxima(tier: Tier, hour: int | None) -> list[float]:
        return [
            max(track)
            for track, of, at in zip(scored.student, scored.tiers, scored.hours, strict=True)
            if of is tier and hour in (None, at)
        ]

    assert list(report.by_hour) == [0, 23]
    for hour, cell in [(None, report.overall), *report.by_hour.items()]:
        expected = slow_auc(maxima(Tier.HIGH_POS, hour), maxima(Tier.HIGH_NEG, hour))
        assert cell.student == pytest.approx(expected, abs=1e-4)
        assert (cell.positives, cell.negatives) == ((40, 40) if hour is None else (20, 20))


def test_kl_is_over_the_windows_of_the_hold_out() -> None:
    scored = made_up({Tier.LOW: 20})
    scored.teacher[0] = scored.teacher[0][:41]
    scored.student[0] = scored.student[0][:41]
    held = [index for index in range(20) if scored.held_out[index]]
    weights = [len(scored.teacher[index]) for index in held]
    expected = np.average([scored.kl[index] for index in held], weights=weights)
    report = captures_report(scored)
    assert report.held_out.clips == 4
    assert report.held_out.kl == pytest.approx(expected, abs=1e-4)


def test_without_kl() -> None:
    scored = made_up(MANY)
    without = ScoredCaptures(**{**vars(scored), "kl": None})
    assert captures_report(without).held_out.kl is None
    assert captures_report(without).held_out.clips > 0


def test_small_cells_are_suppressed() -> None:
    counts: dict[Tier | None, int] = {
        Tier.HIGH_POS: 30,
        Tier.MEDIUM_POS: MIN_CLIPS,
        Tier.LOW: MIN_CLIPS - 1,
        Tier.HIGH_NEG: 30,
    }
    scored = made_up(counts, hours=(1, 1, 1, 1, 2))
    shared = captures_report(scored).shareable()
    assert shared["tiers"]["medium_pos"]["clips"] == MIN_CLIPS
    assert shared["tiers"]["low"] == {"clips": "fewer than 10"}
    assert shared["tiers"]["medium_neg"] == {"clips": "fewer than 10"}
    assert list(shared["auc_high_pos_against_high_neg"]["by_hour"]) == ["1"]
    assert shared["auc_high_pos_against_high_neg"]["overall"]["positives"] == 30
    assert shared["unusable_clips"] == "fewer than 10"


def test_an_auc_needs_ten_clips_of_each_side() -> None:
    scored = made_up({Tier.HIGH_POS: 50, Tier.HIGH_NEG: 9})
    report = captures_report(scored)
    assert report.overall.student is not None
    assert report.shareable()["auc_high_pos_against_high_neg"] == {"overall": None, "by_hour": {}}


@pytest.mark.parametrize("seed", range(5))
def test_no_shared_count_is_below_ten_nor_follows_by_subtraction(seed: int) -> None:
    generator = np.random.default_rng(seed)
    counts: dict[Tier | None, int] = {tier: int(generator.integers(0, 30)) for tier in Tier}
    counts[Tier.HIGH_POS] += 1
    shared = captures_report(made_up(counts, hours=range(24), seed=seed)).shareable()
    hourly = shared["auc_high_pos_against_high_neg"].pop("by_hour")
    assert all(set(cell) == {"teacher", "student"} for cell in hourly.values())
    counted = [number for number in numbers_in(shared) if isinstance(number, int)]
    assert all(number >= MIN_CLIPS for number in counted)
    assert sum(counts.values()) not in counted


def test_nothing_personal_in_the_shareable_part(tmp_path: Path) -> None:
    report = captures_report(made_up(MANY, hours=range(24)), unreadable={"cry-1.wav": "broken"})
    report.write_shareable(tmp_path / "shareable.json")
    text = (tmp_path / "shareable.json").read_text()
    assert "cry-" not in text
    assert not re.search(r"\d{6}", text)
    assert scan(tmp_path) == []
    assert json.loads(text) == report.shareable()


def test_the_full_part_is_refused_in_a_work_tree(tmp_path: Path) -> None:
    report = captures_report(made_up(MANY))
    report.write_full(tmp_path / "full.json")
    full = json.loads((tmp_path / "full.json").read_text())
    assert len(full["clips"]) == sum(MANY.values())
    assert full["clips"][0]["tier"] == "high_pos"
    (tmp_path / "project" / ".git").mkdir(parents=True)
    with pytest.raises(CorpusError, match="must not lie in a git work tree"):
        report.write_full(tmp_path / "project" / "full.json")
    assert not (tmp_path / "project" / "full.json").exists()


def test_the_guard_would_find_the_full_part(tmp_path: Path) -> None:
    scored = made_up(MANY)
    named = ScoredCaptures(**{**vars(scored), "ids": [f"{STAMP}{i:04}Z" for i in range(207)]})
    captures_report(named).write_full(tmp_path / "full.json")
    assert scan(tmp_path) != []


def broken(**changes: Any) -> CapturesReport:
    scored = made_up({Tier.LOW: 12})
    for name, value in changes.items():
        column: list[Any] = getattr(scored, name)
        column[3] = value
    return captures_report(scored)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"teacher": np.empty(0)}, "no window was scored"),
        ({"teacher": np.full(WINDOWS, np.nan)}, "a score is not a finite number"),
        ({"student": np.zeros(5)}, f"the teacher scored {WINDOWS} windows, the student 5"),
        ({"kl": float("nan")}, "its KL is not a finite number"),
    ],
)
def test_one_bad_clip_is_noted_and_left_out(
    changes: dict[str, npt.NDArray[Any] | float], reason: str
) -> None:
    report = broken(**changes)
    assert list(report.unusable.values()) == [reason]
    assert report.tiers[Tier.LOW].clips == 11


def test_a_constant_student_has_no_correlation() -> None:
    scored = made_up({Tier.LOW: 12})
    flat = ScoredCaptures(**{**vars(scored), "student": [np.zeros(WINDOWS)] * 12})
    assert captures_report(flat).tiers[Tier.LOW].correlation is None


def test_bad_input() -> None:
    with pytest.raises(CorpusError, match="two captures have this id"):
        broken(ids=made_up({Tier.LOW: 1}).ids[0])
    with pytest.raises(CorpusError, match="hour 24"):
        broken(hours=24)
    with pytest.raises(CorpusError, match=r"none of 1 could be used.*'broken'"):
        captures_report(made_up({}), unreadable={"a.wav": "broken"})
    scored = made_up({Tier.LOW: 12})
    with pytest.raises(ValueError, match="one entry per clip"):
        captures_report(ScoredCaptures(**{**vars(scored), "hours": [1]}))
