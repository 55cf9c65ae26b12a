"""Choose the clips that play in each training stream.

A stream plays crying and other sounds in bouts (`crydistill.nights.streams`). What counts as crying
is the teacher's opinion, not the label: a cry clip in which it hears no cry does not play as one,
and neither a clip labelled noncry nor one that might be a cry plays as the other kind.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crydistill.corpora.clip import Clip, Label
from crydistill.errors import CorpusError

CRY_ABOVE = 0.3
"""An unlabelled clip plays as crying if the teacher's cry score is higher in one of its windows."""

LABELLED_CRY_ABOVE = 0.1
"""The same for a clip labelled cry: faint crying is what a student has to learn."""

SOUND_BELOW = 0.5
"""A clip labelled noncry plays as another sound if the teacher's score is lower in all windows."""

SURELY_BELOW = 0.1
"""The same for an unlabelled clip."""

BED_BELOW = 0.02
"""A clip may lie under a whole stream if the teacher's score is lower in all windows."""

BED_SECONDS = 8.0

_UNLABELLED_WEIGHT = 0.3
"""Weight of a source's unlabelled crying, mostly synthetic, where labelled crying has 1."""

_GROUPS = 9
_CLIPS_OF_A_GROUP = 5
_BED_SHARE = 0.5
"""Share of the streams that lie on a recording; under the others is synthetic room tone."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A clip and what the teacher heard in it.

    cry_score : highest of its windows, 0 to 2
    seconds : its length
    weight : of its corpus
    """

    clip: Clip
    cry_score: float
    seconds: float
    weight: float = 1.0


@dataclass(frozen=True)
class Cast:
    """The clips of one stream."""

    cries: tuple[Clip, ...]
    sounds: tuple[Clip, ...]
    bed: tuple[Clip, ...]


@dataclass(frozen=True)
class _Source:
    """The clips of one source that may play in one role, group by group."""

    groups: Sequence[Sequence[Clip]]
    weight: float


class Casting:
    """Draws the clips of streams from everything that the teacher has heard.

    Sources are drawn by the square root of their numbers of clips, so that ten thousand synthetic
    voices do not drown forty recordings, times their corpus's weight; then groups of the source.
    What somebody labelled as crying is drawn more often than what only the teacher takes for it.

    cries, sounds, beds : number of clips that may play in each role
    """

    def __init__(self, heard: Sequence[Heard]) -> None:
        cries = [one for one in heard if _is_cry(one)]
        sounds = [one for one in heard if _is_sound(one)]
        labelled = [one for one in cries if one.clip.label is Label.CRY]
        others = [one for one in cries if one.clip.label is not Label.CRY]
        self._cries = _by_source(labelled) + _by_source(others, _UNLABELLED_WEIGHT)
        self._sounds = _by_source(sounds)
        self._beds = [one.clip for one in sounds if _is_bed(one)]
        self.cries, self.sounds, self.beds = len(cries), len(sounds), len(self._beds)

    def cast(self, rng: np.random.Generator) -> Cast:
        """Draw a stream's clips.

        Raises
        ------
        CorpusError
            if there are no clips of crying, or none of other sounds.
        """
        for role, number in (("crying", self.cries), ("other sounds", self.sounds)):
            if number == 0:
                raise CorpusError(
                    f"the teacher hears no clip of {role} for the training streams; add recordings"
                )
        cries = [clip for _ in range(_GROUPS) for clip in _group(self._cries, rng)]
        sounds = [clip for _ in range(_GROUPS) for clip in _group(self._sounds, rng)]
        with_bed = self.beds > 0 and rng.random() < _BED_SHARE
        bed = (self._beds[int(rng.integers(self.beds))],) if with_bed else ()
        return Cast(tuple(dict.fromkeys(cries)), tuple(dict.fromkeys(sounds)), bed)


def _is_cry(one: Heard) -> bool:
    limit = LABELLED_CRY_ABOVE if one.clip.label is Label.CRY else CRY_ABOVE
    return one.clip.label is not Label.NONCRY and one.cry_score > limit


def _is_sound(one: Heard) -> bool:
    limit = SOUND_BELOW if one.clip.label is Label.NONCRY else SURELY_BELOW
    return one.clip.label is not Label.CRY and one.cry_score < limit


def _is_bed(one: Heard) -> bool:
    is_noncry = one.clip.label is Label.NONCRY
    return is_noncry and one.seconds >= BED_SECONDS and one.cry_score < BED_BELOW


def _by_source(heard: Sequence[Heard], weight: float = 1.0) -> list[_Source]:
    sources: dict[str, list[Heard]] = {}
    for one in heard:
        sources.setdefault(one.clip.source, []).append(one)
    found = []
    for _, members in sorted(sources.items()):
        groups: dict[str, list[Clip]] = {}
        for one in members:
            groups.setdefault(one.clip.group, []).append(one.clip)
        in_order = [clips for _, clips in sorted(groups.items())]
        found.append(_Source(in_order, weight * members[0].weight * math.sqrt(len(members))))
    return found


def _group(sources: Sequence[_Source], rng: np.random.Generator) -> list[Clip]:
    """A few clips of a random group of a random source."""
    weights = np.array([source.weight for source in sources])
    source = sources[int(rng.choice(len(sources), p=weights / weights.sum()))]
    clips = source.groups[int(rng.integers(len(source.groups)))]
    return [clips[at] for at in rng.permutation(len(clips))[:_CLIPS_OF_A_GROUP]]
