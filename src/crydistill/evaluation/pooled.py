"""Window scores of a pool, from the teacher's stored logits or a student's networks."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from crydistill.evaluation.clips import ModelScores
from crydistill.evaluation.scorers import StudentNetwork
from crydistill.metrics.agreement import window_kl
from crydistill.progress import Progress, silent
from crydistill.roles import Role
from crydistill.selection.pool import Indices, WindowPool
from crydistill.taxonomy import CLASSES, cry_score

_WINDOWS_AT_ONCE = 1024

Floats = npt.NDArray[np.float32]


def teacher_scores(pool: WindowPool) -> ModelScores:
    """The teacher's cry scores from the pool's stores."""
    return ModelScores(Role.TEACHER, pool.per_clip(pool.cry_scores))


def target_scores(pool: WindowPool, name: str, targets: Callable[[Floats], Floats]) -> ModelScores:
    """Scores computed from the teacher's logits, such as a student's training targets.

    Parameters
    ----------
    targets : computes scores `[n]` from logits `[n, 521]`
    """
    scores = [targets(pool.logits(indices)) for indices in _batches(pool)]
    return ModelScores(name, pool.per_clip(np.concatenate(scores)))


def student_scores(
    pool: WindowPool, network: StudentNetwork, *, what: str, progress: Progress = silent
) -> ModelScores:
    """Run a student's network on all windows of a pool, each clip as a stream of its own.

    The KL divergence from the teacher is included for networks with the teacher's 521 outputs.

    Parameters
    ----------
    what : name of the windows in the progress bar
    """
    cry = np.empty(len(pool), dtype=np.float32)
    kl = np.full(len(pool), np.nan, dtype=np.float32)
    with progress(f"{network.role}, {what}", len(pool), "windows") as advance:
        listener = network.listener()
        for indices in pool.per_clip(np.arange(len(pool))):
            listener.reset()
            outputs = listener.probabilities(pool.patches(indices))
            cry[indices] = cry_score(outputs, network.manifest.cry_outputs)
            if outputs.shape[1] == CLASSES:
                kl[indices] = window_kl(expit(pool.logits(indices)), outputs)
            advance(len(indices))
    clip_kl = [float(values.mean()) for values in pool.per_clip(kl)]
    known = not np.isnan(kl).any()
    return ModelScores(network.role, pool.per_clip(cry), clip_kl if known else None)


def _batches(pool: WindowPool) -> list[Indices]:
    starts = range(_WINDOWS_AT_ONCE, len(pool), _WINDOWS_AT_ONCE)
    return np.split(np.arange(len(pool)), starts)
