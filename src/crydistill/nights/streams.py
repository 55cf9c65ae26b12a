"""Compose continuous audio from clips: an ambience bed, bouts of crying and of other sounds.

A stream is first planned (`compose`: pure, from lengths, levels and a seed) and then rendered
(`render`: block by block, in memory that does not grow with its length). The plan gives every
position to the sample. Only the bed overlaps other sounds, so that each alert has a known cause.
Crying and other sounds are composed alike (`bouts`), so that only the sound tells them apart.

All clips of a stream come from one split, so that no group crosses a split.
"""

import csv
import hashlib
import io
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from pathlib import Path

import numpy as np
from scipy.signal import oaconvolve

from crydistill import atomic
from crydistill.audio.augment import STRETCH_SAMPLES, clipped, power_level, stretch_powers
from crydistill.audio.files import AudioReader
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.corpora.clip import Clip
from crydistill.errors import AudioError, CorpusError
from crydistill.experiment.streams import StreamOptions
from crydistill.nights.alarms import Episode
from crydistill.nights.bouts import Bout, Measured, Piece, draw_bouts, endless
from crydistill.nights.spans import CRY, Span
from crydistill.progress import Progress, silent
from crydistill.seeds import generator
from crydistill.synthesis.nursery import room_response
from crydistill.synthesis.nursery.synthesis import coloured_noise

BLOCK_SECONDS = 30.0
TONE_SECONDS = 16.0
FADE_SECONDS = 1.0
"""Equal-power crossfade between pieces of the bed."""

EDGE_SECONDS = 0.02
"""Fade at both ends of every other clip, whether it was shortened or not."""


PLAN_COLUMNS = (
    "start_s", "end_s", "label", "kind", "clip", "group", "source", "offset_s",
    "gain_db", "snr_db", "room", "bout", "episode", "use",
)  # fmt: skip

_TONE_SLOPE_DB = 4.5
_TONE_DBFS = -30.0


_LEAD_SECONDS = 0.5
"""Background before the first bout."""


class Kind(StrEnum):
    """Role of a clip in a stream."""

    BED = "bed"
    SOUND = "sound"
    CRY = "cry"


@dataclass(frozen=True)
class Placed:
    """A clip placed in a stream.

    start, stop : samples of the stream
    clip, path, group, category, source : of the clip; path is None for the synthetic room tone
    offset : sample of the clip at which it begins to play
    gain_db : applied to the clip
    snr_db : active level over the bed; None for the bed
    room : number of its room; None: dry
    bout : number of the bout it belongs to; None for the bed
    episode : number of the episode it belongs to; None if it does not cry
    use : how often these samples of the clip have been used in this stream before
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
    source: str = ""
    offset: int = 0
    snr_db: float | None = None
    room: int | None = None
    bout: int | None = None
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
        """Number of sounds, repetitions included; the pieces of a long one are one."""
        return len({(item.clip, item.use) for item in self._sounds})

    @property
    def sound_hours(self) -> float:
        """Hours of sounds; the rest is bed and crying."""
        return sum(item.stop - item.start for item in self._sounds) / SAMPLE_RATE / 3600

    @property
    def reused(self) -> int:
        """Number of repeated sounds; their false alarms are no new evidence."""
        return len({(item.clip, item.use) for item in self._sounds if item.use})

    @property
    def private(self) -> bool:
        """Whether any of its clips is private."""
        return any(item.private for item in self.placed)

    @property
    def _sounds(self) -> list[Placed]:
        return [item for item in self.placed if item.kind is Kind.SOUND]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides how the stream sounds, but the clips' audio."""
        placed = [
            (item.start, item.stop, item.clip, item.offset, item.gain_db, item.room)
            for item in self.placed
        ]
        rooms = self.options.reverberation_seconds
        text = json.dumps([self.seed, self.samples, self.microphone_db, rooms, placed])
        return hashlib.sha256(text.encode()).hexdigest()

    def spans(self) -> list[Span]:
        """The episodes as labels."""
        return [Span(episode.start, episode.end, CRY) for episode in self.episodes]


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
    sounds : clips to play as other sounds, each once unless `options.hours` asks for more
    cries : clips to play as episodes of crying; needed for episodes
    bed : ambience without a cry, concatenated and repeated; a synthetic room tone if empty
    measured : lengths and levels; clips that are not in it are left out

    The caller decides what counts as a cry: labels are not looked at.

    Raises
    ------
    CorpusError
        if there are no usable clips.
    """
    usable, crying = ([clip for clip in clips if clip.id in measured] for clips in (sounds, cries))
    if options.episodes and not crying:
        raise CorpusError("a stream with episodes of crying needs clips labelled cry; give some")
    if not usable and not options.episodes:
        raise CorpusError("a stream needs sounds or episodes; the split has no usable clips")
    if options.hours is not None and not usable:
        raise CorpusError("a stream of a given length needs clips without a cry to fill it")
    rng = generator(seed, "stream")
    bed_dbfs = float(rng.uniform(*options.bed_dbfs))
    bouts = draw_bouts(usable, crying, measured, options, rng)
    placed, length = _lay_out(bouts, measured, bed_dbfs)
    ambience = [clip for clip in bed if clip.id in measured]
    return StreamPlan(
        seed=seed,
        options=options,
        samples=length,
        microphone_db=round(float(rng.uniform(*options.microphone_db)), 2),
        placed=tuple(
            sorted(
                [*_bed(ambience, measured, length, bed_dbfs, rng), *placed],
                key=lambda item: item.start,
            )
        ),
        episodes=tuple(_episodes(placed)),
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
        for item, player in playing:
            if item.stop <= stop:
                player.close()
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
            with closing(_Player(item, plan)) as player:
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
        names = (label, item.kind.value, item.clip, item.group, item.source)
        numbers = (item.gain_db, item.snr_db, item.room, item.bout, item.episode, item.use)
        writer.writerow((*times, *names, f"{item.offset / SAMPLE_RATE:.6f}", *numbers))
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

    def close(self) -> None:
        """Close the clip's file, where a signal can be handled."""
        self._blocks.close()


def _through_microphone(mix: Samples, plan: StreamPlan) -> Samples:
    return clipped(mix * np.float32(10 ** (plan.microphone_db / 20)))


def _measure(path: Path) -> Measured:
    reader = AudioReader(path)
    powers, rest = [], np.empty(0, dtype=np.float32)
    for block in reader.blocks():
        together = np.concatenate([rest, block])
        whole = len(together) // STRETCH_SAMPLES * STRETCH_SAMPLES
        powers.append(stretch_powers(together[:whole]))
        rest = together[whole:]
    if "silent" in reader.notes:
        raise AudioError(f"{path}: silent, so its level cannot be adjusted; leave it out")
    found = np.concatenate(powers)
    return Measured(reader.samples, power_level(found), found.astype(np.float32))


def _lay_out(
    bouts: Sequence[Bout], measured: Mapping[str, Measured], bed_dbfs: float
) -> tuple[list[Placed], int]:
    """Place bouts one after the other; the clips, and the sample at which the stream ends."""
    placed: list[Placed] = []
    now, episode = int(_LEAD_SECONDS * SAMPLE_RATE), 0
    for number, bout in enumerate(bouts):
        end = now + bout.samples
        for piece, pause in zip(bout.pieces, (*bout.pauses, 0), strict=True):
            level = measured[piece.clip.id].level(piece.start, piece.stop)
            placed.append(
                replace(
                    _placed(piece, now, Kind.CRY if bout.cry else Kind.SOUND),
                    gain_db=round(bed_dbfs + bout.snr_db - level, 2),
                    snr_db=bout.snr_db,
                    room=bout.room,
                    bout=number,
                    episode=episode if bout.cry else None,
                )
            )
            now += piece.samples + pause
        now = end
        episode += bout.cry
    return placed, now


def _placed(piece: Piece, start: int, kind: Kind) -> Placed:
    clip = piece.clip
    return Placed(
        start,
        start + piece.samples,
        kind,
        clip=clip.id,
        path=clip.path,
        group=clip.group,
        category=clip.category,
        gain_db=0.0,
        source=clip.source,
        offset=piece.start,
        use=piece.use,
        private=clip.private,
    )


def _episodes(placed: Sequence[Placed]) -> Iterator[Episode]:
    crying = (item for item in placed if item.episode is not None)
    for _, group in groupby(crying, key=lambda item: item.episode):
        items = list(group)
        first, last = items[0], items[-1]
        yield Episode(first.start / SAMPLE_RATE, last.stop / SAMPLE_RATE, first.group)


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
    queue = endless(long_enough, rng)
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
            source=clip.source if clip else "",
            private=clip.private if clip else False,
        )
        start += piece.samples - fade
        number += 1


def _played(item: Placed, plan: StreamPlan) -> Generator[Samples]:
    # Not a method: a generator holding its player is a reference cycle, which frees samples late.
    response = None if item.room is None else _response(plan, item.room)
    tail = np.zeros(0 if response is None else len(response) - 1, dtype=np.float32)
    gain = np.float32(10 ** (item.gain_db / 20))
    length, fade = item.stop - item.start, FADE_SECONDS if item.kind is Kind.BED else EDGE_SECONDS
    position = 0
    with closing(_sounding(item, plan.seed)) as sounding:
        for block in sounding:
            sound = block * gain * _fade(position, len(block), length, fade)
            if response is not None:
                spread = oaconvolve(sound, response).astype(np.float32)
                spread[: len(tail)] += tail
                sound, tail = spread[: len(sound)], spread[len(sound) :]
            position += len(sound)
            yield sound


def _sounding(item: Placed, seed: int) -> Generator[Samples]:
    if item.path is not None:
        with closing(AudioReader(item.path).blocks()) as blocks:
            yield from _between(blocks, item.offset, item.stop - item.start)
        return
    noise = coloured_noise(generator(seed, item.clip), item.stop - item.start, _TONE_SLOPE_DB)
    yield (noise * 10 ** (_TONE_DBFS / 20)).astype(np.float32)


def _between(blocks: Iterator[Samples], offset: int, count: int) -> Iterator[Samples]:
    """Of a clip's blocks the `count` samples from `offset`; no more is read than needed."""
    position = 0
    for block in blocks:
        part = block[max(0, offset - position) : offset + count - position]
        position += len(block)
        if len(part):
            yield part
        if position >= offset + count:
            return


def _response(plan: StreamPlan, room: int) -> Samples:
    rng = generator(plan.seed, "room", str(room))
    seconds = float(rng.uniform(*plan.options.reverberation_seconds))
    response = room_response(rng, reverberation=seconds, direct_db=float(rng.uniform(-3, 6)))
    return response.astype(np.float32)


def _fade(position: int, count: int, length: int, seconds: float) -> Samples:
    """Gain of samples of a piece that fades in and out, as for an equal-power crossfade."""
    index = np.arange(position, position + count)
    edge = np.minimum(index + 0.5, length - index - 0.5) / (seconds * SAMPLE_RATE)
    return np.asarray(np.sin(np.pi / 2 * np.clip(edge, 0, 1)), dtype=np.float32)
