"""Training targets for each window, from the teacher's scores and the clip's label."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from crydistill.corpora.clip import Label
from crydistill.selection.pool import Indices, WindowPool
from crydistill.student.heads import Heads
from crydistill.taxonomy import rival_indices

Floats = npt.NDArray[np.float32]

Targets = Callable[[Indices], Floats]
"""Gives the targets of some windows of a pool, `[n, k]`."""

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
    label = np.array([clip.label for clip in pool.clips])[pool.clip_of]
    is_negative = (label == Label.NONCRY) & trust_negatives
    floor = np.where((label == Label.CRY) & _best_windows(pool), np.float32(cry_floor), 0)

    def targets(indices: Indices) -> Floats:
        logits = pool.logits(indices)
        own = heads.targets(logits)
        if rival_floor is not None:
            own[:, 0] = against_rivals(own[:, 0], logits, rival_floor)
        own[:, 0] = np.maximum(own[:, 0], floor[indices])
        own[is_negative[indices], 0] = 0
        return np.concatenate([own, expit(logits)], axis=1, dtype=np.float32)

    return targets


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
