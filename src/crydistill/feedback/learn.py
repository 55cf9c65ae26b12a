"""Learn from reviewed clips: by a refit of the head, or else by threshold and votes.

Refits are tried gently and hard, and each with all scores a little higher and lower afterwards. The
one is taken after which the fewest retakes of clips raise an alert that are not a cry, or nearly
do. It counts only if nothing else gets worse, as the rounded int8 head that will run does it: no
reviewed cry and no more than `MOST_LOST` of the replayed episodes is lost, and replayed sounds
raise no more false alarms; at other thresholds, where there are more of both, hardly more. Without
replayed features, or where no refit passes, threshold and votes change instead, within a looser
limit for episodes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import sqrt

import numpy as np
from scipy.special import expit, logit

from crydistill.detector.alert_clips import NEAR_SHARE
from crydistill.detector.clip_folder import ClipLabel
from crydistill.detector.levels import highest_vote
from crydistill.detector.vote import VoteSettings
from crydistill.feedback.cry_head import CryHead
from crydistill.feedback.lessons import Ear, Lesson
from crydistill.feedback.refit import as_before, at_most, refitted, together
from crydistill.feedback.replay import Judged, Replay
from crydistill.progress import Advance, Progress, silent

STRENGTHS = (3.0, 10.0)
"""Weights of reviewed clips against replayed windows."""

RAISES = (-0.5, -0.25, 0.0, 0.25, 0.5)
"""Logits by which everything is raised after a refit: more gives back crying that it cost, less
takes back false alarms that it brought."""

MARGIN = 1.5
"""How far below the threshold, in logits, what is not a cry has to stay."""

LEVELS = (0.0, 1.0, 2.0)
"""Replayed episodes are counted at thresholds so many logits higher, replayed false alarms at
thresholds so many lower: the student knows the replayed recordings from its training and errs on
them more rarely than on a home's."""

MOST_LOST = 0.02
MOST_LOST_OVER_LEVELS = 0.03
MOST_LOST_BY_VOTE = 0.1
"""Share of the replayed episodes that a refit may cost, at the threshold and over all levels, and
that threshold and votes may cost."""

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
    retakes, nearly : share of a clip's retakes that raise one, summed over these clips; and of
        those that would, were the threshold `NEAR_SHARE` of what it is
    cries : reviewed cries that raise one
    replay : None without replayed features
    levels : episodes caught and false alarms, summed over `LEVELS`; None likewise
    """

    alarms: int
    retakes: float
    nearly: float
    cries: int
    replay: Judged | None
    levels: Judged | None


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
    def rank(self) -> tuple[float, float, int]:
        """The best refit has the lowest: which silences most, and then keeps most crying."""
        caught = 0 if self.after.levels is None else self.after.levels.caught
        return self.after.retakes, self.after.nearly, -caught


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
        if after.alarms < before.alarms and trial.vote_spares(before, after):
            return replace(nothing, means=Means.VOTE, vote=changed, after=after, why=why)
    return replace(nothing, why=f"{why}, nor did threshold and votes")


class _Trial:
    """Reviewed clips and replayed features, to try a detector on."""

    def __init__(self, lessons: Sequence[Lesson], replay: Replay | None) -> None:
        self.wrong = [one for one in lessons if one.label is ClipLabel.NOT_A_CRY]
        self.right = [one for one in lessons if one.label is ClipLabel.CRY]
        self.replay = replay

    def figures(self, ear: Ear, vote: VoteSettings) -> Figures:
        lower = vote.model_copy(update={"threshold": NEAR_SHARE * vote.threshold})
        replayed, levels = self._replayed(ear, vote)
        return Figures(
            sum(ear.alarms(one, vote) for one in self.wrong),
            sum(ear.alarming(one, vote) for one in self.wrong),
            sum(ear.alarming(one, lower) for one in self.wrong),
            sum(ear.alarms(one, vote) for one in self.right),
            replayed,
            levels,
        )

    def _replayed(self, ear: Ear, vote: VoteSettings) -> tuple[Judged | None, Judged | None]:
        """What a detector does with the replay: at its threshold, and summed over `LEVELS`."""
        if self.replay is None:
            return None, None
        scores = ear.scores(self.replay.embeddings)
        at = {
            moved: self.replay.judge(scores, _moved(vote, moved) if moved else vote)
            for moved in {sign * level for level in LEVELS for sign in (1, -1)}
        }
        return at[0.0], Judged(
            sum(at[level].caught for level in LEVELS),
            sum(at[-level].false_alarms for level in LEVELS),
        )

    def refit_spares(self, before: Figures, after: Figures) -> bool:
        """Whether a refit leaves what was right so, over all levels, too."""
        assert before.levels is not None and after.levels is not None and self.replay is not None
        lost = before.levels.caught - after.levels.caught
        more = after.levels.false_alarms - before.levels.false_alarms
        return (
            after.cries >= before.cries
            and lost <= MOST_LOST_OVER_LEVELS * len(LEVELS) * len(self.replay.episodes)
            and more <= sqrt(before.levels.false_alarms)  # chance moves a count by as much
            and self._kept(before.replay, after.replay, MOST_LOST)
        )

    def vote_spares(self, before: Figures, after: Figures) -> bool:
        """Whether other threshold and votes leave what was right so."""
        return after.cries >= before.cries and self._kept(
            before.replay, after.replay, MOST_LOST_BY_VOTE
        )

    def _kept(self, before: Judged | None, after: Judged | None, most_lost: float) -> bool:
        if before is None or after is None or self.replay is None:
            return True
        lost = before.caught - after.caught
        return (
            lost <= most_lost * len(self.replay.episodes)
            and after.false_alarms <= before.false_alarms
        )


def _moved(vote: VoteSettings, logits: float) -> VoteSettings:
    """The vote at another threshold."""
    return vote.model_copy(update={"threshold": float(expit(_logit(vote.threshold) + logits))})


def _logit(threshold: float) -> float:
    """Logit at a threshold; of 0 and 1 a very low and a very high one."""
    smallest = float(np.finfo(np.float32).tiny)
    return float(logit(np.clip(threshold, smallest, 1 - np.finfo(np.float32).eps)))


def _best_refit(
    ear: Ear, vote: VoteSettings, trial: _Trial, before: Figures, advance: Advance
) -> Learned | None:
    """The refit after which the fewest retakes alarm, or nearly do, and what costs least crying."""
    found = []
    for strength in STRENGTHS:
        fitted = _refit(ear, vote, trial, strength)
        for head in (fitted.raised(logits) for logits in RAISES):
            after = trial.figures(replace(ear, head=head), vote)
            helps = (after.retakes, after.nearly) < (before.retakes, before.nearly)
            if helps and trial.refit_spares(before, after):
                found.append(Learned(Means.REFIT, head, vote, before, after))
        advance(1)
    return min(found, key=lambda one: one.rank, default=None)


def _refit(ear: Ear, vote: VoteSettings, trial: _Trial, strength: float) -> CryHead:
    head = ear.head
    assert head is not None and trial.replay is not None
    presets = ear.manifest.presets.values()
    thresholds = [_logit(one) for one in {vote.threshold, *(one.threshold for one in presets)}]
    limit = _logit(vote.threshold) - MARGIN
    rows = head.rows(trial.replay.embeddings)
    heard = [as_before(head, rows, trial.replay.crying, thresholds)]
    heard += [at_most(head, one.rows(head), limit, strength) for one in trial.wrong]
    for one in trial.right:
        rows = one.rows(head)
        crying = np.ones(len(rows), dtype=bool)
        heard.append(as_before(head, rows, crying, thresholds, strength))
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
