"""Training targets for each window, from the teacher's scores and the clip's label."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from crydistill.corpora.clip import Label
from crydistill.selection.pool import Indices, WindowPool
from crydistill.student.heads import Heads
from crydistill.taxonomy import BABY_CRY, index_of, rival_indices

Floats = npt.NDArray[np.float32]

Targets = Callable[[Indices], Floats]
"""Gives the targets of some windows of a pool, `[n, k]`."""

PROBABILITY_FLOOR = 1e-4
"""Targets are clipped this far from 0 and 1 before they are turned back into logits."""

_RECENT_WINDOWS, _BEST_WINDOWS = 10, 3

_CONTEXT_SHARE = 2
"""Weight of the teacher with context, where the other has 1."""

_LABELLED = 5.0
"""Logit of a cry by its label; of none, the same below 0."""

MemoryTarget = Literal["context", "best_windows", "both", "labels"]

_BEST_SHARE = 0.5
"""A window is among a cry clip's best if it reaches this share of the clip's highest cry score."""


def teacher_logits(pool: WindowPool) -> Targets:
    """Targets of a student with the teacher's classes: the teacher's logits, `[n, 521]`."""
    return pool.logits


def head_targets(
    pool: WindowPool,
    heads: Heads,
    *,
    trust_negatives: bool,
    cry_floor: float,
    rival_floor: float | None,
) -> Targets:
    """Targets of a student with heads: probabilities, `[n, heads + 521]`.

    The first columns belong to the heads, the others are the teacher's scores unchanged. Labels
    describe clips, teacher scores describe windows; the cry head can learn from both.

    Parameters
    ----------
    trust_negatives : set the cry target to 0 in clips labelled noncry
    cry_floor : lowest target of the highest-scoring windows of a clip labelled cry
    rival_floor : the cry head learns `against_rivals` with this floor instead of the teacher's
        cry score; None: the cry score
    """
    noncry = np.array([clip.label is Label.NONCRY for clip in pool.clips])[pool.clip_of]
    cry = np.array([clip.label is Label.CRY for clip in pool.clips])[pool.clip_of]
    is_negative = noncry & trust_negatives
    floor = np.where(cry & _best_windows(pool), np.float32(cry_floor), 0)

    def targets(indices: Indices) -> Floats:
        logits = pool.logits(indices)
        own = heads.targets(logits)
        if rival_floor is not None:
            own[:, 0] = against_rivals(own[:, 0], logits, rival_floor)
        own[:, 0] = np.maximum(own[:, 0], floor[indices])
        own[is_negative[indices], 0] = 0
        return np.concatenate([own, expit(logits)], axis=1, dtype=np.float32)

    return targets


def best_windows(logits: Floats, streams: Indices) -> Floats:
    """YAMNet's opinion of the last five seconds: the mean of its three best windows, as a logit.

    A few loud cries between long pauses stand out in it, where a network that hears five seconds at
    once mostly hears the pauses.

    Parameters
    ----------
    logits : teacher's logits of consecutive windows, `[n, 521]`
    streams : the stream that each window belongs to, ascending, `[n]`

    Returns
    -------
    Logit of the mean score of class "Baby cry, infant cry", `[n]`.
    """
    scores = expit(np.asarray(logits[:, index_of(BABY_CRY)], dtype=np.float32))
    found = [_mean_of_best(part) for part in np.split(scores, np.flatnonzero(np.diff(streams)) + 1)]
    best = np.clip(np.concatenate(found), PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return np.asarray(np.log(best) - np.log1p(-best), dtype=np.float32)


def _mean_of_best(scores: Floats) -> Floats:
    padded = np.concatenate([np.zeros(_RECENT_WINDOWS - 1, dtype=np.float32), scores])
    recent = np.lib.stride_tricks.sliding_window_view(padded, _RECENT_WINDOWS)
    return np.asarray(np.sort(recent, axis=1)[:, -_BEST_WINDOWS:].mean(axis=1), dtype=np.float32)


def memory_target(
    kind: MemoryTarget,
    context: Floats,
    logits: Floats,
    streams: Indices,
    surely_no_cry: npt.NDArray[np.bool_],
) -> Floats:
    """What a memory learns of each window of streams, as a logit, `[n]`.

    Parameters
    ----------
    kind : see `crydistill.experiment.schema.MemoryTrainingConfig`
    context : logit of a teacher that hears several seconds at once, `[n]`
    logits, streams : see `best_windows`
    surely_no_cry : whether only clips labelled noncry have just played, `[n]`
    """
    if kind == "context":
        return context
    if kind == "labels":
        return np.where(surely_no_cry, np.float32(-_LABELLED), np.float32(_LABELLED))
    best = best_windows(logits, streams)
    if kind == "best_windows":
        return best
    return np.asarray((_CONTEXT_SHARE * context + best) / (_CONTEXT_SHARE + 1), dtype=np.float32)


def against_rivals(cry: Floats, logits: Floats, floor: float) -> Floats:
    """Cry score relative to the teacher's score for the strongest rival voice.

    The teacher's classes are independent: a cat may score as a cry and as a laugh at once. The odds
    of the cry against its strongest rival (`crydistill.taxonomy.rival_indices`) tell such windows
    from cries; speech, music and noise are no rivals, they may well go on while a baby cries.

    Parameters
    ----------
    cry : the teacher's cry scores, `[n]`, 0 to 1
    logits : its logits, `[n, 521]`
    floor : added to the rival's score, so that a weak cry without rivals scores low; above 0

    Returns
    -------
    `cry / (cry + rival + floor)`, `[n]`, 0 to 1.
    """
    rival = expit(logits[:, list(rival_indices())]).max(axis=1)
    return np.asarray(cry / (cry + rival + floor), dtype=np.float32)


def _best_windows(pool: WindowPool) -> npt.NDArray[np.bool_]:
    highest = np.zeros(len(pool.clips), dtype=np.float32)
    np.maximum.at(highest, pool.clip_of, pool.cry_scores)
    return np.asarray(pool.cry_scores >= _BEST_SHARE * highest[pool.clip_of])
