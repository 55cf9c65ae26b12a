"""Score nights and keep the scores, so that a killed run resumes and a further network is cheap.

Scores are kept of composed nights, one file for each night and network. A recording may change
under its name and is always scored.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crydistill.atomic import replacing
from crydistill.detector.vote import Scores
from crydistill.evaluation.scorers import Scorer
from crydistill.nights.hearing import ScoredNight, score_night
from crydistill.nights.night import ClipNight, Night
from crydistill.progress import Progress, silent


def score_nights(
    nights: Sequence[Night],
    scorers: Sequence[Scorer],
    folder: str | Path,
    *,
    how: str = "",
    progress: Progress = silent,
) -> list[list[ScoredNight]]:
    """Score nights one after the other, each with those networks whose scores are not kept.

    Parameters
    ----------
    folder : where scores are kept; the clips' audio is taken to be what it was
    how : what else decides the scores than a network's weights: the kernels it runs with

    Raises
    ------
    AudioError
        if the audio cannot be read.
    """
    return [_scored(night, scorers, Path(folder), how, progress) for night in nights]


def _scored(
    night: Night, scorers: Sequence[Scorer], folder: Path, how: str, progress: Progress
) -> list[ScoredNight]:
    if not isinstance(night, ClipNight):
        return score_night(night, scorers, progress=progress)
    paths = [_path(night, scorer, folder, how) for scorer in scorers]
    kept = [_read(path) for path in paths]
    missing = [scorer for scorer, scores in zip(scorers, kept, strict=True) if scores is None]
    fresh = iter(score_night(night, missing, progress=progress) if missing else ())
    found = []
    for scorer, path, scores in zip(scorers, paths, kept, strict=True):
        if scores is not None:
            found.append(ScoredNight(scorer, scores))
            continue
        found.append(next(fresh))
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, found[-1].scores)
    return found


def _path(night: ClipNight, scorer: Scorer, folder: Path, how: str) -> Path:
    key = "\n".join([night.plan.fingerprint, scorer.fingerprint, scorer.role.value, how])
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"


def _read(path: Path) -> Scores | None:
    """The scores in a file; None if there is none, or it is damaged: they are to be made again."""
    try:
        scores: Scores = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError):
        return None
    return scores
