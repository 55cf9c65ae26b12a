"""Nights: continuous audio with its ground truth.

A night is a stream composed of clips from one split (`ClipNight`), where the truth is known to the
sample, or a user's own recording (`RecordedNight`), with labels or without. `hearing` scores it
with networks, `judge` evaluates the scores.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from crydistill.audio.files import AudioReader, recording_seconds
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.corpora.clip import Clip, Label, duplicate_ids
from crydistill.corpora.folder import Say, Where, read_corpus
from crydistill.errors import CorpusError
from crydistill.experiment.streams import StreamOptions
from crydistill.nights.alarms import Episode, labelled_episodes
from crydistill.nights.spans import Span
from crydistill.nights.streams import Kind, StreamPlan, compose, excerpt, measure_clips, render
from crydistill.progress import Progress, silent

UNCATEGORISED = "uncategorised"
"""Category of a clip whose corpus gives none."""


@dataclass(frozen=True)
class SoundEvent:
    """A sound in a night, with its times in seconds from the night's start.

    what : category or label ("Cat", "cry")
    clip : id of the clip; empty in a recording
    details : for display ("12.3 dB over the bed, room 3")
    """

    start: float
    end: float
    what: str
    clip: str = ""
    details: str = ""
    cry: bool = False


@dataclass(frozen=True)
class Origin:
    """Where what sounds comes from, from `start` (in seconds) until the next origin's.

    corpus : as it was named for the night; empty if not known
    """

    start: float
    source: str
    group: str
    corpus: str = ""


class Night(Protocol):
    """Continuous audio with its ground truth.

    title, source : for display ("Continuous audio from ...", and what it comes from)
    private : nothing derived from it may be published
    seconds : length
    episodes : of crying, in order of time
    episode_snr_db : level of each episode over the background; empty if not known
    labelled : whether the crying is labelled; if not, every alert counts as false
    sound_events : the sounds, in order of time
    origins : of each bout and the gap after it, in order of time; empty if not known
    seed : of a composed night; None of a recording
    """

    @property
    def title(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def private(self) -> bool: ...
    @property
    def seconds(self) -> float: ...
    @property
    def episodes(self) -> tuple[Episode, ...]: ...
    @property
    def episode_snr_db(self) -> Sequence[float]: ...
    @property
    def labelled(self) -> bool: ...
    @property
    def sound_events(self) -> Sequence[SoundEvent]: ...
    @property
    def origins(self) -> Sequence[Origin]: ...
    @property
    def seed(self) -> int | None: ...

    def blocks(self) -> Iterator[Samples]:
        """The audio from the start, 16 kHz mono, in consecutive blocks."""
        ...

    def excerpts(self, stretches: Sequence[tuple[float, float]]) -> list[Samples | None]:
        """The audio of each stretch (start and end in seconds); None if it may not be published."""
        ...

    def facts(self) -> dict[str, Any]:
        """Describe the night's content in plain values."""
        ...


@dataclass(frozen=True)
class ClipNight:
    """A stream composed of clips.

    corpora : names of the corpora, for display ("audio (split dev)"), with the ids of their clips
    unusable : unreadable or silent clips, by id, with the reason
    """

    plan: StreamPlan
    corpora: Mapping[str, frozenset[str]]
    unusable: Mapping[str, str] = field(default_factory=dict)
    labelled: bool = True

    @property
    def title(self) -> str:
        return f"Continuous audio from {self.source}"

    @property
    def source(self) -> str:
        return " and ".join(self.corpora)

    @property
    def seed(self) -> int | None:
        return self.plan.seed

    @cached_property
    def origins(self) -> Sequence[Origin]:
        corpus = {clip: name for name, clips in self.corpora.items() for clip in clips}
        found: dict[int, Origin] = {}
        for item in self.plan.placed:
            if item.bout is not None and item.bout not in found:
                of = (item.source, item.group, corpus.get(item.clip, ""))
                found[item.bout] = Origin(item.start / SAMPLE_RATE, *of)
        return list(found.values())

    @property
    def private(self) -> bool:
        return self.plan.private

    @property
    def seconds(self) -> float:
        return self.plan.samples / SAMPLE_RATE

    @property
    def episodes(self) -> tuple[Episode, ...]:
        return self.plan.episodes

    @cached_property
    def episode_snr_db(self) -> Sequence[float]:
        of_episode = {item.episode: item.snr_db for item in self.plan.placed}
        return [of_episode[number] or 0.0 for number in range(len(self.episodes))]

    @cached_property
    def sound_events(self) -> Sequence[SoundEvent]:
        found = []
        for item in self.plan.placed:
            if item.kind is Kind.BED:
                continue
            details = ["dry" if item.room is None else f"room {item.room}"]
            if item.snr_db is not None:
                details.insert(0, f"{item.snr_db:.1f} dB over the bed")
            if item.use:
                details.append("repeated")
            found.append(
                SoundEvent(
                    item.start / SAMPLE_RATE,
                    item.stop / SAMPLE_RATE,
                    item.category or UNCATEGORISED,
                    item.clip,
                    ", ".join(details),
                    item.kind is Kind.CRY,
                )
            )
        return found

    def blocks(self) -> Iterator[Samples]:
        return render(self.plan)

    def excerpts(self, stretches: Sequence[tuple[float, float]]) -> list[Samples | None]:
        return [self._excerpt(int(a * SAMPLE_RATE), int(b * SAMPLE_RATE)) for a, b in stretches]

    def facts(self) -> dict[str, Any]:
        plan = self.plan
        crying = [item for item in plan.placed if item.kind is Kind.CRY]
        return {
            "kind": "stream",
            "corpus": self.source,
            "corpora": list(self.corpora),
            "sounds": plan.sounds,
            "sound_hours": round(plan.sound_hours, 4),
            "sounds_heard_again": plan.reused,
            "crying_groups": len({item.group for item in crying}),
            "cries": len(crying),
            "options": asdict(plan.options),
            "unusable": dict(self.unusable),
        }

    def _excerpt(self, start: int, stop: int) -> Samples | None:
        inside = (item for item in self.plan.placed if item.start < stop and item.stop > start)
        if any(item.private for item in inside):
            return None
        return excerpt(self.plan, start, stop)


@dataclass(frozen=True)
class RecordedNight:
    """A recording of any length, rate and format.

    spans : its labels; None if there are none
    private : True for recordings from a home unless their owner decides otherwise
    """

    path: Path
    spans: Sequence[Span] | None = None
    private: bool = True
    episode_snr_db: Sequence[float] = ()
    origins: Sequence[Origin] = ()
    seed: None = None

    @property
    def title(self) -> str:
        return f"Recording {self.path.name}"

    @property
    def source(self) -> str:
        return self.path.name

    @property
    def labelled(self) -> bool:
        return self.spans is not None

    @cached_property
    def seconds(self) -> float:
        """Measured, since a header may be wrong.

        Raises
        ------
        AudioError
            if the file cannot be read.
        """
        return recording_seconds(self.path)

    @cached_property
    def episodes(self) -> tuple[Episode, ...]:
        """Episodes from the cry labels.

        Raises
        ------
        CorpusError
            if one starts after the recording's end.
        """
        found = labelled_episodes(self.spans or (), group=self.path.name)
        for episode in found:
            if episode.start >= self.seconds:
                raise CorpusError(
                    f"{self.path}: a cry label starts at {episode.start:.1f} s, but the recording "
                    f"ends at {self.seconds:.1f} s; give the labels of this recording"
                )
        return found

    @property
    def sound_events(self) -> Sequence[SoundEvent]:
        crying = [SoundEvent(e.start, e.end, "cry", cry=True) for e in self.episodes]
        other = [
            SoundEvent(span.start, span.end, span.label)
            for span in self.spans or ()
            if not any(e.start <= span.start and span.end <= e.end for e in self.episodes)
        ]
        return sorted([*crying, *other], key=lambda event: event.start)

    def blocks(self) -> Iterator[Samples]:
        return AudioReader(self.path).blocks()

    def excerpts(self, stretches: Sequence[tuple[float, float]]) -> list[Samples | None]:
        if self.private:
            return [None] * len(stretches)
        found: list[list[Samples]] = [[] for _ in stretches]
        start = 0
        for block in self.blocks():
            for parts, (first, last) in zip(found, stretches, strict=True):
                begin, end = int(first * SAMPLE_RATE) - start, int(last * SAMPLE_RATE) - start
                if begin < len(block) and end > 0:
                    parts.append(block[max(0, begin) : end])
            start += len(block)
        none = np.empty(0, dtype=np.float32)
        return [np.concatenate([none, *parts]) for parts in found]

    def facts(self) -> dict[str, Any]:
        return {"kind": "recording", "file": self.path.name, "labels": self.labelled}


def read_split(
    path: str | Path,
    *,
    where: Where | None = None,
    private: bool = False,
    say: Say = lambda line: None,
) -> list[Clip]:
    """List the clips of a corpus for a stream, which must be of one split.

    `say` is told what is left out, as by `read_corpus`.

    Raises
    ------
    CorpusError
        as `read_corpus`, or if the selected rows have several values in the column `split`, or
        `where` is given and there is no manifest.
    """
    path = Path(path)
    manifest = path / "clips.csv" if path.is_dir() else path
    clips = read_corpus(path, where=where, private=private or None, say=say)
    splits = _splits(manifest, {clip.id for clip in clips}) if manifest.is_file() else set()
    if len(splits) > 1:
        raise CorpusError(
            f"{manifest}: the selected rows are of several splits "
            f"({', '.join(sorted(splits))}); choose one with --where split=NAME"
        )
    return clips


def clip_nights(
    corpora: Mapping[str, Sequence[Clip]],
    *,
    options: StreamOptions,
    seeds: Sequence[int],
    bed: Sequence[Clip] = (),
    progress: Progress = silent,
) -> list[ClipNight]:
    """Plan nights of the clips of one split, one for each seed.

    Parameters
    ----------
    corpora : clips by the corpus's name for display. Cries make up the episodes, others the sounds
        in between; unlabelled ones are left out
    bed : clips for the background; they are not used as sounds

    Raises
    ------
    CorpusError
        if there are no usable clips, or one of the bed is labelled cry.
    """
    corpora = _distinct(corpora)
    clips = [clip for of_corpus in corpora.values() for clip in of_corpus]
    for clip in bed:
        if clip.is_cry:
            raise CorpusError(f"{clip.id}: is labelled cry, but was given as background")
    background = {clip.path for clip in bed}
    cries = [clip for clip in clips if clip.is_cry and options.episodes]
    sounds = [clip for clip in clips if clip.label is Label.NONCRY and clip.path not in background]
    measured, unusable = measure_clips([*cries, *sounds, *bed], progress=progress)
    ids = {name: frozenset(clip.id for clip in found) for name, found in corpora.items()}
    return [
        ClipNight(
            compose(
                sounds=sounds, cries=cries, bed=bed, measured=measured, options=options, seed=seed
            ),
            ids,
            unusable,
        )
        for seed in seeds
    ]


def _distinct(corpora: Mapping[str, Sequence[Clip]]) -> Mapping[str, Sequence[Clip]]:
    """The clips with their corpus in their id where corpora have ids in common."""
    if not duplicate_ids(clip for clips in corpora.values() for clip in clips):
        return corpora
    return {
        name: [replace(clip, id=f"{name}/{clip.id}") for clip in clips]
        for name, clips in corpora.items()
    }


def _splits(manifest: Path, ids: set[str]) -> set[str]:
    with manifest.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if "split" not in (rows.fieldnames or ()):
            return set()
        return {row["split"] for row in rows if row["path"] in ids}
