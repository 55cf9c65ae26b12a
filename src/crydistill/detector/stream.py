"""Turn streaming audio into cry scores (front end, windows, student) in bounded memory."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from crydistill.audio.mel import MEL_BANDS, LogMel, MelStream, Samples
from crydistill.audio.windows import WINDOW_HOP_FRAMES, window_count, windows
from crydistill.detector.vote import Scores


class WindowScorer(Protocol):
    """Computes cry scores, `[n]`, of log-mel patches, `[n, 96, 64]`."""

    def cry_scores(self, patches: LogMel) -> Scores: ...


class ScoreStream:
    """Takes samples in blocks of any size; returns the scores of the windows they complete."""

    def __init__(self, scorer: WindowScorer) -> None:
        self._scorer = scorer
        self._mel = MelStream()
        self._frames = np.empty((0, MEL_BANDS), dtype=np.float32)

    def push(self, samples: Samples) -> Scores:
        """Process the next samples, `[n]` at 16 kHz; return the scores of new windows, `[k]`."""
        self._frames = np.concatenate([self._frames, self._mel.push(samples)])
        count = window_count(len(self._frames))
        if count == 0:
            return np.empty(0, dtype=np.float32)
        scores = self._scorer.cry_scores(windows(self._frames))
        self._frames = self._frames[count * WINDOW_HOP_FRAMES :].copy()
        return scores


def score_blocks(blocks: Iterable[Samples], scorer: WindowScorer) -> Iterator[Scores]:
    """Score a recording block by block; the block size does not affect the scores."""
    stream = ScoreStream(scorer)
    for block in blocks:
        yield stream.push(block)
