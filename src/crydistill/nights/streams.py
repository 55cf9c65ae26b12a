"""Compose continuous audio from clips: an ambience bed, sounds with gaps, episodes of crying.

A stream is first planned (`compose`: pure, from lengths, levels and a seed) and then rendered
(`render`: block by block, in memory that does not grow with its length). The plan gives every
position to the sample. Only the bed overlaps other sounds, so that each alert has a known cause.

All clips of a stream come from one split, so that no group crosses a split.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from scipy.signal import oaconvolve

from crydistill import atomic
from crydistill.audio.augment import clipped, power_level, stretch_powers
from crydistill.audio.files import AudioReader
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.corpora.clip import Clip
from crydistill.errors import AudioError, CorpusError
from crydistill.experiment.streams import Range, StreamOptions
from crydistill.nights.alarms import GRACE_SECONDS, Episode
from crydistill.nights.spans import CRY, Span
from crydistill.progress import Progress, silent
from crydistill.seeds import generator
from crydistill.synthesis.nursery import room_response
from crydistill.synthesis.nursery.synthesis import coloured_noise

BLOCK_SECONDS = 30.0
TONE_SECONDS = 16.0
FADE_SECONDS = 1.0
"""Equal-power crossfade between pieces of the bed."""


PLAN_COLUMNS = (
    "start_s", "end_s", "label", "kind", "clip", "group",
    "gain_db", "snr_db", "room", "episode", "use",
)  # fmt: skip

_TONE_SLOPE_DB = 4.5
_TONE_DBFS = -30.0
_MIN_GAP_SECONDS = 0.5


class Kind(StrEnum):
    """Role of a clip in a stream."""

    BED = "bed"
    SOUND = "sound"
    CRY = "cry"


@dataclass(frozen=True)
class Measured:
    """Length in samples and active level in dBFS of a clip."""

    samples: int
    dbfs: float


@dataclass(frozen=True)
class Placed:
    """A clip placed in a stream.

    start, stop : samples of the stream
    clip, path, group, category : of the clip; path is None for the synthetic room tone
    gain_db : applied to the clip
    snr_db : of a cry, over the bed
    room : number of its room; None: dry
    episode : number of the episode it belongs to
    use : how often the clip has been used in this stream before
    private : nothing derived from the clip may be published
    """

    start: int
    stop: int
    kind: Kind
    clip: str
    path: Path | None
    group: str
    category: str
    gain_db: float
    snr_db: float | None = None
    room: int | None = None
    episode: int | None = None
    use: int = 0
    private: bool = False


@dataclass(frozen=True)
class StreamPlan:
    """The clips placed in a stream, and all else needed to render it.

    samples : length
    placed : ordered by their starts
    episodes : from the start of the first cry to the end of the last, pauses included
    """

    seed: int
    options: StreamOptions
    samples: int
    microphone_db: float
    placed: tuple[Placed, ...]
    episodes: tuple[Episode, ...]

    @property
    def hours(self) -> float:
        return self.samples / SAMPLE_RATE / 3600

    @property
    def sounds(self) -> int:
        """Number of sounds, repetitions included."""
        return len(self._sounds)

    @property
    def sound_hours(self) -> float:
        """Hours of sounds; the rest is bed and crying."""
        return sum(item.stop - item.start for item in self._sounds) / SAMPLE_RATE / 3600

    @property
    def reused(self) -> int:
        """Number of repeated sounds; their false alarms are no new evidence."""
        return sum(item.use > 0 for item in self._sounds)

    @property
    def private(self) -> bool:
        """Whether any of its clips is private."""
        return any(item.private for item in self.placed)

    @property
    def _sounds(self) -> list[Placed]:
        return [item for item in self.placed if item.kind is Kind.SOUND]

    def spans(self) -> list[Span]:
        """The episodes as labels."""
        return [Span(episode.start, episode.end, CRY) for episode in self.episodes]


@dataclass
class _Timeline:
    """A stream being composed; `now` is the next free sample."""

    measured: Mapping[str, Measured]
    options: StreamOptions
    rng: np.random.Generator
    bed_dbfs: float
    now: int = 0
    placed: list[Placed] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    uses: dict[str, int] = field(default_factory=dict)

    def gap(self) -> None:
        """Leave a gap with only the bed."""
        seconds = _MIN_GAP_SECONDS + self.rng.exponential(self.options.mean_gap_seconds)
        self.now += int(seconds * SAMPLE_RATE)

    def sound(self, clip: Clip) -> None:
        """Place a sound and a gap."""
        levels = self.options.sound_dbfs
        gain = self._drawn(levels) - self.measured[clip.id].dbfs if levels else 0.0
        self._place(clip, Kind.SOUND, gain, room=self._room())
        self.gap()

    def episode(self, clips: Sequence[Clip]) -> None:
        """Place cries of one group with pauses, and a gap for the alert to end in."""
        start, number, snr, room = self.now, len(self.episodes), self._snr(), self._room()
        end = start
        for clip in clips:
            gain = self.bed_dbfs + snr - self.measured[clip.id].dbfs
            self._place(clip, Kind.CRY, gain, snr=snr, room=room, episode=number)
            end = self.now
            self.now += int(self._drawn(self.options.pause_seconds) * SAMPLE_RATE)
        self.episodes.append(Episode(start / SAMPLE_RATE, end / SAMPLE_RATE, clips[0].group))
        self.now = end + int((GRACE_SECONDS + _MIN_GAP_SECONDS) * SAMPLE_RATE)
        self.gap()

    def _place(
        self,
        clip: Clip,
        kind: Kind,
        gain: float,
        *,
        snr: float | None = None,
        room: int | None = None,
        episode: int | None = None,
    ) -> None:
        stop = self.now + self.measured[clip.id].samples
        use = self.uses.get(clip.id, 0)
        self.uses[clip.id] = use + 1
        names = (clip.id, clip.path, clip.group, clip.category)
        self.placed.append(
            Placed(
                self.now, stop, kind, *names, round(gain, 2), snr, room, episode, use, clip.private
            )
        )
        self.now = stop

    def _snr(self) -> float:
        return round(self._drawn(self.options.snr_db), 2)

    def _room(self) -> int | None:
        rooms = self.options.rooms
        if rooms == 0 or self.rng.random() < self.options.dry_share:
            return None
        return int(self.rng.integers(rooms))

    def _drawn(self, ends: Range) -> float:
        return float(self.rng.uniform(*ends))


def measure_clips(
    clips: Sequence[Clip], *, progress: Progress = silent
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measure lengths and levels of clips, by id; and reasons for unreadable or silent ones."""
    measured: dict[str, Measured] = {}
    unusable: dict[str, str] = {}
    with progress("measuring levels", len(clips), "clips") as advance:
        for clip in clips:
            try:
                measured[clip.id] = _measure(clip.path)
            except AudioError as error:
                unusable[clip.id] = str(error)
            advance(1)
    return measured, unusable


def compose(
    *,
    sounds: Sequence[Clip],
    cries: Sequence[Clip],
    bed: Sequence[Clip],
    measured: Mapping[str, Measured],
    options: StreamOptions,
    seed: int,
) -> StreamPlan:
    """Plan a stream; the same arguments give the same plan.

    Parameters
    ----------
    sounds : clips without a cry
    cries : clips with one; needed for episodes
    bed : ambience without a cry, concatenated and repeated; a synthetic room tone if empty
    measured : lengths and levels; clips that are not in it are left out

    Raises
    ------
    CorpusError
        if a sound, bed or cry clip has the wrong label, or there are no usable clips.
    """
    _check_labels(sounds, cries, bed)
    usable, crying = ([clip for clip in clips if clip.id in measured] for clips in (sounds, cries))
    if options.episodes and not crying:
        raise CorpusError("a stream with episodes of crying needs clips labelled cry; give some")
    if not usable and not options.episodes:
        raise CorpusError("a stream needs sounds or episodes; the split has no usable clips")
    if options.hours is not None and not usable:
        raise CorpusError("a stream of a given length needs clips without a cry to fill it")
    rng = generator(seed, "stream")
    timeline = _Timeline(measured, options, rng, float(rng.uniform(*options.bed_dbfs)))
    timeline.gap()
    episodes = list(_episodes(crying, options, rng))
    _lay_out(timeline, usable, episodes)
    length = _length(timeline, options)
    ambience = [clip for clip in bed if clip.id in measured]
    bed_pieces = _bed(ambience, measured, length, timeline.bed_dbfs, rng)
    placed = [*bed_pieces, *(item for item in timeline.placed if item.stop <= length)]
    return StreamPlan(
        seed=seed,
        options=options,
        samples=length,
        microphone_db=round(float(rng.uniform(*options.microphone_db)), 2),
        placed=tuple(sorted(placed, key=lambda item: item.start)),
        episodes=tuple(timeline.episodes),
    )


def render(plan: StreamPlan, *, block_seconds: float = BLOCK_SECONDS) -> Iterator[Samples]:
    """Render a stream in consecutive blocks of 16 kHz mono; the block size changes no sample.

    Raises
    ------
    AudioError
        if a clip can no longer be read.
    """
    size = max(1, int(block_seconds * SAMPLE_RATE))
    waiting = list(reversed(plan.placed))
    playing: list[tuple[Placed, _Player]] = []
    for start in range(0, plan.samples, size):
        stop = min(start + size, plan.samples)
        mix = np.zeros(stop - start, dtype=np.float32)
        while waiting and waiting[-1].start < stop:
            item = waiting.pop()
            playing.append((item, _Player(item, plan)))
        for item, player in playing:
            first, last = max(item.start, start), min(item.stop, stop)
            mix[first - start : last - start] += player.take(last - first)
        playing = [(item, player) for item, player in playing if item.stop > stop]
        yield _through_microphone(mix, plan)


def excerpt(plan: StreamPlan, start: int, stop: int) -> Samples:
    """Samples `[start, stop)` of a stream, bit-identical to those of `render`.

    Raises
    ------
    AudioError
        if a clip can no longer be read.
    """
    start, stop = max(0, start), min(stop, plan.samples)
    mix = np.zeros(max(0, stop - start), dtype=np.float32)
    for item in plan.placed:
        first, last = max(item.start, start), min(item.stop, stop)
        if first < last:
            player = _Player(item, plan)
            player.take(first - item.start)
            mix[first - start : last - start] += player.take(last - first)
    return _through_microphone(mix, plan)


def write_plan(plan: StreamPlan, path: str | Path) -> None:
    """Write a plan as a CSV, which is also a label file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PLAN_COLUMNS)
    for item in plan.placed:
        label = CRY if item.kind is Kind.CRY else item.category or item.kind.value
        times = (f"{item.start / SAMPLE_RATE:.6f}", f"{item.stop / SAMPLE_RATE:.6f}")
        names = (label, item.kind.value, item.clip, item.group)
        writer.writerow(
            (*times, *names, item.gain_db, item.snr_db, item.room, item.episode, item.use)
        )
    atomic.write_text(path, text.getvalue())


class _Player:
    """A clip as rendered in a stream, taken piece by piece.

    The clip is processed in the blocks it is read in, not those it is taken in, so the samples do
    not depend on the size of the latter.
    """

    def __init__(self, item: Placed, plan: StreamPlan) -> None:
        self._blocks = _played(item, plan)
        self._rest = np.empty(0, dtype=np.float32)

    def take(self, count: int) -> Samples:
        """The next samples, `[count]`; silence after the clip's end."""
        parts, found = [self._rest], len(self._rest)
        while found < count and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            found += len(block)
        together = np.concatenate(parts)
        self._rest = together[count:].copy()
        taken = together[:count]
        return np.pad(taken, (0, count - len(taken)))


def _through_microphone(mix: Samples, plan: StreamPlan) -> Samples:
    return clipped(mix * np.float32(10 ** (plan.microphone_db / 20)))


def _measure(path: Path) -> Measured:
    reader = AudioReader(path)
    powers = np.concatenate([stretch_powers(block) for block in reader.blocks()])
    if "silent" in reader.notes:
        raise AudioError(f"{path}: silent, so its level cannot be adjusted; leave it out")
    return Measured(reader.samples, power_level(powers))


def _check_labels(sounds: Sequence[Clip], cries: Sequence[Clip], bed: Sequence[Clip]) -> None:
    for clip in (*sounds, *bed):
        if clip.is_cry:
            raise CorpusError(f"{clip.id}: is labelled cry, but was given as another sound")
    for clip in cries:
        if not clip.is_cry:
            raise CorpusError(f"{clip.id}: is not labelled cry, but was given as a cry")


def _episodes(
    cries: Sequence[Clip], options: StreamOptions, rng: np.random.Generator
) -> Iterator[list[Clip]]:
    """Draw the clips of each episode, using all groups and all their clips before repeating any."""
    groups: dict[str, list[Clip]] = {}
    for clip in cries:
        groups.setdefault(clip.group, []).append(clip)
    order = [str(name) for name in rng.permutation(sorted(groups))]
    queues = {name: _endless(groups[name], rng) for name in order}
    for number in range(options.episodes):
        queue = queues[order[number % len(order)]]
        yield [next(queue) for _ in range(int(rng.integers(*options.cries, endpoint=True)))]


def _endless(clips: Sequence[Clip], rng: np.random.Generator) -> Iterator[Clip]:
    while clips:
        for index in rng.permutation(len(clips)):
            yield clips[index]


def _lay_out(timeline: _Timeline, sounds: Sequence[Clip], episodes: Sequence[list[Clip]]) -> None:
    """Place sounds and, evenly between them, episodes."""
    hours, placed = timeline.options.hours, 0
    queue = _endless(sounds, timeline.rng)

    def share() -> float:
        """Share of the stream that is composed."""
        if hours is None:
            return placed / len(sounds) if sounds else 1.0
        return timeline.now / (hours * 3600 * SAMPLE_RATE)

    while share() < 1:
        if len(timeline.episodes) < int(share() * (len(episodes) + 1)):
            timeline.episode(episodes[len(timeline.episodes)])
            continue
        timeline.sound(next(queue))
        placed += 1
    for clips in episodes[len(timeline.episodes) :]:
        timeline.episode(clips)


def _length(timeline: _Timeline, options: StreamOptions) -> int:
    """Samples of the stream: the requested hours, or more if episodes need them."""
    if options.hours is None:
        return timeline.now
    wanted = int(options.hours * 3600 * SAMPLE_RATE)
    grace = int((GRACE_SECONDS + _MIN_GAP_SECONDS) * SAMPLE_RATE)
    ends = [int(episode.end * SAMPLE_RATE) + grace for episode in timeline.episodes]
    return max([wanted, *ends])


def _bed(
    clips: Sequence[Clip],
    measured: Mapping[str, Measured],
    length: int,
    dbfs: float,
    rng: np.random.Generator,
) -> Iterator[Placed]:
    """Ambience from start to end, each piece crossfaded with the one before."""
    fade = int(FADE_SECONDS * SAMPLE_RATE)
    long_enough = [clip for clip in clips if measured[clip.id].samples > 2 * fade]
    queue = _endless(long_enough, rng)
    tone = Measured(int(TONE_SECONDS * SAMPLE_RATE), _TONE_DBFS)
    start, number = 0, 0
    while start < length:
        clip = next(queue, None)
        piece = measured[clip.id] if clip else tone
        yield Placed(
            start,
            start + piece.samples,
            Kind.BED,
            clip=clip.id if clip else f"room tone {number}",
            path=clip.path if clip else None,
            group=clip.group if clip else "",
            category=clip.category if clip else "room tone",
            gain_db=round(dbfs - piece.dbfs, 2),
            private=clip.private if clip else False,
        )
        start += piece.samples - fade
        number += 1


def _played(item: Placed, plan: StreamPlan) -> Iterator[Samples]:
    # Not a method: a generator holding its player is a reference cycle, which frees samples late.
    response = None if item.room is None else _response(plan, item.room)
    tail = np.zeros(0 if response is None else len(response) - 1, dtype=np.float32)
    gain = np.float32(10 ** (item.gain_db / 20))
    position = 0
    for block in _sounding(item, plan.seed):
        sound = block * gain
        if response is not None:
            spread = oaconvolve(sound, response).astype(np.float32)
            spread[: len(tail)] += tail
            sound, tail = spread[: len(sound)], spread[len(sound) :]
        if item.kind is Kind.BED:
            sound = sound * _fade(position, len(sound), item.stop - item.start)
        position += len(sound)
        yield sound


def _sounding(item: Placed, seed: int) -> Iterator[Samples]:
    if item.path is not None:
        yield from AudioReader(item.path).blocks()
        return
    noise = coloured_noise(generator(seed, item.clip), item.stop - item.start, _TONE_SLOPE_DB)
    yield (noise * 10 ** (_TONE_DBFS / 20)).astype(np.float32)


def _response(plan: StreamPlan, room: int) -> Samples:
    rng = generator(plan.seed, "room", str(room))
    seconds = float(rng.uniform(*plan.options.reverberation_seconds))
    response = room_response(rng, reverberation=seconds, direct_db=float(rng.uniform(-3, 6)))
    return response.astype(np.float32)


def _fade(position: int, count: int, length: int) -> Samples:
    """Gain of samples of a piece of the bed, for an equal-power crossfade."""
    index = np.arange(position, position + count)
    edge = np.minimum(index + 0.5, length - index - 0.5) / (FADE_SECONDS * SAMPLE_RATE)
    return np.asarray(np.sin(np.pi / 2 * np.clip(edge, 0, 1)), dtype=np.float32)
