"""Reviewed clips as a student's head hears them, and what its detector does with them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crydistill.audio.augment import change_speed, gain
from crydistill.audio.mel import Samples
from crydistill.audio.rooms import diffuse_response, in_room
from crydistill.audio.windows import WINDOW_HOP_SAMPLES, WINDOW_SAMPLES
from crydistill.detector.clip_folder import ClipLabel, KeptClip
from crydistill.detector.stream import score_blocks
from crydistill.detector.vote import Scores, VoteSettings, vote_track
from crydistill.errors import AudioError, ModelError
from crydistill.feedback.clip_samples import clip_samples
from crydistill.feedback.cry_head import CryHead, Int8
from crydistill.feedback.embeddings import embeddings
from crydistill.progress import Progress, silent
from crydistill.seeds import generator
from crydistill.student.activation import activate
from crydistill.student.manifest import StudentManifest
from crydistill.student.runtime import TfliteStudent
from crydistill.taxonomy import cry_score

LONGEST_SECONDS = 300.0
"""Of a longer recording, which no `listen` keeps, the rest is not learned."""


@dataclass(frozen=True)
class Retake:
    """How a clip's sound comes back on another night.

    gain_db : how much louder
    shift : how much later on the window grid, in hops, 0 to 1
    speed : how much faster, and higher
    reverberation, direct_db : of a diffuse room (`audio.rooms.diffuse_response`); 0: as it is
    """

    gain_db: float = 0.0
    shift: float = 0.0
    speed: float = 1.0
    reverberation: float = 0.0
    direct_db: float = 0.0

    def of(self, samples: Samples, rng: np.random.Generator) -> Samples:
        """Samples, `[n]` at 16 kHz, of the same sound."""
        sound = samples[round(self.shift * WINDOW_HOP_SAMPLES) :]
        if self.speed != 1:
            sound = change_speed(sound, self.speed)
        if self.reverberation:
            room = diffuse_response(self.reverberation, self.direct_db, rng)
            sound = in_room(sound, room)
        return gain(sound, self.gain_db)


RETAKES = (
    Retake(), Retake(shift=0.5),
    Retake(gain_db=-6), Retake(gain_db=-6, shift=0.5),
    Retake(gain_db=6), Retake(gain_db=6, shift=0.5),
    Retake(-12, 0.25, 1.0, 0.3, 0), Retake(12, 0.25, 1.0, 0.3, 3),
    Retake(0, 0.2, 1.0, 0.45, -3), Retake(9, 0.4, 1.0, 0.4, -3),
    Retake(-6, 0.65, 0.95, 0.2, 0), Retake(6, 0.3, 1.05, 0.2, 3),
    Retake(0, 0.8, 1.05, 0.35, 0), Retake(-10, 0.1, 0.95, 0.25, 3),
)  # fmt: skip
"""As a clip is, first; then at other levels, on other grids, in other rooms, faster and slower: all
of it differs from night to night, and a sound that was unlearned at one level alone comes back."""

_SHORTEST_SAMPLES = int(1.1 * (WINDOW_SAMPLES + WINDOW_HOP_SAMPLES))
"""A clip of this length has a window in every retake."""

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
        """Whether a clip raises an alert as it is."""
        return bool(vote_track(self.scores(lesson.variants[0]), vote).any())

    def alarming(self, lesson: Lesson, vote: VoteSettings) -> float:
        """Share of a clip's retakes that raise an alert."""
        raised = [bool(vote_track(self.scores(one), vote).any()) for one in lesson.variants]
        return sum(raised) / len(raised)


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
    rng = generator(0, "retakes")
    return Lesson(name, label, tuple(hear(student, [one.of(samples, rng)]) for one in RETAKES))


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
    if len(samples) < _SHORTEST_SAMPLES:
        raise AudioError(f"{clip.path}: is too short to learn from; delete it")
    return samples
