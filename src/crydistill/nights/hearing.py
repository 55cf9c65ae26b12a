"""Hearing: continuous audio played once, block by block, to several networks.

The front end is computed once for all of them, in memory that does not grow with the length.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crydistill.audio.mel import (
    FRAME_HOP,
    FRAME_LENGTH,
    MEL_BANDS,
    SAMPLE_RATE,
    MelStream,
    Samples,
)
from crydistill.audio.windows import (
    WINDOW_FRAMES,
    WINDOW_HOP_FRAMES,
    WINDOW_HOP_SAMPLES,
    window_count,
)
from crydistill.detector.vote import Scores
from crydistill.evaluation.scorers import Scorer
from crydistill.nights.night import Night
from crydistill.progress import Progress, silent
from crydistill.teacher.base import Recording


@dataclass(frozen=True, eq=False)
class Heard:
    """A scorer and the cry score it gave each window of a night, `[windows]`."""

    scorer: Scorer
    scores: Scores


def hear(night: Night, scorers: Sequence[Scorer], *, progress: Progress = silent) -> list[Heard]:
    """Play a night once to all scorers.

    Raises
    ------
    AudioError
        if the audio cannot be read.
    """
    with progress("listening", round(night.seconds), "seconds") as advance:
        tracks = score_together(
            night.blocks(), [scorer.score for scorer in scorers], heard=_in_seconds(advance)
        )
    return [Heard(scorer, track) for scorer, track in zip(scorers, tracks, strict=True)]


def score_together(
    blocks: Iterable[Samples],
    scores: Sequence[Callable[[Recording], Scores]],
    *,
    heard: Callable[[int], None] = lambda samples: None,
) -> list[Scores]:
    """Score audio block by block; the front end is computed once for all.

    Parameters
    ----------
    scores : give the windows of a piece of audio a score each; see `Scorer.score`
    heard : is told how many samples of each block were scored

    Returns
    -------
    one array `[windows]` per function; the windows are those of the whole audio.
    """
    tracks: list[list[Scores]] = [[np.empty(0, dtype=np.float32)] for _ in scores]
    mel = MelStream()
    samples = np.empty(0, dtype=np.float32)
    frames = np.empty((0, MEL_BANDS), dtype=np.float32)
    for block in blocks:
        samples = np.concatenate([samples, block])
        frames = np.concatenate([frames, mel.push(block)])
        count = window_count(len(frames))
        if count:
            piece = _piece(samples, frames, count)
            for track, score in zip(tracks, scores, strict=True):
                track.append(score(piece))
            frames = frames[count * WINDOW_HOP_FRAMES :].copy()
            samples = samples[count * WINDOW_HOP_SAMPLES :].copy()
        heard(len(block))
    return [np.concatenate(track) for track in tracks]


def _in_seconds(advance: Callable[[int], None]) -> Callable[[int], None]:
    done = 0

    def heard(samples: int) -> None:
        nonlocal done
        before, done = done, done + samples
        advance(done // SAMPLE_RATE - before // SAMPLE_RATE)

    return heard


def _piece(samples: Samples, frames: Samples, count: int) -> Recording:
    """The samples and frames of the first `count` windows and no others."""
    used = (count - 1) * WINDOW_HOP_FRAMES + WINDOW_FRAMES
    return Recording("", samples[: (used - 1) * FRAME_HOP + FRAME_LENGTH], frames[:used])
