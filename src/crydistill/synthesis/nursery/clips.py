"""Compose and render the clips of the synthetic nursery.

`compose` lists the recipes of a seed's clips without synthesising anything; `render` synthesises
one. A clip's samples depend only on its recipe, and the recipe only on the seed and the clip's id,
so clips can be rendered separately, in any order, on any machine. Two machines may differ by one
int16 step in a few samples that fall on a rounding boundary; and NumPy reserves the right to change
the streams of its generators, which a test would detect.

Individuals (infants, adults, cats, music boxes, ...) are the groups; each is in one split only. The
same infant cries, babbles and laughs; the same adult speaks and hums.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import SAMPLE_RATE, frame_count
from crydistill.audio.windows import WINDOW_SAMPLES, window_count, window_start_seconds
from crydistill.corpora.clip import Label
from crydistill.seeds import generator
from crydistill.synthesis.nursery.adults import Adult, lullaby, speech
from crydistill.synthesis.nursery.cats import Cat, meowing
from crydistill.synthesis.nursery.infants import Infant, Span, babble, cry_times, crying, laugh
from crydistill.synthesis.nursery.synthesis import (
    Floats,
    active_rms,
    normalized,
    record_in_room,
    room_response,
    sample_count,
)
from crydistill.synthesis.nursery.things import (
    Appliance,
    Door,
    MusicBox,
    NoiseMachine,
    Room,
    hum,
    knocks,
    music_box,
    room_tone,
    white_noise,
)

SPLITS = ("train", "validation", "test")

_Draw = Callable[[np.random.Generator], Any]
"""Draws a random individual."""

_Play = Callable[[np.random.Generator, float, Any], Floats]
"""Synthesises a number of seconds of an individual."""

_PerSplit = tuple[int, int, int]


class _Kind(NamedTuple):
    """A kind of individual and the number of individuals in each split."""

    draw: _Draw
    individuals: _PerSplit


class _Part(NamedTuple):
    """A category: the kind of individual it uses and its number of clips in each split."""

    kind: str
    clips: _PerSplit


_KINDS = {
    "infant": _Kind(Infant.drawn, (6, 2, 3)),
    "adult": _Kind(Adult.drawn, (4, 1, 2)),
    "cat": _Kind(Cat.drawn, (4, 1, 2)),
    "music-box": _Kind(MusicBox.drawn, (3, 1, 1)),
    "appliance": _Kind(Appliance.drawn, (2, 1, 1)),
    "noise-machine": _Kind(NoiseMachine.drawn, (2, 1, 1)),
    "door": _Kind(Door.drawn, (2, 1, 1)),
    "room": _Kind(Room.drawn, (2, 1, 1)),
}

_PARTS = {
    "baby_cry": _Part("infant", (11, 2, 4)),
    "baby_cry_over_noise": _Part("infant", (8, 2, 3)),
    "babble": _Part("infant", (4, 1, 2)),
    "baby_laugh": _Part("infant", (2, 1, 1)),
    "cat": _Part("cat", (5, 1, 2)),
    "speech": _Part("adult", (4, 1, 2)),
    "lullaby": _Part("adult", (2, 1, 1)),
    "music_box": _Part("music-box", (3, 1, 1)),
    "hum": _Part("appliance", (2, 1, 1)),
    "white_noise": _Part("noise-machine", (2, 1, 1)),
    "knocks": _Part("door", (2, 1, 1)),
    "silence": _Part("room", (2, 1, 1)),
}

CATEGORIES = tuple(_PARTS)
CRY_CATEGORIES = ("baby_cry", "baby_cry_over_noise")

_PLAYERS: dict[str, _Play] = {
    "babble": babble,
    "baby_laugh": laugh,
    "cat": meowing,
    "speech": speech,
    "lullaby": lullaby,
    "music_box": music_box,
    "hum": hum,
    "white_noise": white_noise,
    "knocks": knocks,
    "silence": room_tone,
}

_NOISES = ("speech", "lullaby", "music_box", "hum", "white_noise")
"""Categories used as background, from an individual drawn for that clip only; a clip without noise
has a quiet room as background."""

_NEVER_OVER_NOISE = ("baby_cry", "silence")

_SECONDS = (6.0, 9.6)
_CRY_SNR_DB = (6.0, 18.0)
_OTHER_SNR_DB = (6.0, 20.0)
_QUIET_SNR_DB = (25.0, 45.0)
_PEAK_DBFS = (-18.0, -2.0)
_SILENCE_PEAK_DBFS = (-62.0, -46.0)
_FULL_SCALE = 32_767


@dataclass(frozen=True)
class NurseryClip:
    """The recipe of one clip.

    id : unique, the same for every seed
    group : the individual in the foreground
    cries : spans of crying in seconds, may be empty; breaths between cries and reverberation are
        not included
    backdrop, snr_db : background category, and signal-to-noise ratio between active levels
    peak_dbfs : level of the loudest sample
    """

    seed: int
    id: str
    label: Label
    category: str
    group: str
    split: str
    duration: float
    cries: tuple[Span, ...]
    backdrop: str
    snr_db: float
    peak_dbfs: float


def compose(seed: int = 0) -> list[NurseryClip]:
    """Return the recipes of a seed's clips (seed >= 0), ten minutes in all, ordered by split."""
    clips = []
    numbers: Counter[str] = Counter()
    for place, split in enumerate(SPLITS):
        turns: Counter[str] = Counter()
        for category, part in _PARTS.items():
            groups = _groups(part.kind, place)
            for _ in range(part.clips[place]):
                group = groups[turns[part.kind] % len(groups)]
                clips.append(
                    _recipe(seed, f"{category}-{numbers[category]:02}", category, group, split)
                )
                turns[part.kind] += 1
                numbers[category] += 1
    return clips


def individual(seed: int, group: str) -> Any:
    """Return the `Infant`, `Adult`, `Cat`, ... behind a group of a seed's clips."""
    kind, _, _ = group.rpartition("-")
    return _KINDS[kind].draw(generator(seed, "individual", group))


def cry_share(clip: NurseryClip) -> npt.NDArray[np.float64]:
    """Fraction of each window of the window grid that is crying, `[windows]`.

    The ground truth of a window is cry if it is at least a half.
    """
    count = window_count(frame_count(sample_count(clip.duration)))
    start = window_start_seconds(count)
    stop = start + WINDOW_SAMPLES / SAMPLE_RATE
    share = np.zeros(count)
    for cry_start, cry_stop in clip.cries:
        share += np.maximum(0.0, np.minimum(stop, cry_stop) - np.maximum(start, cry_start))
    return share * SAMPLE_RATE / WINDOW_SAMPLES


def render(clip: NurseryClip) -> npt.NDArray[np.int16]:
    """Synthesise a clip: 16 kHz mono int16 `[16000 duration]`."""
    rng = generator(clip.seed, "sound", clip.id)
    sound = _with_random_room(rng, _foreground(rng, clip))
    source = _KINDS[_PARTS[clip.backdrop].kind].draw(rng)
    background = _with_random_room(rng, _PLAYERS[clip.backdrop](rng, clip.duration, source))
    background *= active_rms(sound) / active_rms(background) * 10.0 ** (-clip.snr_db / 20)
    mix = normalized(sound + background) * 10.0 ** (clip.peak_dbfs / 20)
    samples: npt.NDArray[np.int16] = np.rint(_FULL_SCALE * mix).astype(np.int16)
    return samples


def _groups(kind: str, place: int) -> list[str]:
    """Names of the individuals of a kind in the split `SPLITS[place]`."""
    counts = _KINDS[kind].individuals
    first = sum(counts[:place])
    return [f"{kind}-{number:02}" for number in range(first, first + counts[place])]


def _recipe(seed: int, clip_id: str, category: str, group: str, split: str) -> NurseryClip:
    rng = generator(seed, "recipe", clip_id)
    duration = round(rng.uniform(*_SECONDS), 2)
    is_cry = category in CRY_CATEGORIES
    over_noise = category == "baby_cry_over_noise" or (
        category not in _NEVER_OVER_NOISE and rng.random() < 0.4
    )
    if over_noise:
        backdrop = str(rng.choice([noise for noise in _NOISES if noise != category]))
        snr_db = rng.uniform(*(_CRY_SNR_DB if is_cry else _OTHER_SNR_DB))
    else:
        backdrop, snr_db = "silence", rng.uniform(*_QUIET_SNR_DB)
    peak = rng.uniform(*(_SILENCE_PEAK_DBFS if category == "silence" else _PEAK_DBFS))
    return NurseryClip(
        seed=seed,
        id=clip_id,
        label=Label.CRY if is_cry else Label.NONCRY,
        category=category,
        group=group,
        split=split,
        duration=duration,
        cries=cry_times(rng, duration, individual(seed, group)) if is_cry else (),
        backdrop=backdrop,
        snr_db=round(snr_db, 1),
        peak_dbfs=round(peak, 1),
    )


def _foreground(rng: np.random.Generator, clip: NurseryClip) -> Floats:
    who = individual(clip.seed, clip.group)
    if clip.label is Label.CRY:
        return crying(rng, clip.duration, who, clip.cries)
    return _PLAYERS[clip.category](rng, clip.duration, who)


def _with_random_room(rng: np.random.Generator, sound: Floats) -> Floats:
    """Apply a random room, distance and microphone."""
    response = room_response(
        rng, reverberation=rng.uniform(0.15, 0.5), direct_db=rng.uniform(0.0, 9.0)
    )
    low_cut, high_cut = rng.uniform(60.0, 200.0), rng.uniform(4_500.0, 9_000.0)
    return record_in_room(sound, response, low_cut=low_cut, high_cut=high_cut)
