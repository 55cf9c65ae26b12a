"""Score continuous audio with several networks in one pass, block by block.

The front end is computed once for all of them; memory does not grow with the length.
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
from crydistill.evaluation.scorers import Hearing, Scorer
from crydistill.nights.night import Night
from crydistill.progress import Progress, silent
from crydistill.teacher.base import Recording


@dataclass(frozen=True, eq=False)
class ScoredNight:
    """A scorer and its cry score of each window of a night, `[windows]`."""

    scorer: Scorer
    scores: Scores


def score_night(
    night: Night, scorers: Sequence[Scorer], *, progress: Progress = silent
) -> list[ScoredNight]:
    """Score a night with all scorers in one pass.

    Raises
    ------
    AudioError
        if the audio cannot be read.
    """
    with progress("scoring", round(night.seconds), "seconds") as advance:
        tracks = score_together(
            night.blocks(), [scorer.listen() for scorer in scorers], on_scored=_in_seconds(advance)
        )
    return [ScoredNight(scorer, track) for scorer, track in zip(scorers, tracks, strict=True)]


def score_together(
    blocks: Iterable[Samples],
    hearings: Sequence[Hearing],
    *,
    on_scored: Callable[[int], None] = lambda samples: None,
) -> list[Scores]:
    """Score a stream block by block with several networks; the front end is computed once.

    Parameters
    ----------
    hearings : what `Scorer.listen` returned, one for each network and not used before
    on_scored : called after each block with its number of samples

    Returns
    -------
    one array `[windows]` per network; the windows are those of the whole audio.
    """
    tracks: list[list[Scores]] = [[np.empty(0, dtype=np.float32)] for _ in hearings]
    mel = MelStream()
    samples = np.empty(0, dtype=np.float32)
    frames = np.empty((0, MEL_BANDS), dtype=np.float32)
    for block in blocks:
        samples = np.concatenate([samples, block])
        frames = np.concatenate([frames, mel.push(block)])
        count = window_count(len(frames))
        if count:
            piece = _piece(samples, frames, count)
            for track, hear in zip(tracks, hearings, strict=True):
                track.append(hear(piece))
            frames = frames[count * WINDOW_HOP_FRAMES :].copy()
            samples = samples[count * WINDOW_HOP_SAMPLES :].copy()
        on_scored(len(block))
    return [np.concatenate(track) for track in tracks]


def _in_seconds(advance: Callable[[int], None]) -> Callable[[int], None]:
    done = 0

    def on_scored(samples: int) -> None:
        nonlocal done
        before, done = done, done + samples
        advance(done // SAMPLE_RATE - before // SAMPLE_RATE)

    return on_scored


def _piece(samples: Samples, frames: Samples, count: int) -> Recording:
    """Exactly the samples and frames of the first `count` windows."""
    used = (count - 1) * WINDOW_HOP_FRAMES + WINDOW_FRAMES
    return Recording("", samples[: (used - 1) * FRAME_HOP + FRAME_LENGTH], frames[:used])
