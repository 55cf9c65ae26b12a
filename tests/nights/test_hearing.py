from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.nights.nightly import scorer, share_of_tone, tones
from tests.student_fixtures import memory_dir, memory_tflite  # noqa: F401 - fixtures

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import WINDOW_SAMPLES, window_count
from crydistill.detector.vote import Scores
from crydistill.evaluation.scorers import student_scorers
from crydistill.nights.hearing import score_night, score_together
from crydistill.teacher.base import Recording


def mean_of_samples(recording: Recording) -> Scores:
    """Score from the samples, like a teacher that does not use log-mel frames."""
    view = np.lib.stride_tricks.sliding_window_view(recording.samples, WINDOW_SAMPLES)[::7_680]
    return np.asarray(np.abs(view).mean(axis=1, dtype=np.float64), dtype=np.float32)


@pytest.mark.parametrize("block", [100, 7_680, 50_000])
def test_scores_do_not_depend_on_the_blocks(block: int) -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, 100_000).astype(np.float32)
    whole = Recording("", audio, log_mel(audio))
    told: list[int] = []
    by_frames, by_samples = score_together(
        (audio[start : start + block] for start in range(0, len(audio), block)),
        [share_of_tone, mean_of_samples],
        on_scored=told.append,
    )
    assert len(by_frames) == window_count(len(whole.frames))
    assert np.array_equal(by_frames, share_of_tone(whole))
    assert np.array_equal(by_samples, mean_of_samples(whole)[: len(by_samples)])
    assert len(by_samples) == len(by_frames)
    assert sum(told) == len(audio)


@pytest.mark.parametrize("block", [100, 7_680, 50_000])
def test_what_is_remembered_goes_on_from_block_to_block(memory_dir: Path, block: int) -> None:  # noqa: F811
    (student,) = student_scorers(memory_dir)
    audio = np.random.default_rng(0).normal(0, 0.1, 100_000).astype(np.float32)
    expected = student.score(Recording("", audio, log_mel(audio)))
    for _ in range(2):  # the second night begins with nothing heard, too
        blocks = (audio[start : start + block] for start in range(0, len(audio), block))
        (track,) = score_together(blocks, [student.listen()])
        assert np.array_equal(track, expected)


def test_too_little_audio_has_no_scores() -> None:
    (track,) = score_together([np.zeros(WINDOW_SAMPLES - 1, np.float32)], [share_of_tone])
    assert len(track) == 0


def test_progress_counts_the_seconds(tmp_path: Path) -> None:
    night = tones(tmp_path)
    seconds: list[int] = []

    @contextmanager
    def meter(task: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        assert (task, unit) == ("scoring", "seconds")
        assert total == round(night.seconds)
        yield seconds.append

    score_night(night, [scorer()], progress=meter)
    assert sum(seconds) == int(night.seconds)
