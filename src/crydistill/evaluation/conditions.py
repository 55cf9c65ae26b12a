"""Test conditions applied to clips: background noise, gain, reverberation, poor electronics.

A condition is a pure function of a clip's samples, the clip and a seed. Random choices (the noise,
the positions in the room) depend on the clip's id: a clip gets the same noise at every SNR, clips
are at different positions, and all models score the same samples.

Only the gain conditions change levels: a mix with noise that would clip is attenuated as a whole,
and a room changes how a sound decays, not how loud it is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial

import numpy as np

from crydistill.audio.augment import (
    active_level,
    add_noise,
    band_limit,
    gain,
    reduce_bits,
    through_microphone,
)
from crydistill.audio.files import read_audio
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.rooms import Room, impulse_response, in_room
from crydistill.corpora.clip import Clip, Label
from crydistill.seeds import generator
from crydistill.synthesis.nursery import (
    Adult,
    Appliance,
    MusicBox,
    NoiseMachine,
    hum,
    music_box,
    speech,
    white_noise,
)
from crydistill.synthesis.nursery.synthesis import Floats

SNRS_DB = (20.0, 10.0, 5.0, 0.0, -5.0)
GAINS_DB = (-30.0, -20.0, -10.0, 6.0, 12.0)
DISTANCES_M = (0.5, 2.0, 4.0)
ROOMS = {
    "small room": ((3.2, 4.6, 2.4), 0.25),
    "medium room": ((4.0, 5.5, 2.5), 0.4),
    "large room": ((6.0, 8.0, 2.8), 0.6),
}
"""Width, depth and height in metres, and reverberation time in seconds."""

BAND_LIMIT_HZ = 4_000.0
CONVERTER_BITS = (12, 8)
ROLL_OFF_HZ = (50.0, 100.0, 200.0, 400.0, 3_000.0, 6_000.0, 8_000.0)
ROLL_OFF_DB = (-24.0, -15.0, -6.0, 0.0, 0.0, -9.0, -15.0)
"""A small microphone behind a grille: no bass, falling treble."""

FEWEST_GROUPS = 3
"""With recordings of fewer groups, a kind of noise is synthesised instead."""

_CACHED_RECORDINGS = 32


class Family(StrEnum):
    """What is varied."""

    CLEAN = "clean"
    NOISE = "noise"
    GAIN = "gain"
    ROOM = "room"
    ELECTRONICS = "electronics"


@dataclass(frozen=True)
class NoiseKind:
    """A kind of background noise.

    categories, sources : a recording of either is of this kind
    synthesise : synthesises the noise, with a peak of 1, if the corpus has too few recordings
    """

    categories: frozenset[str]
    sources: frozenset[str]
    synthesise: Callable[[np.random.Generator, float], Floats]


NOISE_KINDS: Mapping[str, NoiseKind] = {
    "noise machine": NoiseKind(
        frozenset({"white_noise"}),
        frozenset({"sleep_sounds"}),
        lambda rng, seconds: white_noise(rng, seconds, NoiseMachine.drawn(rng)),
    ),
    "fan": NoiseKind(
        frozenset({"air_conditioner", "hum"}),
        frozenset(),
        lambda rng, seconds: hum(rng, seconds, Appliance.drawn(rng)),
    ),
    "speech": NoiseKind(
        frozenset({"speech"}),
        frozenset(),
        lambda rng, seconds: speech(rng, seconds, Adult.drawn(rng)),
    ),
    "music": NoiseKind(
        frozenset({"street_music", "music_box"}),
        frozenset(),
        lambda rng, seconds: music_box(rng, seconds, MusicBox.drawn(rng)),
    ),
}


class Noises:
    """Background noise from a corpus's own recordings, synthesised if it has too few.

    Parameters
    ----------
    clips : of the tested split; only those labelled noncry are used
    seed : of the random choices
    """

    def __init__(self, clips: Sequence[Clip], seed: int) -> None:
        self.seed = seed
        self._recordings = {
            name: [clip for clip in clips if clip.label is Label.NONCRY and _is_of(clip, kind)]
            for name, kind in NOISE_KINDS.items()
        }
        self._read = lru_cache(maxsize=_CACHED_RECORDINGS)(lambda path: read_audio(path).samples)

    def origin(self, kind: str) -> str:
        """Where a kind of noise comes from, for reports."""
        clips = self._recordings[kind]
        if not self._enough(clips):
            return "synthetic"
        groups = len({clip.group for clip in clips})
        return f"{len(clips)} recordings of {groups} groups in the split"

    def behind(self, clip: Clip, kind: str, count: int) -> Samples:
        """Noise to mix with a clip, `[count]`, from groups other than the clip's own.

        Raises
        ------
        AudioError
            if a recording of the noise cannot be read.
        """
        rng = generator(self.seed, "noise", kind, clip.id)
        if not self._enough(self._recordings[kind]):
            sound = NOISE_KINDS[kind].synthesise(rng, count / SAMPLE_RATE + 0.01)
            return np.asarray(sound[:count], dtype=np.float32)
        others = [one for one in self._recordings[kind] if one.group != clip.group]
        parts: list[Samples] = []
        for index in _endless_order(len(others), rng):
            missing = count - sum(map(len, parts))
            if missing <= 0:
                break
            recording = self._read(others[index].path)
            start = int(rng.integers(max(1, len(recording) - missing + 1)))
            parts.append(recording[start : start + missing])
        return np.concatenate(parts)

    @staticmethod
    def _enough(clips: Sequence[Clip]) -> bool:
        return len({clip.group for clip in clips}) >= FEWEST_GROUPS


Change = Callable[[Samples, Clip, Noises], Samples]


@dataclass(frozen=True)
class Condition:
    """A change applied to all clips before they are scored.

    kind : what is varied in the family ("fan", "small room", "8-bit converter")
    value : how much, in `unit`; None if it has no degree
    change : changes a clip's samples; the length stays, and so does the level but for gains
    """

    family: Family
    kind: str
    value: float | None
    unit: str
    change: Change

    @property
    def name(self) -> str:
        """Unique among the conditions: "fan, 10 dB"."""
        return self.kind if self.value is None else f"{self.kind}, {self.value:g} {self.unit}"


CLEAN = Condition(Family.CLEAN, "as recorded", None, "", lambda samples, clip, noises: samples)


def conditions() -> tuple[Condition, ...]:
    """All conditions, clean audio first."""
    noise = [
        Condition(Family.NOISE, kind, snr, "dB", partial(_noisy, kind=kind, snr_db=snr))
        for kind in NOISE_KINDS
        for snr in SNRS_DB
    ]
    gains = [
        Condition(Family.GAIN, "gain", decibels, "dB", partial(_amplified, decibels=decibels))
        for decibels in GAINS_DB
    ]
    rooms = [
        Condition(Family.ROOM, kind, metres, "m", partial(_distant, kind=kind, metres=metres))
        for kind in ROOMS
        for metres in DISTANCES_M
    ]
    return (CLEAN, *noise, *gains, *rooms, *_electronics())


def _electronics() -> list[Condition]:
    limited = Condition(
        Family.ELECTRONICS,
        f"{BAND_LIMIT_HZ / 1000:g} kHz band limit",
        None,
        "",
        lambda samples, clip, noises: band_limit(samples, BAND_LIMIT_HZ),
    )
    coloured = Condition(
        Family.ELECTRONICS,
        "microphone roll-off",
        None,
        "",
        lambda samples, clip, noises: through_microphone(samples, ROLL_OFF_HZ, ROLL_OFF_DB),
    )
    converters = [
        Condition(
            Family.ELECTRONICS, f"{bits}-bit converter", None, "", partial(_rounded, bits=bits)
        )
        for bits in CONVERTER_BITS
    ]
    return [limited, coloured, *converters]


def _noisy(samples: Samples, clip: Clip, noises: Noises, *, kind: str, snr_db: float) -> Samples:
    noise = noises.behind(clip, kind, len(samples))
    # The noise is as long as the clip, so nothing is drawn from this generator.
    mix = add_noise(samples, noise, snr_db, np.random.default_rng(0))
    return mix / np.float32(max(1.0, float(np.abs(mix).max())))


def _amplified(samples: Samples, clip: Clip, noises: Noises, *, decibels: float) -> Samples:
    return gain(samples, decibels)


def _distant(samples: Samples, clip: Clip, noises: Noises, *, kind: str, metres: float) -> Samples:
    size, reverberation = ROOMS[kind]
    rng = generator(noises.seed, "test room", kind, f"{metres:g}", clip.id)
    response = impulse_response(Room(size, reverberation, metres), rng)
    reverberant = in_room(samples, response)
    return gain(reverberant, active_level(samples) - active_level(reverberant))


def _rounded(samples: Samples, clip: Clip, noises: Noises, *, bits: int) -> Samples:
    return reduce_bits(samples, bits)


def _is_of(clip: Clip, kind: NoiseKind) -> bool:
    return clip.category in kind.categories or clip.source in kind.sources


def _endless_order(count: int, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(count).tolist()
