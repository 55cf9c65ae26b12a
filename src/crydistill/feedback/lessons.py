"""Reviewed clips as a student's head hears them, and what its detector does with them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crydistill.audio.augment import clipped
from crydistill.audio.mel import Samples
from crydistill.audio.windows import WINDOW_HOP_SAMPLES, WINDOW_SAMPLES
from crydistill.detector.clip_folder import ClipLabel, KeptClip
from crydistill.detector.stream import score_blocks
from crydistill.detector.vote import Scores, VoteSettings, vote_track
from crydistill.errors import AudioError, ModelError
from crydistill.feedback.clip_samples import clip_samples
from crydistill.feedback.cry_head import CryHead, Int8
from crydistill.feedback.embeddings import embeddings
from crydistill.progress import Progress, silent
from crydistill.student.activation import activate
from crydistill.student.manifest import StudentManifest
from crydistill.student.runtime import TfliteStudent
from crydistill.taxonomy import cry_score

LONGEST_SECONDS = 300.0
"""Of a longer recording, which no `listen` keeps, the rest is not learned."""

GAINS_DB = (0.0, -6.0, 6.0)
SHIFTS = (0, WINDOW_HOP_SAMPLES // 2)
"""A clip is heard as if louder and softer, and on other window grids: another night's sound has
neither the same level nor the same grid."""


Heard = Int8 | Scores


@dataclass(frozen=True, eq=False)
class Lesson:
    """A reviewed clip.

    variants : embeddings of its windows, int8 `[windows, size]`, as it is and varied; of a student
        without a head to refit its scores, `[windows]`
    """

    name: str
    label: ClipLabel
    variants: tuple[Heard, ...]

    def rows(self, head: CryHead) -> Int8:
        """What the head hears in all variants, `[n, windows * size]`."""
        starts = np.cumsum([0, *map(len, self.variants[:-1])]).tolist()
        return head.rows(np.concatenate(self.variants).astype(np.int8), starts)


@dataclass(frozen=True)
class Ear:
    """A head and how its logits become scores.

    head : None of a student that has none to refit
    """

    head: CryHead | None
    manifest: StudentManifest

    def scores(self, heard: Heard) -> Scores:
        """Cry score of each window of one stream, `[windows]`."""
        if self.head is None or len(heard) == 0:
            return np.asarray(heard, dtype=np.float32).reshape(-1)[: len(heard)]
        logits = self.head.logits(self.head.rows(heard.astype(np.int8)))
        scores = activate(logits[:, None], self.manifest.activation)
        return cry_score(scores, self.manifest.cry_outputs)

    def alarms(self, lesson: Lesson, vote: VoteSettings) -> bool:
        """Whether a clip raises an alert: a cry as it is, anything else in any variant."""
        tried = lesson.variants[:1] if lesson.label is ClipLabel.CRY else lesson.variants
        return any(bool(vote_track(self.scores(one), vote).any()) for one in tried)


def head_of(student: TfliteStudent) -> tuple[CryHead | None, str]:
    """A student's head, or None and why it has none that can be refitted."""
    try:
        return CryHead.of(student.tflite), ""
    except ModelError as error:
        return None, str(error)


def lesson(name: str, label: ClipLabel, samples: Samples, student: TfliteStudent) -> Lesson:
    """Hear a clip, `[n]` at 16 kHz, in all variants."""
    head, _ = head_of(student)
    hear = embeddings if head else _scores
    variants = (
        clipped(samples[shift:] * np.float32(10 ** (gain / 20)))
        for gain in GAINS_DB
        for shift in SHIFTS
    )
    return Lesson(name, label, tuple(hear(student, [one]) for one in variants))


def read_lessons(
    clips: Sequence[KeptClip], student: TfliteStudent, *, progress: Progress = silent
) -> tuple[list[Lesson], dict[str, str]]:
    """Hear the reviewed clips; and reasons for those that cannot be heard, by name."""
    reviewed = [(clip, clip.label) for clip in clips if clip.label is not None]
    lessons, unreadable = [], {}
    with progress("hearing reviewed clips", len(reviewed), "clips") as advance:
        for clip, label in reviewed:
            try:
                lessons.append(lesson(clip.name, label, _read(clip), student))
            except AudioError as error:
                unreadable[clip.name] = str(error)
            advance(1)
    return lessons, unreadable


def _scores(student: TfliteStudent, blocks: Iterable[Samples]) -> Scores:
    return np.concatenate([*score_blocks(blocks, student)])


def _read(clip: KeptClip) -> Samples:
    """A clip's samples, up to `LONGEST_SECONDS`."""
    samples = clip_samples(clip, LONGEST_SECONDS)
    if len(samples) < WINDOW_SAMPLES + max(SHIFTS):
        raise AudioError(f"{clip.path}: is too short to learn from; delete it")
    return samples
