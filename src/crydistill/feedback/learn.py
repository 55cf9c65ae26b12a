"""Learn from reviewed clips: by a refit of the head, or else by threshold and votes.

Refits are tried gently and hard, and the one is taken after which the fewest clips raise an alert
that are not a cry, or nearly do. It counts only if nothing else gets worse, as the rounded int8
head that will run does it: no reviewed cry and no more than `MOST_LOST` of the replayed episodes is
lost, and replayed sounds raise no more false alarms. Without replayed features, or where no refit
passes, threshold and votes change instead, within the same limits and a looser one for episodes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy.special import logit

from crydistill.detector.alert_clips import NEAR_SHARE
from crydistill.detector.clip_folder import ClipLabel
from crydistill.detector.levels import highest_vote
from crydistill.detector.vote import VoteSettings
from crydistill.feedback.cry_head import CryHead
from crydistill.feedback.lessons import Ear, Lesson
from crydistill.feedback.refit import as_before, at_most, refitted, together
from crydistill.feedback.replay import Judged, Replay
from crydistill.progress import Advance, Progress, silent

STRENGTHS = (1.0, 3.0, 10.0)
"""Weights of reviewed clips against replayed windows."""

MARGIN = 1.5
"""How far below the threshold, in logits, what is not a cry has to stay."""

MOST_LOST = 0.02
MOST_LOST_BY_VOTE = 0.1
"""Share of the replayed episodes that a refit, and that threshold and votes, may cost."""

VOTES = ((3, 5), (5, 9))
"""Tried besides the student's own vote."""


class Means(StrEnum):
    """How a student was adapted."""

    REFIT = "refit"
    VOTE = "threshold and votes"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Figures:
    """A detector on what was reviewed and replayed.

    alarms : clips that are not a cry and raise an alert
    nearly : those that raise one or would, were the threshold `NEAR_SHARE` of what it is
    cries : reviewed cries that raise one
    replay : None without replayed features
    """

    alarms: int
    nearly: int
    cries: int
    replay: Judged | None


@dataclass(frozen=True, eq=False)
class Learned:
    """What came of the reviewed clips.

    head, vote : as they are to be from now on; the originals where nothing helped
    why : why there was no refit, or nothing at all; empty after a refit
    """

    means: Means
    head: CryHead | None
    vote: VoteSettings
    before: Figures
    after: Figures
    why: str = ""

    @property
    def caught(self) -> int:
        """Replayed episodes that are caught afterwards; 0 without a replay."""
        return 0 if self.after.replay is None else self.after.replay.caught


def learn(
    ear: Ear,
    vote: VoteSettings,
    lessons: Sequence[Lesson],
    replay: Replay | None,
    *,
    highest: float,
    without: str = "there are no replayed features",
    progress: Progress = silent,
) -> Learned:
    """Adapt a detector to reviewed clips.

    Parameters
    ----------
    ear : the original student's
    replay : features of public recordings for the same student; None: no refit
    without : why there are none
    highest : largest score that the student gives
    """
    trial = _Trial(lessons, replay)
    before = trial.figures(ear, vote)
    nothing = Learned(Means.NOTHING, ear.head, vote, before, before)
    if not trial.wrong:
        return replace(nothing, why="no clip was reviewed as 'not a cry'")
    if replay is None:
        why = without
    else:
        with progress("refitting", len(STRENGTHS), "tries") as advance:
            found = _best_refit(ear, vote, trial, before, advance)
        if found is not None:
            return found
        why = "no refit silenced a clip without making something else worse"
    if before.alarms == 0:
        return replace(nothing, why=f"{why}, and no clip raises an alert")
    for changed in _votes(ear, vote, trial, highest):
        after = trial.figures(ear, changed)
        if after.alarms < before.alarms and trial.spares(before, after, MOST_LOST_BY_VOTE):
            return replace(nothing, means=Means.VOTE, vote=changed, after=after, why=why)
    return replace(nothing, why=f"{why}, nor did threshold and votes")


class _Trial:
    """Reviewed clips and replayed features, to try a detector on."""

    def __init__(self, lessons: Sequence[Lesson], replay: Replay | None) -> None:
        self.wrong = [one for one in lessons if one.label is ClipLabel.NOT_A_CRY]
        self.right = [one for one in lessons if one.label is ClipLabel.CRY]
        self.replay = replay

    def figures(self, ear: Ear, vote: VoteSettings) -> Figures:
        replay = self.replay
        lower = vote.model_copy(update={"threshold": NEAR_SHARE * vote.threshold})
        return Figures(
            sum(ear.alarms(one, vote) for one in self.wrong),
            sum(ear.alarms(one, lower) for one in self.wrong),
            sum(ear.alarms(one, vote) for one in self.right),
            None if replay is None else replay.judge(ear.scores(replay.embeddings), vote),
        )

    def spares(self, before: Figures, after: Figures, most_lost: float) -> bool:
        """Whether what was right stays so."""
        if after.cries < before.cries:
            return False
        if before.replay is None or after.replay is None or self.replay is None:
            return True
        lost = before.replay.caught - after.replay.caught
        return (
            lost <= most_lost * len(self.replay.episodes)
            and after.replay.false_alarms <= before.replay.false_alarms
        )


def _best_refit(
    ear: Ear, vote: VoteSettings, trial: _Trial, before: Figures, advance: Advance
) -> Learned | None:
    """The refit after which the fewest clips alarm, or nearly do, and what costs least crying."""
    found = []
    for strength in STRENGTHS:
        head = _refit(ear, vote, trial, strength)
        after = trial.figures(replace(ear, head=head), vote)
        advance(1)
        helps = (after.alarms, after.nearly) < (before.alarms, before.nearly)
        if helps and trial.spares(before, after, MOST_LOST):
            found.append(Learned(Means.REFIT, head, vote, before, after))
    return min(
        found, key=lambda one: (one.after.alarms, one.after.nearly, -one.caught), default=None
    )


def _refit(ear: Ear, vote: VoteSettings, trial: _Trial, strength: float) -> CryHead:
    head = ear.head
    assert head is not None and trial.replay is not None
    smallest = float(np.finfo(np.float32).tiny)
    limit = float(logit(np.clip(vote.threshold, smallest, 1 - smallest))) - MARGIN
    heard = [as_before(head, head.rows(trial.replay.embeddings), trial.replay.crying)]
    heard += [at_most(head, one.rows(head), limit, strength) for one in trial.wrong]
    for one in trial.right:
        rows = one.rows(head)
        heard.append(as_before(head, rows, np.ones(len(rows), dtype=bool), strength))
    return refitted(head, together(heard))


def _votes(ear: Ear, vote: VoteSettings, trial: _Trial, highest: float) -> Iterator[VoteSettings]:
    """Votes that silence every clip, those first that keep most replayed episodes."""
    scores = [ear.scores(variant) for one in trial.wrong for variant in one.variants]
    found = []
    for n, m in dict.fromkeys([(vote.n, vote.m), *VOTES]):
        level = np.float32(max(highest_vote(one, n=n, m=m) for one in scores))
        threshold = max(vote.threshold, float(np.nextafter(level, np.float32(np.inf))))
        if threshold <= highest:
            found.append(vote.model_copy(update={"threshold": threshold, "n": n, "m": m}))
    if trial.replay is None:
        yield from found
        return
    replayed, replay = ear.scores(trial.replay.embeddings), trial.replay
    yield from sorted(found, key=lambda one: -replay.judge(replayed, one).caught)
