"""Synthesise several days of captures of a sound-triggered device in a nursery.

    home.json                       settings of the generator; written first
    cry-YYYYMMDDThhmmss+1000.wav    captures, 16 kHz mono 16-bit PCM; most are named like this
    manual-NNN.wav                  a few that are dated only by their modification time
    tiers.csv                       file,tier: a confidence tier for nine in ten of them
    truth.csv                       file,activity,crying_s: the ground truth

The home has one infant, one adult, one cat and a fixed set of objects; the device does not move.
The infant cries at night and at bedtime, babbles in the morning and is sung to; a noise machine
runs at night and a fan now and then. Everything is determined by the seed and the clip's name.
The captures are synthetic and not private, but are read like private ones, so they too must lie
outside git work trees.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crydistill.atomic import write_text
from crydistill.audio.encoding import write_sound
from crydistill.boundary import require_outside_work_tree
from crydistill.corpora.captures import Tier
from crydistill.errors import ConfigError, CorpusError
from crydistill.progress import Progress, silent
from crydistill.seeds import generator
from crydistill.synthesis.nursery import (
    Adult,
    Appliance,
    Cat,
    Door,
    Infant,
    MusicBox,
    NoiseMachine,
    Room,
    babble,
    cry_times,
    crying,
    hum,
    knocks,
    laugh,
    lullaby,
    meowing,
    music_box,
    record_in_room,
    room_response,
    room_tone,
    speech,
    white_noise,
)
from crydistill.synthesis.nursery.infants import Span
from crydistill.synthesis.nursery.synthesis import Floats, active_rms, add_at, rms, sample_count

NIGHTS_VERSION = 1
"""Incremented with every audible change."""

CAPTURE_SECONDS = 40.0
MIN_CAPTURE_SECONDS = 4.0

ZONE = timezone(timedelta(hours=10))
FIRST_DAY = datetime(2026, 4, 11, tzinfo=ZONE)

_WAV_HEADER_BYTES = 44
_FULL_SCALE = 32_767
_SECONDS_BETWEEN_CAPTURES = (42.0, 75.0)
_RATED_SHARE = 0.9
_UNDATED_SHARE = 0.03


class Activity(StrEnum):
    """What a capture contains."""

    CRYING = "crying"
    DISTANT_CRYING = "distant crying"
    BABBLE = "babble"
    LAUGH = "laugh"
    SPEECH = "speech"
    LULLABY = "lullaby"
    MUSIC_BOX = "music box"
    CAT = "cat"
    KNOCKS = "knocks"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Capture:
    """A capture to be synthesised.

    at : local start time
    tier : None if unrated
    """

    name: str
    at: datetime
    activity: Activity
    tier: Tier | None


_LEVEL_DBFS = {
    Activity.CRYING: (-30.0, -16.0),
    Activity.DISTANT_CRYING: (-50.0, -40.0),
    Activity.BABBLE: (-42.0, -28.0),
    Activity.LAUGH: (-40.0, -26.0),
    Activity.SPEECH: (-46.0, -30.0),
    Activity.LULLABY: (-42.0, -30.0),
    Activity.MUSIC_BOX: (-44.0, -32.0),
    Activity.CAT: (-48.0, -30.0),
    Activity.KNOCKS: (-46.0, -30.0),
}
"""Range of the active level of each sound at the device."""

_ROOM_DBFS, _FAN_DBFS, _NOISE_MACHINE_DBFS = -66.0, -56.0, -50.0
_FAN_SHARE = 0.3

_BY_DAY = {
    Activity.SPEECH: 0.25,
    Activity.BABBLE: 0.12,
    Activity.LAUGH: 0.05,
    Activity.MUSIC_BOX: 0.04,
    Activity.CAT: 0.03,
    Activity.KNOCKS: 0.06,
    Activity.NOTHING: 0.45,
}
_BY_NIGHT = {Activity.CAT: 0.03, Activity.KNOCKS: 0.02, Activity.NOTHING: 0.95}
_IN_THE_MORNING = {Activity.BABBLE: 0.5, Activity.LAUGH: 0.1, Activity.SPEECH: 0.2} | {
    Activity.NOTHING: 0.2
}
"""Probabilities of the activities in the regular captures, two an hour, by time of day."""

_NIGHT_HOURS = frozenset({20, 21, 22, 23, 0, 1, 2, 3, 4, 5})
_MORNING_HOURS = frozenset({6, 7})

_EPISODES = (
    # (range of hours in which crying may start, minimum and maximum number of episodes a day)
    ((0, 3), (0, 2)),
    ((3, 6), (1, 2)),
    ((9, 16), (0, 2)),
    ((17, 20), (1, 2)),
    ((21, 24), (0, 2)),
)
_EPISODE_MINUTES = (1.5, 10.0)
_DISTANT_SHARE = 0.2

_TIERS = {
    Activity.CRYING: (0.75, 0.2, 0.05, 0.0, 0.0),
    Activity.DISTANT_CRYING: (0.1, 0.45, 0.4, 0.05, 0.0),
    Activity.BABBLE: (0.01, 0.09, 0.6, 0.25, 0.05),
    Activity.LAUGH: (0.02, 0.13, 0.6, 0.2, 0.05),
    Activity.SPEECH: (0.0, 0.01, 0.14, 0.6, 0.25),
    Activity.LULLABY: (0.0, 0.03, 0.17, 0.6, 0.2),
    Activity.MUSIC_BOX: (0.0, 0.02, 0.13, 0.55, 0.3),
    Activity.CAT: (0.03, 0.17, 0.55, 0.2, 0.05),
    Activity.KNOCKS: (0.0, 0.0, 0.05, 0.25, 0.7),
    Activity.NOTHING: (0.0, 0.0, 0.02, 0.13, 0.85),
}
"""Probability of each tier, high_pos to high_neg, given by an imperfect rater."""


def write_captures(
    folder: str | Path,
    days: int,
    seed: int = 0,
    *,
    seconds: float = CAPTURE_SECONDS,
    progress: Progress = silent,
) -> Path:
    """Write the captures of some days, skipping existing ones; return the path of `tiers.csv`.

    About 90 captures a day; 40 s of audio take about a second.

    Raises
    ------
    ConfigError
        if `days` is below 1 or `seconds` below 4.
    CorpusError
        if the folder lies in a git work tree or contains other captures or other files.
    """
    if days < 1 or seconds < MIN_CAPTURE_SECONDS:
        raise ConfigError(
            f"captures of {days} days, {seconds} s each: choose at least a day "
            f"and captures of at least {MIN_CAPTURE_SECONDS:.0f} s"
        )
    folder = Path(folder)
    require_outside_work_tree(folder, "synthetic captures (they are read like private ones)")
    _claim(folder, {"nights": NIGHTS_VERSION, "days": days, "seed": seed, "seconds": seconds})
    captures = compose_captures(days, seed)
    home = Home(seed)
    with progress("synthetic captures", len(captures), "captures") as advance:
        for capture in captures:
            path = folder / capture.name
            if not _is_complete(path, seconds):
                write_sound(path, home.record(capture, seconds))
            os.utime(path, (capture.at.timestamp(), capture.at.timestamp()))
            advance(1)
    truth = [
        (capture.name, capture.activity, f"{_length(home.cries(capture, seconds)):.3f}")
        for capture in captures
    ]
    write_text(folder / "truth.csv", _as_csv(("file", "activity", "crying_s"), truth))
    rated = [(capture.name, capture.tier) for capture in captures if capture.tier]
    write_text(folder / "tiers.csv", _as_csv(("file", "tier"), rated))
    return folder / "tiers.csv"


def compose_captures(days: int, seed: int = 0) -> list[Capture]:
    """Draw the captures of some days, in chronological order."""
    moments: dict[datetime, Activity] = {}
    for day in range(days):
        midnight = FIRST_DAY + timedelta(days=day)
        rng = generator(seed, "day", str(day))
        # If two captures start in the same second, the triggered one is kept.
        moments |= dict(_regular(rng, midnight)) | dict(_episodes(rng, midnight))
    rng = generator(seed, "ratings")
    captures = []
    for number, (at, activity) in enumerate(sorted(moments.items())):
        undated = rng.random() < _UNDATED_SHARE
        tier = list(Tier)[int(rng.choice(len(Tier), p=_TIERS[activity]))]
        rated = rng.random() < _RATED_SHARE
        name = f"manual-{number:03}.wav" if undated else f"cry-{at:%Y%m%dT%H%M%S%z}.wav"
        captures.append(Capture(name, at, activity, tier if rated else None))
    return captures


class Home:
    """The individuals, objects and room acoustics of a seed's home."""

    def __init__(self, seed: int) -> None:
        rng = generator(seed, "home")
        self._seed = seed
        self._infant = Infant.drawn(rng)
        adult, cat = Adult.drawn(rng), Cat.drawn(rng)
        box, door = MusicBox.drawn(rng), Door.drawn(rng)
        self._fan, self._machine = Appliance.drawn(rng), NoiseMachine.drawn(rng)
        self._room = Room.drawn(rng)
        self._response = room_response(rng, reverberation=rng.uniform(0.2, 0.5), direct_db=2.0)
        self._low_cut, self._high_cut = rng.uniform(80.0, 150.0), rng.uniform(6_000.0, 7_800.0)
        self._play: dict[Activity, Callable[[np.random.Generator, float], Floats]] = {
            Activity.BABBLE: lambda rng, seconds: babble(rng, seconds, self._infant),
            Activity.LAUGH: lambda rng, seconds: laugh(rng, seconds, self._infant),
            Activity.SPEECH: lambda rng, seconds: speech(rng, seconds, adult),
            Activity.LULLABY: lambda rng, seconds: lullaby(rng, seconds, adult),
            Activity.MUSIC_BOX: lambda rng, seconds: music_box(rng, seconds, box),
            Activity.CAT: lambda rng, seconds: meowing(rng, seconds, cat),
            Activity.KNOCKS: lambda rng, seconds: knocks(rng, seconds, door),
        }

    def record(self, capture: Capture, seconds: float) -> npt.NDArray[np.int16]:
        """Synthesise a capture: 16 kHz mono int16 `[16000 seconds]`."""
        rng = generator(self._seed, "capture", capture.name)
        mix = self._background(rng, seconds, capture.at.hour)
        if capture.activity is not Activity.NOTHING:
            sound = self._foreground(rng, seconds, capture)
            level = rng.uniform(*_LEVEL_DBFS[capture.activity])
            mix += sound * _gain(level) / active_rms(sound)
        heard = record_in_room(mix, self._response, low_cut=self._low_cut, high_cut=self._high_cut)
        samples: npt.NDArray[np.int16] = np.rint(_FULL_SCALE * np.clip(heard, -1.0, 1.0)).astype(
            np.int16
        )
        return samples

    def cries(self, capture: Capture, seconds: float) -> tuple[Span, ...]:
        """Spans of crying in a capture, in seconds from its start."""
        if capture.activity not in (Activity.CRYING, Activity.DISTANT_CRYING):
            return ()
        rng = generator(self._seed, "cries", capture.name)
        lasts, begins = _draw_span(rng, seconds)
        return tuple(
            (begins + start, begins + stop) for start, stop in cry_times(rng, lasts, self._infant)
        )

    def _background(self, rng: np.random.Generator, seconds: float, hour: int) -> Floats:
        tone = room_tone(rng, seconds, self._room)
        mix = tone * _gain(_ROOM_DBFS) / rms(tone)
        if hour in _NIGHT_HOURS:
            noise = white_noise(rng, seconds, self._machine)
            mix += noise * _gain(_NOISE_MACHINE_DBFS) / rms(noise)
        if rng.random() < _FAN_SHARE:
            noise = hum(rng, seconds, self._fan)
            mix += noise * _gain(_FAN_DBFS) / rms(noise)
        return mix

    def _foreground(self, rng: np.random.Generator, seconds: float, capture: Capture) -> Floats:
        """The sound of the capture's activity, which fills part of the capture."""
        cries = self.cries(capture, seconds)
        if cries:
            return crying(rng, seconds, self._infant, cries)
        lasts, begins = _draw_span(rng, seconds)
        track = np.zeros(sample_count(seconds))
        add_at(track, sample_count(begins), self._play[capture.activity](rng, lasts))
        return track


def _draw_span(rng: np.random.Generator, seconds: float) -> tuple[float, float]:
    """Draw the length and start of an activity within a capture, in seconds."""
    lasts = max(MIN_CAPTURE_SECONDS - 1.0, rng.uniform(0.4, 0.95) * seconds)
    return lasts, rng.uniform(0.0, seconds - lasts)


def _regular(rng: np.random.Generator, midnight: datetime) -> Iterator[tuple[datetime, Activity]]:
    """Regular captures: two an hour, independent of any sound."""
    for half_hour in range(48):
        at = midnight + timedelta(minutes=30 * half_hour, seconds=int(rng.integers(0, 300)))
        yield at, _one_of(rng, _usual(at.hour))


def _usual(hour: int) -> dict[Activity, float]:
    if hour in _MORNING_HOURS:
        return _IN_THE_MORNING
    return _BY_NIGHT if hour in _NIGHT_HOURS else _BY_DAY


def _episodes(rng: np.random.Generator, midnight: datetime) -> Iterator[tuple[datetime, Activity]]:
    """Triggered captures: crying, about one a minute, then speech or lullabies to soothe it."""
    for (first_hour, end_hour), (fewest, most) in _EPISODES:
        for _ in range(int(rng.integers(fewest, most + 1))):
            at = midnight + timedelta(hours=float(rng.uniform(first_hour, end_hour)))
            end = at + timedelta(minutes=float(rng.uniform(*_EPISODE_MINUTES)))
            distant = rng.random() < _DISTANT_SHARE
            while at < end:
                yield _to_second(at), Activity.DISTANT_CRYING if distant else Activity.CRYING
                at += timedelta(seconds=float(rng.uniform(*_SECONDS_BETWEEN_CAPTURES)))
            for _ in range(int(rng.integers(1, 4))):
                yield _to_second(at), Activity.LULLABY if rng.random() < 0.5 else Activity.SPEECH
                at += timedelta(seconds=float(rng.uniform(*_SECONDS_BETWEEN_CAPTURES)))


def _one_of(rng: np.random.Generator, shares: dict[Activity, float]) -> Activity:
    return list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]


def _to_second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _gain(level_dbfs: float) -> float:
    return float(10.0 ** (level_dbfs / 20))


def _length(spans: Sequence[Span]) -> float:
    return sum(stop - start for start, stop in spans)


def _claim(folder: Path, facts: dict[str, float]) -> None:
    """Create the folder, or check that it contains captures of the same settings."""
    path, text = folder / "home.json", json.dumps(facts) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise CorpusError(f"{folder}: already contains other files; choose an empty folder")
    write_text(path, text)


def _is_complete(path: Path, seconds: float) -> bool:
    size = _WAV_HEADER_BYTES + 2 * sample_count(seconds)
    return path.is_file() and path.stat().st_size == size


def _as_csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()
