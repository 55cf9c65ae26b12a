"""Audio whose loudness is its score, for tests of the code around a student."""

import numpy as np

from crydistill.audio.mel import SAMPLE_RATE, LogMel, Samples
from crydistill.detector.vote import Scores


class LoudnessScorer:
    """Scores a window by the fraction of its frames that are loud, and records the scores."""

    def __init__(self) -> None:
        self.given: list[Scores] = []

    def cry_scores(self, patches: LogMel) -> Scores:
        scores = np.asarray((patches.max(axis=2) > 0).mean(axis=1), dtype=np.float32)
        self.given.append(scores)
        return scores

    @property
    def scores(self) -> Scores:
        return np.concatenate([*self.given, np.empty(0, dtype=np.float32)])


def loud(seconds: float) -> Samples:
    """A tone that scores 1."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.asarray(0.5 * np.sin(2 * np.pi * 1000 * time), dtype=np.float32)


def quiet(seconds: float) -> Samples:
    """Silence, which scores 0."""
    return np.zeros(int(seconds * SAMPLE_RATE), dtype=np.float32)


def faint(seconds: float) -> Samples:
    """A quiet room, which scores 0: noise of one 16-bit step, never still like a dead source."""
    steps = np.random.default_rng(5).integers(-1, 2, int(seconds * SAMPLE_RATE))
    return np.asarray(steps / 32_768, dtype=np.float32)
