"""Scores of a pool: each clip is a stream of its own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.student_fixtures import (  # noqa: F401 - fixtures
    memory_dir,
    memory_tflite,
    patches,
)

from crydistill.audio.mel import LogMel
from crydistill.evaluation.pooled import student_scores
from crydistill.evaluation.scorers import student_networks
from crydistill.selection.pool import Indices, WindowPool
from crydistill.student.runtime import TfliteStudent


@dataclass(frozen=True)
class Heard(WindowPool):
    """Clips of given lengths, whose windows all stand in one array, `[n, ...]`."""

    heard: LogMel

    def patches(self, indices: Indices) -> LogMel:
        return self.heard[indices]


@pytest.mark.parametrize("lengths", [[20], [1, 7, 2, 30]])
def test_no_clip_hears_the_one_before(
    memory_dir: Path,  # noqa: F811
    patches: LogMel,  # noqa: F811
    lengths: list[int],
) -> None:
    pool = Heard((), (), np.array(lengths), [len(lengths)], patches)
    (network,) = student_networks(memory_dir)
    scores = student_scores(pool, network, what="windows")
    student = TfliteStudent.load(memory_dir)
    ends = np.cumsum(lengths)
    assert scores.kl is None
    for track, end in zip(scores.windows, ends, strict=True):
        clip = patches[end - len(track) : end]
        np.testing.assert_array_equal(track, student.cry_scores(clip))
    assert list(map(len, scores.windows)) == lengths
