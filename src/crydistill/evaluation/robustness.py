"""Robustness of students to noise, gain, reverberation and poor electronics, on the same clips.

Scoring and evaluation are separate. `score_clips` decodes each clip once, applies every condition
and records two numbers per student: the mean of the window scores and the highest threshold at
which the vote would raise an alert. They go into a journal, one line per clip, so that an
interrupted run can resume. `evaluate_conditions` then computes, for each student and condition:

- ROC AUC of the mean score;
- recall *recalibrated*: the share of cry clips that raise an alert at the threshold that gives one
  false alarm per hour (or another rate) on this condition's own negatives, as after calibration in
  that room;
- recall and false alarms per hour *unchanged*: at the threshold that gives this rate on clean
  negatives, as for a device that was calibrated once and then moved;

and the paired differences from clean audio. Intervals are bootstrapped over groups, and thresholds
are chosen again in each resample. Clips are scored one by one and count as one alarm at most.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crydistill import atomic
from crydistill.audio.files import read_audio
from crydistill.audio.mel import log_mel
from crydistill.corpora.clip import Clip, Label
from crydistill.detector.levels import highest_vote
from crydistill.detector.vote import Scores, VoteSettings
from crydistill.errors import AudioError, CorpusError, StoreError
from crydistill.evaluation.conditions import (
    CLEAN,
    NOISE_KINDS,
    Condition,
    Noises,
    conditions,
)
from crydistill.evaluation.scorers import Scorer
from crydistill.json_file import parse_json
from crydistill.metrics.intervals import (
    LEVEL,
    REPLICATES,
    Estimate,
    GroupBootstrap,
    Resampled,
    Weights,
)
from crydistill.metrics.ranking import Floats, Ranking, ratio, roc_auc
from crydistill.metrics.records import plain, plain_estimate
from crydistill.progress import Progress, silent
from crydistill.teacher.base import Recording

FALSE_ALARMS_PER_HOUR = 1.0
"""Default rate at which recall is reported."""

RESULT_NAME, PICTURE_NAME = "robustness.json", "robustness.png"

_STATISTICS = 4
_HAIR = 1e-9


@dataclass(frozen=True, eq=False)
class ScoredClips:
    """Students' scores of clips under all conditions.

    clips : those that could be read
    seconds : length of each, `[clips]`
    means, votes : mean window score, and highest threshold that raises an alert,
        `[students, conditions, clips]`
    unreadable : clips left out, by id, with the reason
    """

    students: tuple[str, ...]
    conditions: tuple[Condition, ...]
    clips: tuple[Clip, ...]
    seconds: Floats
    means: Floats
    votes: Floats
    unreadable: Mapping[str, str]

    @property
    def labels(self) -> list[bool]:
        return [clip.is_cry for clip in self.clips]

    @property
    def negative_hours(self) -> float:
        return float(self.seconds[~np.array(self.labels)].sum() / 3600)


@dataclass(frozen=True)
class ConditionResult:
    """Metrics of one student under one condition, with their differences from clean audio.

    auc : ROC AUC of the mean window score
    recalibrated : recall at the threshold chosen on this condition's own negatives
    unchanged : recall at the threshold chosen on clean negatives
    false_alarms : per hour, at that threshold
    """

    auc: Estimate
    recalibrated: Estimate
    unchanged: Estimate
    false_alarms: Estimate
    auc_change: Estimate
    recalibrated_change: Estimate
    unchanged_change: Estimate
    false_alarms_change: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; None where undefined."""
        return {name: plain_estimate(estimate) for name, estimate in vars(self).items()}


def choose_clips(clips: Sequence[Clip], count: int | None, *, seed: int) -> list[Clip]:
    """Choose labelled clips, stratified by label and spread over groups.

    Parameters
    ----------
    count : how many; all of them if None

    Raises
    ------
    CorpusError
        if there are no clips with or no clips without a cry, or `count` is below two.
    """
    kinds = [[clip for clip in clips if clip.label is label] for label in (Label.CRY, Label.NONCRY)]
    if not all(kinds):
        raise CorpusError("robustness needs clips labelled cry and clips labelled noncry")
    total = sum(map(len, kinds))
    if count is None or count >= total:
        return [clip for clip in clips if clip.label is not Label.UNLABELLED]
    if count < 2:
        raise CorpusError(f"{count} clips: choose at least one with and one without a cry")
    rng = np.random.default_rng(seed)
    cries = min(count - 1, max(1, round(count * len(kinds[0]) / total)))
    chosen = {*_by_turns(kinds[0], cries, rng), *_by_turns(kinds[1], count - cries, rng)}
    return [clip for clip in clips if clip in chosen]


def score_clips(
    clips: Sequence[Clip],
    scorers: Sequence[Scorer],
    journal: str | Path,
    *,
    noises: Noises,
    vote: VoteSettings,
    progress: Progress = silent,
) -> ScoredClips:
    """Score clips under all conditions with all students, resuming an interrupted run.

    Parameters
    ----------
    clips : labelled cry or noncry
    journal : file with the scores so far; started again if it belongs to other students, clips,
        noise or vote (it does not record the kernels: use a file for each)
    vote : only n and m count

    Raises
    ------
    CorpusError
        if no clip can be read.
    StoreError
        if the journal is damaged other than by an interrupted write.
    """
    every = conditions()
    scores = _Journal(Path(journal), _fingerprint(clips, scorers, every, noises, vote))
    with progress("robustness", len(clips), "clips") as advance:
        for clip in clips:
            if clip.id not in scores.entries:
                scores.add(clip.id, _entry(clip, scorers, every, noises, vote))
            advance(1)
    readable = tuple(clip for clip in clips if "scores" in scores.entries[clip.id])
    if not readable:
        raise CorpusError(f"{clips[0].path}: cannot be read, nor can any other; see the journal")
    # [clips, conditions, students, 2], as in the journal.
    numbers = np.array([scores.entries[clip.id]["scores"] for clip in readable], dtype=np.float64)
    return ScoredClips(
        students=tuple(scorer.name for scorer in scorers),
        conditions=every,
        clips=readable,
        seconds=np.array([scores.entries[clip.id]["seconds"] for clip in readable]),
        means=numbers[..., 0].T,
        votes=numbers[..., 1].T,
        unreadable={
            clip.id: scores.entries[clip.id]["error"]
            for clip in clips
            if "error" in scores.entries[clip.id]
        },
    )


def evaluate_conditions(
    scored: ScoredClips,
    *,
    per_hour: float = FALSE_ALARMS_PER_HOUR,
    replicates: int = REPLICATES,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, list[ConditionResult]]:
    """Evaluate each student under each condition, in the order of `scored.conditions`.

    Parameters
    ----------
    per_hour : false alarms per hour at which recall is reported
    """
    bootstrap = GroupBootstrap(
        groups=[clip.group for clip in scored.clips],
        labels=scored.labels,
        replicates=replicates,
        seed=seed,
    )
    results = {}
    with progress("resampling", len(scored.students), "students") as advance:
        for number, name in enumerate(scored.students):
            results[name] = _results(scored, number, bootstrap, per_hour)
            advance(1)
    return results


def robustness_record(
    scored: ScoredClips,
    results: Mapping[str, Sequence[ConditionResult]],
    *,
    scorers: Sequence[Scorer],
    noises: Noises,
    vote: VoteSettings,
    per_hour: float = FALSE_ALARMS_PER_HOUR,
    replicates: int = REPLICATES,
    seed: int = 0,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a run's results as plain values, for `robustness.json`."""
    labels, groups = scored.labels, [clip.group for clip in scored.clips]
    return {
        "kind": "robustness",
        "clips": {
            "clips": len(scored.clips),
            "cries": sum(labels),
            "groups": len(set(groups)),
            "cry_groups": len({group for group, cry in zip(groups, labels, strict=True) if cry}),
            "negative_hours": plain(scored.negative_hours),
            "unreadable": len(scored.unreadable),
            "private": any(clip.private for clip in scored.clips),
        },
        "vote": {"n": vote.n, "m": vote.m},
        "false_alarms_per_hour": per_hour,
        "noise": {kind: noises.origin(kind) for kind in NOISE_KINDS},
        "noise_seed": noises.seed,
        "intervals": {
            "level": LEVEL,
            "method": "percentile bootstrap over groups, thresholds chosen anew in each resample",
            "replicates": replicates,
            "seed": seed,
        },
        "conditions": [
            {"name": one.name, "family": one.family.value, "kind": one.kind,
             "value": one.value, "unit": one.unit}
            for one in scored.conditions
        ],
        "students": {
            scorer.name: {
                "sha256": scorer.fingerprint,
                "conditions": [result.to_json() for result in results[scorer.name]],
            }
            for scorer in scorers
        },
        "provenance": dict(provenance),
    }  # fmt: skip


class _Journal:
    """Clip scores on disk, one JSON object per line; the first identifies what they belong to.

    entries : of the clips so far, by id

    An incomplete last line, left by an interrupted write, is dropped.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        self.entries: dict[str, dict[str, Any]] = {}
        header = json.dumps({"fingerprint": fingerprint})
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        if not lines or lines[0] != header + "\n":
            atomic.write_text(path, header + "\n")
            return
        whole = [line for line in lines if line.endswith("\n")]
        if len(whole) < len(lines):
            atomic.write_text(path, "".join(whole))
        for number, line in enumerate(whole[1:], 2):
            try:
                entry = parse_json(line)
                self.entries[entry.pop("clip")] = entry
            except (ValueError, KeyError) as error:
                raise StoreError(
                    f"{path}, line {number}: not a clip's record; remove the file and run again"
                ) from error

    def add(self, clip: str, entry: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"clip": clip, **entry}) + "\n")
        self.entries[clip] = entry


def _by_turns(clips: Sequence[Clip], count: int, rng: np.random.Generator) -> list[Clip]:
    """Choose clips at random, round-robin over the groups."""
    queues: dict[str, list[Clip]] = {}
    for index in rng.permutation(len(clips)):
        queues.setdefault(clips[index].group, []).append(clips[index])
    rounds = [(turn, clip) for queue in queues.values() for turn, clip in enumerate(queue)]
    return [clip for _, clip in sorted(rounds, key=lambda item: item[0])][:count]


def _entry(
    clip: Clip,
    scorers: Sequence[Scorer],
    every: Sequence[Condition],
    noises: Noises,
    vote: VoteSettings,
) -> dict[str, Any]:
    try:
        audio = read_audio(clip.path)
        changed = (condition.change(audio.samples, clip, noises) for condition in every)
        recordings = (Recording(clip.id, samples, log_mel(samples)) for samples in changed)
        scores = [
            [_summary(scorer.score(recording), vote) for scorer in scorers]
            for recording in recordings
        ]
    except AudioError as error:
        return {"error": str(error)}
    return {"seconds": audio.duration, "scores": scores}


def _summary(scores: Scores, vote: VoteSettings) -> tuple[float, float]:
    return float(scores.mean(dtype=np.float64)), highest_vote(scores, n=vote.n, m=vote.m)


def _fingerprint(
    clips: Sequence[Clip],
    scorers: Sequence[Scorer],
    every: Sequence[Condition],
    noises: Noises,
    vote: VoteSettings,
) -> str:
    parts = {
        "clips": [clip.id for clip in clips],
        "students": [scorer.fingerprint for scorer in scorers],
        "conditions": [condition.name for condition in every],
        "noise": [noises.seed, *(noises.origin(kind) for kind in NOISE_KINDS)],
        "vote": [vote.n, vote.m],
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _results(
    scored: ScoredClips, student: int, bootstrap: GroupBootstrap, per_hour: float
) -> list[ConditionResult]:
    clean = scored.conditions.index(CLEAN)
    rankings = _Rankings(scored, student, clean=clean, per_hour=per_hour)
    found = bootstrap.run(rankings.statistics)
    by_condition = [
        found[start : start + _STATISTICS] for start in range(0, len(found), _STATISTICS)
    ]
    return [_result(numbers, by_condition[clean]) for numbers in by_condition]


def _result(numbers: Sequence[Resampled], clean: Sequence[Resampled]) -> ConditionResult:
    values = [number.estimate() for number in numbers]
    changes = [(number - base).estimate() for number, base in zip(numbers, clean, strict=True)]
    return ConditionResult(*values, *changes)


class _Rankings:
    """One student's scores under all conditions, sorted once."""

    def __init__(self, scored: ScoredClips, student: int, *, clean: int, per_hour: float) -> None:
        self._cries = np.array(scored.labels)
        self._hours = np.where(self._cries, 0, scored.seconds) / 3600
        self._votes = scored.votes[student]
        self._clean, self._per_hour = clean, per_hour
        self._means, self._alarms = (
            [Ranking(labels=self._cries, scores=scores) for scores in table[student]]
            for table in (scored.means, scored.votes)
        )

    def statistics(self, weights: Weights) -> Floats:
        """AUC, recall recalibrated, recall and false alarms per hour unchanged, per condition.

        Parameters
        ----------
        weights : `[rows, clips]`

        Returns
        -------
        np.ndarray [shape=(rows, 4 x conditions)]
        """
        hours = weights @ self._hours
        unchanged, _ = self._recalibrated(self._clean, weights, hours)
        columns = []
        for number in range(len(self._votes)):
            _, recall = self._recalibrated(number, weights, hours)
            raised = weights * (self._votes[number] >= unchanged[:, None])
            columns += [
                roc_auc(self._means[number].detections(weights)),
                recall,
                ratio(raised[:, self._cries].sum(axis=1), weights[:, self._cries].sum(axis=1)),
                ratio(raised[:, ~self._cries].sum(axis=1), hours),
            ]
        return np.stack(columns, axis=1)

    def _recalibrated(self, number: int, weights: Weights, hours: Floats) -> tuple[Floats, Floats]:
        """Lowest threshold that keeps to the rate, and the recall there; `[rows]` each."""
        detections = self._alarms[number].detections(weights)
        # Slightly more, so that rounding does not reject exactly two alarms in two hours.
        bound = self._per_hour * hours * (1 + _HAIR)
        allowed = (detections.false_positives <= bound[:, None]).sum(axis=1)
        falling = np.append(detections.thresholds, -np.inf)
        return np.nextafter(falling[allowed], np.inf), detections.at(allowed - 1).recall
