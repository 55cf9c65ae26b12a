"""Audio whose loudness is its score, for tests of the code around a student."""

from typing import Self

import numpy as np

from crydistill.audio.mel import SAMPLE_RATE, LogMel, Samples
from crydistill.detector.vote import Scores


class EachByItself:
    """A scorer without memory: its `push` hears all streams alike."""

    def listener(self) -> Self:
        return self

    def reset(self) -> None:
        pass


class LoudnessScorer(EachByItself):
    """Scores a window by the fraction of its frames that are loud, and records the scores."""

    def __init__(self) -> None:
        self.given: list[Scores] = []

    def push(self, patches: LogMel) -> Scores:
        scores = np.asarray((patches.max(axis=2) > 0).mean(axis=1), dtype=np.float32)
        self.given.append(scores)
        return scores

    @property
    def scores(self) -> Scores:
        return np.concatenate([*self.given, np.empty(0, dtype=np.float32)])


class Remembering:
    """Each listener scores a window by how many it has heard since its start or reset."""

    def listener(self) -> "Counting":
        return Counting()


class Counting:
    """A listener that counts windows."""

    def __init__(self) -> None:
        self.heard = 0

    def reset(self) -> None:
        self.heard = 0

    def push(self, patches: LogMel) -> Scores:
        self.heard += len(patches)
        return np.arange(self.heard - len(patches) + 1, self.heard + 1, dtype=np.float32)


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
