"""Clips, teachers and work for tests of shards, and what makes two stores the same."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from crydistill.audio.windows import windows
from crydistill.corpora.clip import Clip, Label
from crydistill.teacher import scoring
from crydistill.teacher.base import Recording, Teacher
from crydistill.teacher.scores import WINDOW_SCORES, Kind, ScoreStore
from crydistill.teacher.work import TeacherFiles, Work


class LoudnessTeacher:
    """Logits are the loudness of the window in each band, over and over."""

    name = "loudness"
    fingerprint = "f" * 64

    def __init__(self, seconds_a_clip: float = 0.0) -> None:
        self.seconds_a_clip, self.heard = seconds_a_clip, 0

    def logits(self, recordings: Sequence[Recording]) -> list[np.ndarray]:
        time.sleep(self.seconds_a_clip * len(recordings))
        self.heard += len(recordings)
        bands = [windows(recording.frames).mean(axis=1) for recording in recordings]
        return [np.tile(each, 9)[:, :521] for each in bands]


@dataclass(frozen=True)
class SlowFiles(TeacherFiles):
    """A recorded teacher that takes its time over every clip, so that there is time to kill it."""

    def load(self) -> Teacher:
        teacher = super().load()
        scoring.WINDOWS_PER_BATCH = 1

        class Slow:
            name, fingerprint = teacher.name, teacher.fingerprint

            def logits(self, recordings: Sequence[Recording]) -> list[np.ndarray]:
                time.sleep(0.1 * len(recordings))
                return teacher.logits(recordings)

        return Slow()


def make_clips(directory: Path, count: int, seconds: float = 1.5) -> list[Clip]:
    directory.mkdir(parents=True, exist_ok=True)
    clips = []
    for number in range(count):
        path = directory / f"{number}.wav"
        noise = np.random.default_rng(number).standard_normal(round(16_000 * seconds))
        soundfile.write(path, 0.01 * (number + 1) * noise, 16_000)
        clips.append(Clip(path.name, path, Label.NONCRY, path.name))
    return clips


def work_on(store: Path, clips: Sequence[Clip], kind: Kind = WINDOW_SCORES) -> Work:
    store.mkdir(parents=True, exist_ok=True)
    return Work("made up", store, tuple(clips), TeacherFiles(()), kind)


def assert_same(store: ScoreStore, other: ScoreStore) -> None:
    """Both hold the same clips, each once, with the same audio, frames and scores."""
    assert sorted(store.entries) == sorted(other.entries)
    for name, entry in other.entries.items():
        found = store.entries[name]
        assert (found.sha256, found.duration, found.windows) == (
            entry.sha256, entry.duration, entry.windows,
        )  # fmt: skip
        assert np.array_equal(store.logits(name), other.logits(name)), name
        assert np.array_equal(store.frames(name), other.frames(name)), name
