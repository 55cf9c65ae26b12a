"""Adapt a student in simulated homes, and observe other nights before and after.

A home has some sounds that set the student off and many that do not, all of them clips of groups
that neither the student nor the replayed features know. Which sounds set it off is found by a
screening: every clip is played once. In each home

- one night is listened to by the detector as `listen --clips` does; what it keeps is reviewed by
  somebody who knows where the crying is;
- the student is adapted to these clips as `adapt` does;
- *the same home* is another night of the same sounds, at other levels and places, in other rooms;
- *other homes* are the others' other nights, which nobody reviewed.

Recordings, detector, clips and refit are real; homes and reviewers are not.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from crydistill.audio.files import recording_seconds
from crydistill.audio.mel import SAMPLE_RATE
from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.corpora.clip import Clip
from crydistill.detector.alert_clips import CLIP_BEFORE_SECONDS, CLIP_TIME, AlertClips
from crydistill.detector.clip_folder import ClipLabel, KeptClip, kept_clips
from crydistill.detector.live import Listener
from crydistill.detector.settings import reachable_score
from crydistill.detector.vote import Scores, VoteSettings, alerts
from crydistill.errors import CorpusError
from crydistill.experiment.streams import StreamOptions
from crydistill.feedback.cry_head import CryHead, Int8
from crydistill.feedback.embeddings import embeddings
from crydistill.feedback.learn import learn
from crydistill.feedback.lessons import RETAKES, Ear, Lesson, read_lessons
from crydistill.feedback.replay import Replay, caught_and_false
from crydistill.metrics.intervals import LEVEL, REPLICATES, mean_estimate
from crydistill.metrics.records import plain_estimate
from crydistill.nights.alarms import ScoredStream
from crydistill.nights.streams import Kind, Placed, StreamPlan, compose, measure_clips, render
from crydistill.npz_file import keep_arrays, kept_arrays
from crydistill.progress import Progress, silent
from crydistill.seeds import generator
from crydistill.student.runtime import TfliteStudent

RESULT_NAME = "adapting.json"

_BLOCK_SECONDS = 0.5
_HEARD_SECONDS = 1.0
"""So much crying in a clip makes its reviewer say that it is a cry."""

_SCREENED = StreamOptions(episodes=0, rooms=0, least_gap_seconds=3.0, mean_gap_seconds=0.5)

_MIDNIGHT = datetime(2000, 1, 1)


class Half(StrEnum):
    """Half of all groups: settings chosen in homes of one are measured in homes of the other.

    Every group lies in the same half each time, whatever is with it.
    """

    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True)
class AdaptingOptions:
    """How homes are composed.

    homes : number of homes
    screened : sounds that are drawn to be screened; homes are made of them
    hard, easy : sounds of a home that raised an alert when screened, and others
    hours : length of a night, in which sounds recur
    episodes : of crying in a night
    """

    homes: int = 12
    screened: int = 2_000
    hard: int = 4
    easy: int = 20
    hours: float = 0.25
    episodes: int = 8


@dataclass(frozen=True)
class Seen:
    """A detector on one night.

    false_alarms : number by category of the sound that was playing
    caught : episodes of crying
    """

    hours: float
    episodes: int
    caught: int
    false_alarms: Mapping[str, int]

    @property
    def per_hour(self) -> float:
        return sum(self.false_alarms.values()) / self.hours


@dataclass(frozen=True, eq=False)
class AdaptedHome:
    """A student as adapted in a home, and that home's other night.

    head, vote : of the adapted student
    means : how it was adapted (`feedback.learn.Means`)
    reviewed : number of clips by label
    alarms : clips that are not a cry and raised an alert, before and after
    plan, night : the other night, and its embeddings
    """

    head: CryHead
    vote: VoteSettings
    means: str
    reviewed: Mapping[str, int]
    alarms: tuple[int, int]
    plan: StreamPlan
    night: Int8


class Homes:
    """Draws homes from clips, listens in them, and adapts.

    Parameters
    ----------
    clips : of groups that neither the student nor `replay` knows
    preset_vote : the detector's settings in all homes
    folder : keeps the screening and what each home heard, so that a run can be resumed; learning
        is done anew
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        student: TfliteStudent,
        replay: Replay,
        vote: VoteSettings,
        folder: str | Path,
        options: AdaptingOptions,
        *,
        seed: int,
        progress: Progress = silent,
    ) -> None:
        self._student, self._replay, self._vote = student, replay, vote
        self._of_student = student.manifest.tflite.sha256, student.kernels.value
        self._options, self._seed, self._folder = options, seed, Path(folder)
        self._ear = Ear(CryHead.of(student.tflite), student.manifest)
        drawn = _drawn(clips, options.screened, seed)
        self._measured, self.unusable = measure_clips(drawn, progress=progress)
        usable = [clip for clip in drawn if clip.id in self._measured]
        self._cries = [clip for clip in usable if clip.is_cry]
        self._sounds = [clip for clip in usable if clip.label == "noncry"]
        self._hard = self._screened(progress)
        if len(self._hard) < options.hard:
            raise CorpusError(
                f"{len(self._hard)} sounds raise an alert at this operating point; a home needs "
                f"{options.hard}; choose a more sensitive preset or more clips"
            )

    @property
    def sounds(self) -> tuple[int, int]:
        """Number of sounds, and of those that raised an alert when screened."""
        return len(self._sounds), len(self._hard)

    def adapt(self, *, progress: Progress = silent) -> list[AdaptedHome]:
        """Listen, review and adapt in every home."""
        made = []
        with progress("homes", self._options.homes, "homes") as advance:
            for number in range(self._options.homes):
                made.append(self._home(number))
                advance(1)
        return made

    def before(self, home: AdaptedHome) -> Seen:
        """The original in a home's other night."""
        return seen(home.plan, self._ear.scores(home.night), self._vote)

    def after(self, adapted: AdaptedHome, home: AdaptedHome) -> Seen:
        """The student adapted in some home, in a home's other night."""
        ear = replace(self._ear, head=adapted.head)
        return seen(home.plan, ear.scores(home.night), adapted.vote)

    def _screened(self, progress: Progress) -> list[Clip]:
        """The sounds that raise an alert when each is played once."""
        plan = self._plan(self._sounds, [], _SCREENED, "screening")
        path, key = self._folder / "screening.npz", _key(*self._of_student, plan.fingerprint)
        stored = kept_arrays(path, key)
        if stored is None:
            with progress("screening", plan.samples, "samples") as advance:
                stored = {"heard": embeddings(self._student, render(plan), on_heard=advance)}
            keep_arrays(path, key, stored)
        raised = alerts(self._ear.scores(stored["heard"]), self._vote)
        playing = {_playing(plan, alert.raised_at).clip for alert in raised}
        return [clip for clip in self._sounds if clip.id in playing]

    def _home(self, number: int) -> AdaptedHome:
        sounds = self._drawn(generator(self._seed, "home", str(number)))
        how = StreamOptions(episodes=self._options.episodes, hours=self._options.hours)
        first, other = (
            self._plan(sounds, self._cries, how, f"home {number}, {use}")
            for use in ("reviewed", "other")
        )
        path = self._folder / f"home-{number:03}.npz"
        key = _key(
            *self._of_student, self._vote.model_dump_json(), str(RETAKES),
            first.fingerprint, other.fingerprint,
        )  # fmt: skip
        stored = kept_arrays(path, key)
        if stored is None:
            stored = _plain(self._reviewed(first)) | {
                "night": embeddings(self._student, render(other))
            }
            keep_arrays(path, key, stored)
        return self._adapted(_lessons(stored), other, stored["night"])

    def _drawn(self, rng: np.random.Generator) -> list[Clip]:
        """A home's sounds."""
        hard = {clip.id for clip in self._hard}
        easy = [clip for clip in self._sounds if clip.id not in hard]
        return [
            clips[index]
            for clips, count in ((self._hard, self._options.hard), (easy, self._options.easy))
            for index in rng.permutation(len(clips))[:count]
        ]

    def _reviewed(self, plan: StreamPlan) -> list[Lesson]:
        """Listen to a night, and review what was kept."""
        # A detector keeps clips outside git work trees only, and `folder` may lie in one.
        with TemporaryDirectory() as folder:
            clips = listened(plan, self._student, self._vote, folder)
            lessons, _ = read_lessons(clips, self._student)
        return lessons

    def _adapted(self, lessons: Sequence[Lesson], other: StreamPlan, night: Int8) -> AdaptedHome:
        """Adapt to what was reviewed."""
        learned = learn(
            self._ear, self._vote, lessons, self._replay,
            highest=reachable_score(self._student.manifest),
        )  # fmt: skip
        assert learned.head is not None
        return AdaptedHome(
            head=learned.head,
            vote=learned.vote,
            means=learned.means.value,
            reviewed=Counter(one.label for one in lessons),
            alarms=(learned.before.alarms, learned.after.alarms),
            plan=other,
            night=night,
        )

    def _plan(
        self, sounds: Sequence[Clip], cries: Sequence[Clip], how: StreamOptions, use: str
    ) -> StreamPlan:
        return compose(
            sounds=sounds, cries=cries, bed=[], measured=self._measured, options=how,
            seed=int(generator(self._seed, "plan", use).integers(2**31)),
        )  # fmt: skip


def half_of(clips: Sequence[Clip], half: Half) -> list[Clip]:
    """The clips of one half of all groups."""
    odd = half is Half.SECOND
    return [clip for clip in clips if hashlib.sha256(clip.group.encode()).digest()[0] % 2 == odd]


def _drawn(clips: Sequence[Clip], count: int, seed: int) -> list[Clip]:
    """All cries, and so many other sounds."""
    sounds = [clip for clip in clips if clip.label == "noncry"]
    order = generator(seed, "screened").permutation(len(sounds))[:count]
    return [clip for clip in clips if clip.is_cry] + [sounds[index] for index in order]


def _plain(lessons: Sequence[Lesson]) -> dict[str, Any]:
    """Reviewed clips as arrays, to be stored."""
    heard = [one for lesson in lessons for one in lesson.variants]
    lengths = np.array([len(one) for one in heard], dtype=np.int64)
    return {
        "names": np.array([one.name for one in lessons], dtype=str),
        "labels": np.array([one.label.value for one in lessons], dtype=str),
        "lengths": lengths.reshape(-1, len(RETAKES)),
        "heard": np.concatenate(heard) if heard else np.empty(0, dtype=np.int8),
    }


def _lessons(stored: Mapping[str, Any]) -> list[Lesson]:
    """Reviewed clips that were stored."""
    ends = np.cumsum(stored["lengths"])
    variants = iter(np.split(stored["heard"], ends[:-1]))
    return [
        Lesson(str(name), ClipLabel(label), tuple(next(variants) for _ in lengths))
        for name, label, lengths in zip(
            stored["names"], stored["labels"], stored["lengths"], strict=True
        )
    ]


def _key(*parts: str) -> str:
    """Whatever changes a stored result changes its key, but the code."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def listened(
    plan: StreamPlan, student: TfliteStudent, vote: VoteSettings, folder: str | Path
) -> list[KeptClip]:
    """Listen to a stream, keep clips as `listen --clips` does, and review them by what was played.

    Whoever hears a second of crying in a clip says that it is a cry.
    """
    clock = _Clock()
    listener = Listener(student, vote, clips=AlertClips(folder), clock=clock.now)
    for block in render(plan, block_seconds=_BLOCK_SECONDS):
        clock.seconds += len(block) / SAMPLE_RATE
        listener.push(block)
    listener.close()
    return [replace(clip, label=_said(plan, clip)) for clip in kept_clips(folder)]


def seen(plan: StreamPlan, scores: Scores, vote: VoteSettings) -> Seen:
    """What a detector does with a stream, by its scores, `[windows]`."""
    stream = ScoredStream(scores, plan.episodes)
    caught, false = caught_and_false(scores, vote, stream.bounds)
    return Seen(
        hours=float(stream.outside.sum()) * WINDOW_HOP_SECONDS / 3600,
        episodes=len(caught),
        caught=sum(caught),
        false_alarms=dict(Counter(_playing(plan, one.raised_at).category for one in false)),
    )


class _Clock:
    """Tells the time of a stream, which begins at midnight."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return _MIDNIGHT + timedelta(seconds=self.seconds)


def _said(plan: StreamPlan, clip: KeptClip) -> ClipLabel:
    time = clip.path.stem.split("-")[1]
    at = (datetime.strptime(time, CLIP_TIME) - _MIDNIGHT).seconds
    begin = at - CLIP_BEFORE_SECONDS
    end = begin + recording_seconds(clip.path)
    crying = sum(
        max(0.0, min(end, item.stop / SAMPLE_RATE) - max(begin, item.start / SAMPLE_RATE))
        for item in plan.placed
        if item.kind is Kind.CRY
    )
    return ClipLabel.CRY if crying >= _HEARD_SECONDS else ClipLabel.NOT_A_CRY


def _playing(plan: StreamPlan, seconds: float) -> Placed:
    """The sound that began last before a time; the bed if none did."""
    items = [item for item in plan.placed if item.start / SAMPLE_RATE <= seconds]
    sounds = [item for item in items if item.kind is not Kind.BED]
    return (sounds or items)[-1]


def adapting_record(
    homes: Homes,
    lived: Sequence[AdaptedHome],
    *,
    preset: str,
    options: AdaptingOptions,
    seed: int,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """A run's results as plain values, for `adapting.json`.

    Other homes' figures are means over all homes but the one that was adapted in.
    """
    before = [homes.before(home) for home in lived]
    same = [homes.after(home, home) for home in lived]
    others = [[homes.after(home, other) for other in lived if other is not home] for home in lived]
    before_others = [[one for one in before if one is not own] for own in before]
    sounds, hard = homes.sounds
    return {
        "kind": "adapting",
        "clips": {"sounds": sounds, "raised_when_screened": hard, "private": False,
                  "unusable": len(homes.unusable)},
        "preset": preset,
        "homes": asdict(options),
        "seed": seed,
        "intervals": {"level": LEVEL, "method": "percentile bootstrap over homes, paired",
                      "replicates": REPLICATES},
        "means": dict(sorted(Counter(home.means for home in lived).items())),
        "reviewed": {label.value: sum(home.reviewed[label] for home in lived)
                     for label in ClipLabel},
        "clip_alarms": [sum(home.alarms[when] for home in lived) for when in (0, 1)],
        "nights": {
            "same home": _compared([[one] for one in before], [[one] for one in same], seed),
            "other homes": _compared(before_others, others, seed),
        },
        "provenance": dict(provenance),
    }  # fmt: skip


def _compared(
    before: Sequence[Sequence[Seen]], after: Sequence[Sequence[Seen]], seed: int
) -> dict[str, Any]:
    """False alarms and episodes before and after; a sequence of nights for each home."""
    figures = {"false_alarms_per_hour": _per_hour, "caught": _caught}
    return {
        name: {
            "before": _mean([of(one) for one in before], seed),
            "after": _mean([of(one) for one in after], seed),
            "difference": _mean(
                [of(late) - of(early) for early, late in zip(before, after, strict=True)], seed
            ),
        }
        for name, of in figures.items()
    } | {"by_sound": _by_sound(before, after)}


def _by_sound(
    before: Sequence[Sequence[Seen]], after: Sequence[Sequence[Seen]]
) -> dict[str, list[int]]:
    """False alarms before and after, of all nights, by category, most frequent first."""
    early, late = (
        sum((Counter(one.false_alarms) for nights in side for one in nights), Counter())
        for side in (before, after)
    )
    names = sorted({*early, *late}, key=lambda name: (-early[name], -late[name], name))
    return {name: [early[name], late[name]] for name in names}


def _per_hour(nights: Sequence[Seen]) -> float:
    return float(np.mean([night.per_hour for night in nights]))


def _caught(nights: Sequence[Seen]) -> float:
    return sum(night.caught for night in nights) / sum(night.episodes for night in nights)


def _mean(values: Sequence[float], seed: int) -> dict[str, float | None]:
    homes = [str(number) for number in range(len(values))]
    return plain_estimate(mean_estimate(values, groups=homes, seed=seed))
