"""Draw the bouts of a stream, crying and other sounds alike: only the sound tells them apart.

A bout is a few clips of one group, or of one kind where the group has too few clips, with pauses,
at one level and in one room, and a gap after it. Number of clips, pauses, level, room, gap and
place in the stream are drawn from the same distributions whether it cries or not.

Clips of crying and of other sounds are not equally long: if they played whole, "seven seconds"
would mean a cry. So each bout has a partner of the other kind with as many clips, and of both only
as much plays, clip by clip, as the shorter one has. The durations of crying bouts, in their order,
then have the same distribution as those of other bouts, whatever the clips. Of a clip that is
shortened the loudest stretch plays, since the rest of a cry clip is often silence. Sounds much
longer than the median cry (minutes of rain) are divided before, and played piece by piece.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise, zip_longest

import numpy as np
import numpy.typing as npt

from crydistill.audio.augment import STRETCH_SAMPLES, power_level
from crydistill.audio.mel import SAMPLE_RATE
from crydistill.corpora.clip import Clip
from crydistill.experiment.streams import StreamOptions

COMPOSITION_VERSION = 1
"""Incremented with every change of what is composed."""


@dataclass(frozen=True)
class Measured:
    """Length in samples and active level in dBFS of a clip.

    powers : mean power of each 50 ms, `[stretches]`; without them the beginning of a clip counts
        as its loudest part
    """

    samples: int
    dbfs: float
    powers: npt.NDArray[np.float32] = field(
        default_factory=lambda: np.empty(0, np.float32), repr=False, compare=False
    )

    def level(self, start: int, stop: int) -> float:
        """Active level in dBFS of the samples `[start, stop)`."""
        powers = self.powers[start // STRETCH_SAMPLES : -(-stop // STRETCH_SAMPLES)]
        if powers.max(initial=0) <= 0:
            return self.dbfs
        return power_level(powers.astype(np.float64))

    def loudest(self, start: int, stop: int, length: int) -> int:
        """Where in `[start, stop)` the `length` samples with the most energy begin."""
        first = -(-start // STRETCH_SAMPLES)
        count = max(1, length // STRETCH_SAMPLES)
        starts = (stop - length) // STRETCH_SAMPLES - first + 1
        sums = np.append(0.0, np.cumsum(self.powers[first:], dtype=np.float64))
        energy = sums[count:] - sums[:-count]
        if starts < 1 or len(energy) == 0:
            return start
        return (first + int(energy[:starts].argmax())) * STRETCH_SAMPLES


@dataclass(frozen=True)
class Piece:
    """The samples `[start, stop)` of a clip; `use` counts how often they have played before."""

    clip: Clip
    start: int
    stop: int
    use: int = 0

    @property
    def samples(self) -> int:
        return self.stop - self.start

    def shortened(self, length: int, measured: Measured) -> "Piece":
        """Its loudest `length` samples; the whole piece if it has no more."""
        if length >= self.samples:
            return self
        start = measured.loudest(self.start, self.stop, length)
        return replace(self, start=start, stop=start + length)


Pieces = tuple[Piece, ...]


@dataclass(frozen=True)
class Bout:
    """Clips that follow each other, crying or not.

    pauses : samples after each piece but the last
    gap : samples after the bout in which only the bed sounds
    room : number of its room; None: dry
    """

    pieces: Pieces
    cry: bool
    pauses: tuple[int, ...]
    gap: int
    snr_db: float
    room: int | None

    @property
    def samples(self) -> int:
        """Length with pauses and gap."""
        return sum(piece.samples for piece in self.pieces) + sum(self.pauses) + self.gap


def draw_bouts(
    sounds: Sequence[Clip],
    cries: Sequence[Clip],
    measured: Mapping[str, Measured],
    options: StreamOptions,
    rng: np.random.Generator,
) -> list[Bout]:
    """Draw the bouts of a stream, in their order in it.

    Parameters
    ----------
    sounds : clips that do not cry; each is used exactly once before any is used again
    cries : clips that do; so are their groups
    measured : of all these clips
    """
    crying = cries if options.episodes else ()
    passes = _passes(sounds, _longest_samples(crying, measured), measured, options, rng)
    first = next(passes)
    models = _models(first, options.episodes, rng)
    counts = [len(model) for model in models]
    counts = counts or [_count(options, rng) for _ in range(options.episodes)]
    episodes = _episodes(crying, counts, measured, rng)
    bouts = [
        _bout(_shortened(episode, model, measured), True, options, rng)
        for episode, model in zip_longest(episodes, models)
    ]
    wanted = None if options.hours is None else options.hours * 3600 * SAMPLE_RATE
    filled = sum(bout.samples for bout in bouts)
    for pieces in first if wanted is None else chain(first, chain.from_iterable(passes)):
        if wanted is not None and filled >= wanted:
            break
        partner = _partner(episodes, len(pieces), rng)
        bouts.append(_bout(_shortened(pieces, partner, measured), False, options, rng))
        filled += bouts[-1].samples
    return [bouts[index] for index in rng.permutation(len(bouts))]


def _longest_samples(cries: Sequence[Clip], measured: Mapping[str, Measured]) -> int | None:
    """Sounds longer than the median cry are divided; None without cries: nothing is."""
    lengths = [measured[clip.id].samples for clip in cries]
    return int(np.median(lengths)) if lengths else None


def _passes(
    sounds: Sequence[Clip],
    longest: int | None,
    measured: Mapping[str, Measured],
    options: StreamOptions,
    rng: np.random.Generator,
) -> Iterator[list[Pieces]]:
    """Without end: all sounds, each once, as bouts in random order."""
    use = 0
    while True:
        of_kind: dict[str, list[list[Piece]]] = {}
        kinds = _kinds(sounds, options.clips[1])
        for clip in sounds:
            parts = _divided(clip, measured[clip.id].samples, longest, use)
            of_kind.setdefault(kinds[clip.id], []).append(parts)
        bouts: list[Pieces] = []
        for name in sorted(of_kind):
            order = rng.permutation(len(of_kind[name]))
            bouts += _chunks([piece for at in order for piece in of_kind[name][at]], options, rng)
        yield [bouts[index] for index in rng.permutation(len(bouts))]
        use += 1


def _kinds(clips: Sequence[Clip], enough: int) -> dict[str, str]:
    """What clips share a bout with: their group, or their kind where the group has too few."""
    sizes = Counter(clip.group for clip in clips)
    return {
        clip.id: clip.group if sizes[clip.group] >= enough else f"{clip.source}/{clip.category}"
        for clip in clips
    }


def _divided(clip: Clip, samples: int, longest: int | None, use: int) -> list[Piece]:
    """A clip in equal pieces of about `longest` samples; in one if it is not much longer."""
    count = 1 if longest is None else max(1, round(samples / longest))
    edges = [samples * part // count for part in range(count + 1)]
    return [Piece(clip, start, stop, use) for start, stop in pairwise(edges)]


def _chunks(
    pieces: Sequence[Piece], options: StreamOptions, rng: np.random.Generator
) -> Iterator[Pieces]:
    start = 0
    while start < len(pieces):
        stop = start + _count(options, rng)
        yield tuple(pieces[start:stop])
        start = stop


def _models(bouts: Sequence[Pieces], count: int, rng: np.random.Generator) -> list[Pieces]:
    """The episodes' partners: bouts of other sounds, all before any again; none without sounds."""
    rounds = -(-count // len(bouts)) if bouts else 0
    order = [index for _ in range(rounds) for index in rng.permutation(len(bouts))]
    return [bouts[index] for index in order[:count]]


def _count(options: StreamOptions, rng: np.random.Generator) -> int:
    return int(rng.integers(*options.clips, endpoint=True))


def _episodes(
    cries: Sequence[Clip],
    counts: Sequence[int],
    measured: Mapping[str, Measured],
    rng: np.random.Generator,
) -> list[Pieces]:
    """Cries of one group for each count, whole; all groups are used before any again.

    Of as many bouts as there are groups the longest go to the largest groups, so that few cries
    are heard twice in a bout.
    """
    groups: dict[str, list[Clip]] = {}
    for clip in cries:
        groups.setdefault(clip.group, []).append(clip)
    queues = {name: endless(groups[name], rng) for name in sorted(groups)}
    uses: Counter[str] = Counter()
    episodes: list[Pieces] = [()] * len(counts)
    for start in range(0, len(counts), max(1, len(groups))):
        of_round = counts[start : start + len(groups)]
        names = [str(name) for name in rng.permutation(sorted(groups))][: len(of_round)]
        by_size = sorted(names, key=lambda name: len(groups[name]))
        by_count = np.argsort(of_round, kind="stable")
        for name, at in zip(by_size, by_count, strict=True):
            chosen = [next(queues[name]) for _ in range(of_round[at])]
            episodes[start + at] = tuple(_whole(clip, measured, uses) for clip in chosen)
    return episodes


def _whole(clip: Clip, measured: Mapping[str, Measured], uses: Counter[str]) -> Piece:
    uses[clip.id] += 1
    return Piece(clip, 0, measured[clip.id].samples, uses[clip.id] - 1)


def endless(clips: Sequence[Clip], rng: np.random.Generator) -> Iterator[Clip]:
    """All clips in random order, and again in another, without end."""
    while clips:
        for index in rng.permutation(len(clips)):
            yield clips[index]


def _partner(episodes: Sequence[Pieces], count: int, rng: np.random.Generator) -> Pieces | None:
    """An episode of so many cries; None if there is none."""
    of_count = [episode for episode in episodes if len(episode) == count]
    return of_count[int(rng.integers(len(of_count)))] if of_count else None


def _shortened(pieces: Pieces, partner: Pieces | None, measured: Mapping[str, Measured]) -> Pieces:
    """Pieces shortened, one by one, to what a partner with as many has."""
    if partner is None:
        return pieces
    return tuple(
        one.shortened(other.samples, measured[one.clip.id])
        for one, other in zip(pieces, partner, strict=True)
    )


def _bout(pieces: Pieces, cry: bool, options: StreamOptions, rng: np.random.Generator) -> Bout:
    """Draw what is drawn alike for all bouts."""
    brief = [piece.samples <= options.brief_seconds * SAMPLE_RATE for piece in pieces]
    pauses = [
        options.brief_pause_seconds if both == (True, True) else options.pause_seconds
        for both in pairwise(brief)
    ]
    gap = options.least_gap_seconds + rng.exponential(options.mean_gap_seconds)
    dry = options.rooms == 0 or rng.random() < options.dry_share
    return Bout(
        pieces=pieces,
        cry=cry,
        pauses=tuple(int(rng.uniform(*pause) * SAMPLE_RATE) for pause in pauses),
        gap=int(gap * SAMPLE_RATE),
        snr_db=round(float(rng.uniform(*options.snr_db)), 2),
        room=None if dry else int(rng.integers(options.rooms)),
    )
