"""Turn streaming audio into cry scores (front end, windows, student) in bounded memory."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from crydistill.audio.mel import MEL_BANDS, LogMel, MelStream, Samples
from crydistill.audio.windows import WINDOW_HOP_FRAMES, window_count, windows
from crydistill.detector.vote import Scores


class WindowListener(Protocol):
    """Hears one stream of windows; what it remembers of them goes on from push to push."""

    def push(self, patches: LogMel) -> Scores:
        """Cry scores, `[n]`, of the next windows, `[n, 96, 64]`."""

    def reset(self) -> None:
        """Forget the windows so far."""


class WindowScorer(Protocol):
    """Hears any number of streams, each by itself."""

    def listener(self) -> WindowListener:
        """Start to hear a stream."""


class ScoreStream:
    """Takes samples in blocks of any size; returns the scores of the windows they complete."""

    def __init__(self, scorer: WindowScorer) -> None:
        self._listener = scorer.listener()
        self.reset()

    def reset(self) -> None:
        """Start anew, as after a gap: no window spans it, and nothing before it is remembered."""
        self._listener.reset()
        self._mel = MelStream()
        self._frames = np.empty((0, MEL_BANDS), dtype=np.float32)

    def push(self, samples: Samples) -> Scores:
        """Process the next samples, `[n]` at 16 kHz; return the scores of new windows, `[k]`."""
        self._frames = np.concatenate([self._frames, self._mel.push(samples)])
        count = window_count(len(self._frames))
        if count == 0:
            return np.empty(0, dtype=np.float32)
        scores = self._listener.push(windows(self._frames))
        self._frames = self._frames[count * WINDOW_HOP_FRAMES :].copy()
        return scores


def score_blocks(blocks: Iterable[Samples], scorer: WindowScorer) -> Iterator[Scores]:
    """Score a recording block by block; the block size does not affect the scores."""
    stream = ScoreStream(scorer)
    for block in blocks:
        yield stream.push(block)
