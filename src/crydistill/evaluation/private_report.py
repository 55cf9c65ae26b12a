"""Compare teacher and student on private captures: a shareable part and a full, private part.

Captures have no labels, only assigned tiers of confidence, so this compares behaviour and does not
measure accuracy. The shareable part holds aggregates over at least ten clips and nothing finer than
the hour of the day; hourly cells have no counts, which could be subtracted from the total. The full
part holds every clip and is only written outside git work trees.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill import atomic
from crydistill.boundary import require_outside_work_tree
from crydistill.corpora.captures import Tier
from crydistill.errors import CorpusError
from crydistill.metrics.agreement import track_correlation
from crydistill.metrics.ranking import ClipScore, Ranking, clip_score, roc_auc

MIN_CLIPS = 10
"""Minimum number of clips, of each kind compared, behind a cell of the shareable part."""

_FEWER = f"fewer than {MIN_CLIPS}"
_DIGITS = 4

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class ScoredCaptures:
    """Teacher's and student's scores of captures, as parallel sequences.

    ids : of the clips
    tiers : None for a clip without a tier
    hours : local hour of the day in which a clip starts, 0 to 23
    held_out : whether a clip was held out of training
    teacher, student : cry score of each window, one array `[windows]` per clip
    kl : mean of `metrics.agreement.window_kl` over each clip's windows, from the teacher;
        None where it is not known
    """

    ids: Sequence[str]
    tiers: Sequence[Tier | None]
    hours: Sequence[int]
    held_out: Sequence[bool]
    teacher: Sequence[Floats]
    student: Sequence[Floats]
    kl: Sequence[float] | None = None


@dataclass(frozen=True)
class Spread:
    """Mean, 10th and 90th percentile over clips; None without clips."""

    mean: float | None
    p10: float | None
    p90: float | None


@dataclass(frozen=True)
class TierSummary:
    """Scores of the clips of one tier.

    clips : number of clips
    teacher_max, student_max : highest window score of each clip
    correlation : Pearson's, of the teacher's and the student's scores of all the tier's windows;
        None if either is constant
    """

    clips: int
    teacher_max: Spread
    student_max: Spread
    correlation: float | None


@dataclass(frozen=True)
class Separation:
    """How well the highest window score separates high_pos from high_neg clips.

    positives, negatives : numbers of high_pos and high_neg clips
    teacher, student : AUC; None unless there are clips of both tiers
    """

    positives: int
    negatives: int
    teacher: float | None
    student: float | None

    @property
    def shareable(self) -> bool:
        return min(self.positives, self.negatives) >= MIN_CLIPS


@dataclass(frozen=True)
class Divergence:
    """Mean over the windows of the held-out clips of KL(teacher || student), in nats."""

    clips: int
    kl: float | None


@dataclass(frozen=True)
class CapturesReport:
    """Comparison of teacher and student on captures.

    tiers : a summary of every tier
    overall : separation over the whole day
    by_hour : separation within each hour of the day that has clips
    held_out : divergence on the held-out clips
    clips : one row per clip, for the full part
    unusable : clips left out, by id, with the reason
    """

    tiers: Mapping[Tier, TierSummary]
    overall: Separation
    by_hour: Mapping[int, Separation]
    held_out: Divergence
    clips: Sequence[Mapping[str, Any]]
    unusable: Mapping[str, str] = field(default_factory=dict)

    def shareable(self) -> dict[str, Any]:
        """Aggregates that may be published, as plain dicts; cells of few clips are withheld."""
        overall = asdict(self.overall) if self.overall.shareable else None
        return {
            "private_data": f"aggregates over at least {MIN_CLIPS} clips",
            "tiers": {
                tier.value: asdict(summary) if summary.clips >= MIN_CLIPS else {"clips": _FEWER}
                for tier, summary in self.tiers.items()
            },
            "auc_high_pos_against_high_neg": {
                "overall": overall,
                "by_hour": {
                    str(hour): {"teacher": cell.teacher, "student": cell.student}
                    for hour, cell in self.by_hour.items()
                    if cell.shareable
                },
            },
            "held_out": (
                asdict(self.held_out) if self.held_out.clips >= MIN_CLIPS else {"clips": _FEWER}
            ),
            "unusable_clips": (len(self.unusable) if len(self.unusable) >= MIN_CLIPS else _FEWER),
        }

    def full(self) -> dict[str, Any]:
        """Everything, clip by clip: private."""
        return {
            "private_data": "stays with the recordings; do not publish",
            "tiers": {tier.value: asdict(summary) for tier, summary in self.tiers.items()},
            "auc_high_pos_against_high_neg": {
                "overall": asdict(self.overall),
                "by_hour": {str(hour): asdict(cell) for hour, cell in self.by_hour.items()},
            },
            "held_out": asdict(self.held_out),
            "clips": list(self.clips),
            "unusable": dict(self.unusable),
        }

    def write_shareable(self, path: str | Path) -> None:
        """Write the shareable part as JSON."""
        atomic.write_text(path, _as_json(self.shareable()))

    def write_full(self, path: str | Path) -> None:
        """Write the full part as JSON.

        Raises
        ------
        CorpusError
            if `path` is in a git work tree.
        """
        require_outside_work_tree(path, "the full report on private captures")
        atomic.write_text(path, _as_json(self.full()))


def captures_report(
    scored: ScoredCaptures, *, unreadable: Mapping[str, str] | None = None
) -> CapturesReport:
    """Compare teacher and student on captures.

    A clip whose scores cannot be compared (none, NaN, different numbers of windows) is left out
    and listed.

    Parameters
    ----------
    unreadable : clips that could not be scored at all, by id, with the reason

    Raises
    ------
    CorpusError
        if two clips have the same id, an hour is invalid, or no clip can be used.
    ValueError
        if the sequences differ in length.
    """
    _check(scored)
    unusable = dict(unreadable or {})
    for index, clip_id in enumerate(scored.ids):
        if reason := _fault(scored, index):
            unusable[clip_id] = reason
    indices = [index for index, clip_id in enumerate(scored.ids) if clip_id not in unusable]
    if not indices:
        raise CorpusError(
            f"captures: none of {len(unusable)} could be used, the first because of "
            f"'{next(iter(unusable.values()), 'no clips')}'; score them again"
        )
    usable = _Usable(
        scored,
        indices,
        teacher_max={i: clip_score(scored.teacher[i], ClipScore.MAX) for i in indices},
        student_max={i: clip_score(scored.student[i], ClipScore.MAX) for i in indices},
    )
    return CapturesReport(
        tiers={tier: usable.summary(tier) for tier in Tier},
        overall=usable.separation(),
        by_hour={h: usable.separation(h) for h in sorted({scored.hours[i] for i in indices})},
        held_out=_divergence(scored, [index for index in indices if scored.held_out[index]]),
        clips=[usable.row(index) for index in indices],
        unusable=unusable,
    )


@dataclass(frozen=True)
class _Usable:
    """The captures that can be compared.

    indices : of these clips in `scored`
    teacher_max, student_max : highest window score by index
    """

    scored: ScoredCaptures
    indices: Sequence[int]
    teacher_max: Mapping[int, float]
    student_max: Mapping[int, float]

    def of_tier(self, tier: Tier, hour: int | None = None) -> list[int]:
        tiers, hours = self.scored.tiers, self.scored.hours
        return [i for i in self.indices if tiers[i] is tier and hour in (None, hours[i])]

    def separation(self, hour: int | None = None) -> Separation:
        positives, negatives = (self.of_tier(tier, hour) for tier in (Tier.HIGH_POS, Tier.HIGH_NEG))
        return Separation(
            len(positives),
            len(negatives),
            _auc(self.teacher_max, positives, negatives),
            _auc(self.student_max, positives, negatives),
        )

    def summary(self, tier: Tier) -> TierSummary:
        members = self.of_tier(tier)
        return TierSummary(
            len(members),
            _spread([self.teacher_max[index] for index in members]),
            _spread([self.student_max[index] for index in members]),
            _correlation(self.scored, members),
        )

    def row(self, index: int) -> dict[str, Any]:
        scored = self.scored
        return {
            "id": scored.ids[index],
            "tier": scored.tiers[index],
            "hour": scored.hours[index],
            "held_out": bool(scored.held_out[index]),
            "windows": len(scored.teacher[index]),
            "teacher_max": _plain(self.teacher_max[index]),
            "student_max": _plain(self.student_max[index]),
            "kl": None if scored.kl is None else _plain(scored.kl[index]),
        }


def _check(scored: ScoredCaptures) -> None:
    columns: list[Sequence[Any]] = [
        scored.tiers,
        scored.hours,
        scored.held_out,
        scored.teacher,
        scored.student,
    ]
    if scored.kl is not None:
        columns.append(scored.kl)
    if any(len(column) != len(scored.ids) for column in columns):
        raise ValueError("ids, tiers, hours, hold-out, scores and KL must have one entry per clip")
    seen: set[str] = set()
    for clip_id, hour in zip(scored.ids, scored.hours, strict=True):
        if clip_id in seen:
            raise CorpusError(f"{clip_id}: two captures have this id; give each its own")
        if not 0 <= hour <= 23:
            raise CorpusError(f"{clip_id}: hour {hour} is not between 0 and 23")
        seen.add(clip_id)


def _fault(scored: ScoredCaptures, index: int) -> str | None:
    teacher, student = scored.teacher[index], scored.student[index]
    if len(teacher) == 0:
        return "no window was scored"
    if len(teacher) != len(student):
        return f"the teacher scored {len(teacher)} windows, the student {len(student)}"
    if not (np.isfinite(teacher).all() and np.isfinite(student).all()):
        return "a score is not a finite number"
    if scored.kl is not None and not np.isfinite(scored.kl[index]):
        return "its KL is not a finite number"
    return None


def _auc(
    scores: Mapping[int, float], positives: Sequence[int], negatives: Sequence[int]
) -> float | None:
    if not positives or not negatives:
        return None
    labels = [True] * len(positives) + [False] * len(negatives)
    ranking = Ranking(labels=labels, scores=[scores[index] for index in (*positives, *negatives)])
    return _plain(float(roc_auc(ranking.detections())))


def _spread(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(None, None, None)
    low, high = np.percentile(values, [10, 90])
    return Spread(_plain(float(np.mean(values))), _plain(float(low)), _plain(float(high)))


def _correlation(scored: ScoredCaptures, members: Sequence[int]) -> float | None:
    if not members:
        return None
    teacher = np.concatenate([scored.teacher[index] for index in members])
    student = np.concatenate([scored.student[index] for index in members])
    return _plain(track_correlation(student, teacher))


def _divergence(scored: ScoredCaptures, members: Sequence[int]) -> Divergence:
    if scored.kl is None or not members:
        return Divergence(len(members), None)
    windows = [len(scored.teacher[index]) for index in members]
    mean = np.average([scored.kl[index] for index in members], weights=windows)
    return Divergence(len(members), _plain(float(mean)))


def _plain(value: float) -> float | None:
    return round(float(value), _DIGITS) if np.isfinite(value) else None


def _as_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"
