"""Private recordings from a user's home: listed, timed, tiered and split; never labelled.

A deployed device leaves a folder of short recordings, typically 40 s at 16 kHz. Their names carry
the local time with its offset from UTC (`cry-YYYYMMDDThhmmss+hhmm.wav`); others are timed by the
file's modification time. An optional CSV file with the columns `file` and `tier` says how sure
someone or something is that a recording holds crying.

Every clip is private: nothing derived from it may be published (docs/privacy.md).
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path

import numpy as np
import soundfile

from crydistill.audio.files import AUDIO_SUFFIXES
from crydistill.boundary import require_outside_work_tree
from crydistill.corpora.clip import Clip, Label
from crydistill.corpora.table import read_rows
from crydistill.errors import ConfigError, CorpusError
from crydistill.settings import CAPTURES_VARIABLE

TIER_COLUMNS = ("file", "tier")

BURST_GAP_SECONDS = 300.0
"""Captures that start closer together than this tend to record the same sounds."""

BURST_SPAN_SECONDS = 600.0
"""A burst longer than this is cut, or a night recorded without a pause could not be split."""

_TIME_IN_NAME = re.compile(r"(?<!\d)(\d{8}T\d{6})(Z|[+-]\d{4})?(?!\d)")


class Tier(StrEnum):
    """How sure a capture's source is that it holds crying."""

    HIGH_POS = "high_pos"
    MEDIUM_POS = "medium_pos"
    LOW = "low"
    MEDIUM_NEG = "medium_neg"
    HIGH_NEG = "high_neg"


@dataclass(frozen=True)
class Captures:
    """A folder of home recordings.

    clips : private and unlabelled, in the order of time; a clip's group is its burst
    recorded_at : start of each clip by its id, local time with its offset from UTC
    tier : by clip id, for the clips that the CSV file names
    unreadable : files that are no audio or hold none, by id, with the reason
    """

    clips: Sequence[Clip]
    recorded_at: Mapping[str, datetime]
    tier: Mapping[str, Tier] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def hour(self, clip: Clip) -> int:
        """Local hour of the day in which a clip starts, 0 to 23."""
        return self.recorded_at[clip.id].hour


def read_captures(folder: str | Path | None, *, tiers: str | Path | None = None) -> Captures:
    """List the recordings below a folder; reads their headers, not their audio.

    Parameters
    ----------
    folder : where the recordings lie, outside any git work tree
    tiers : a CSV file with the columns `file` (path below the folder, or a file name that only one
        recording has) and `tier`

    Raises
    ------
    CorpusError
        if the folder is not given, missing, inside a git work tree or without a readable
        recording, if it holds a recording twice, or if the CSV file is malformed (naming the line).
    """
    folder = _existing(folder)
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix.lower() in AUDIO_SUFFIXES
    )
    clips: list[Clip] = []
    unreadable: dict[str, str] = {}
    for path in files:
        clip_id = path.relative_to(folder).as_posix()
        try:
            rate = _rate_of(path)
        except ValueError as error:
            unreadable[clip_id] = str(error)
        else:
            clips.append(_clip(clip_id, path, rate))
    if not clips:
        raise CorpusError(
            f"{folder}: no readable recording below it ({len(unreadable)} unreadable); "
            f"point --captures or {CAPTURES_VARIABLE} at the folder the device's captures are in"
        )
    _require_distinct(clips)
    recorded_at = {clip.id: recording_time(clip.path) for clip in clips}
    clips.sort(key=lambda clip: (recorded_at[clip.id], clip.id))
    known = [*recorded_at, *unreadable]
    tier = {} if tiers is None else _read_tiers(Path(tiers), known)
    return Captures(_in_bursts(clips, recorded_at), recorded_at, tier, unreadable)


def hold_out(
    captures: Captures, *, share: float = 0.2, seed: int = 0
) -> tuple[list[Clip], list[Clip]]:
    """Hold out about `share` of the clips, evenly over the hours of the day and the dates.

    Bursts stay whole. They are dealt out one by one, the largest first and equal ones in random
    order, each to the side that leaves every stratum it belongs to closest to `share`
    (minimisation, as in clinical trials), so that an hour tells nothing about the side. The strata
    are the hour, the date, the hour of that date where it has bursts enough to be shared out, and
    the burst's length: long bursts are mostly crying, and would else stay in training.

    Source: Pocock and Simon, Biometrics 31 (1975).

    Returns
    -------
    (kept, held out), both in the order of time; no burst is on both sides.

    Raises
    ------
    ConfigError
        if `share` is not between 0 and 1.
    CorpusError
        if one of the sides would be empty.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share: must lie between 0 and 1, not {share}")
    bursts: dict[str, list[Clip]] = {}
    for clip in captures.clips:
        bursts.setdefault(clip.group, []).append(clip)
    cell_of = {name: _cell(captures.recorded_at[clips[0].id]) for name, clips in bursts.items()}
    bursts_in = Counter(cell_of.values())
    names = np.random.default_rng(seed).permutation(sorted(bursts)).tolist()
    excess: defaultdict[object, float] = defaultdict(float)  # held out beyond `share`, by stratum
    held: set[str] = set()
    for name in sorted(names, key=lambda name: len(bursts[name]), reverse=True):
        size = len(bursts[name])
        strata: list[object] = [*cell_of[name], ("length", size.bit_length())]
        if bursts_in[cell_of[name]] * share >= 1:
            strata.append(cell_of[name])
        if_held = sum((excess[stratum] + size * (1 - share)) ** 2 for stratum in strata)
        if_kept = sum((excess[stratum] - size * share) ** 2 for stratum in strata)
        for stratum in strata:
            excess[stratum] += size * ((if_held < if_kept) - share)
        if if_held < if_kept:
            held.add(name)
    if not held or len(held) == len(bursts):
        raise CorpusError(
            f"{len(captures.clips)} captures in {len(bursts)} bursts: too few to hold out "
            f"{share:.0%} of them; record more, or choose another share"
        )
    kept = [clip for clip in captures.clips if clip.group not in held]
    return kept, [clip for clip in captures.clips if clip.group in held]


def recording_time(path: Path) -> datetime:
    """When a capture began: from its name, else from the file's modification time.

    A name without an offset, and a modification time, are read in this machine's time zone.
    """
    named = time_in_name(path.name)
    return (named or datetime.fromtimestamp(path.stat().st_mtime)).astimezone(
        named.tzinfo if named else None
    )


def time_in_name(name: str) -> datetime | None:
    """The time that a file name carries, None if it has none. Without an offset it is naive."""
    for match in _TIME_IN_NAME.finditer(name):
        moment, offset = match.groups()
        try:
            local = datetime.strptime(moment, "%Y%m%dT%H%M%S")
            return local if offset is None else local.replace(tzinfo=_zone(offset))
        except ValueError:
            continue
    return None


def _zone(offset: str) -> timezone:
    if offset == "Z":
        return timezone(timedelta(0))
    size = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
    return timezone(-size if offset[0] == "-" else size)


def _existing(folder: str | Path | None) -> Path:
    way = f"pass --captures FOLDER or set {CAPTURES_VARIABLE} to the folder the recordings are in"
    if folder is None or not str(folder).strip():
        raise CorpusError(f"captures: no folder given; {way}")
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder of captures; {way}")
    require_outside_work_tree(folder, "private captures")
    return folder


def _rate_of(path: Path) -> int:
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"cannot be decoded ({str(error.error_string).rstrip('.')})") from error
    if info.frames == 0:
        raise ValueError("no audio in the file")
    return int(info.samplerate)


def _clip(clip_id: str, path: Path, rate: int) -> Clip:
    return Clip(
        id=clip_id,
        path=path,
        label=Label.UNLABELLED,
        group=clip_id,
        source="captures",
        licence="private",
        native_rate=rate,
        private=True,
    )


def _require_distinct(clips: Sequence[Clip]) -> None:
    """Refuse copies: files of one name in several folders, with the same bytes."""
    names = Counter(clip.path.name for clip in clips)
    seen: dict[tuple[str, str], str] = {}
    for clip in clips:
        if names[clip.path.name] > 1:
            with clip.path.open("rb") as file:
                key = clip.path.name, hashlib.file_digest(file, "sha256").hexdigest()
            if key in seen:
                raise CorpusError(
                    f"{clip.path}: the same recording as {seen[key]}; remove one of the two"
                )
            seen[key] = clip.id


def _in_bursts(clips: Sequence[Clip], recorded_at: Mapping[str, datetime]) -> list[Clip]:
    """Give captures in quick succession one group, named after the first; cells are not crossed."""
    grouped: list[Clip] = []
    first = before = recorded_at[clips[0].id]
    group = clips[0].id
    for clip in clips:
        at = recorded_at[clip.id]
        if (
            (at - before).total_seconds() > BURST_GAP_SECONDS
            or (at - first).total_seconds() >= BURST_SPAN_SECONDS
            or _cell(at) != _cell(first)
        ):
            first, group = at, clip.id
        grouped.append(replace(clip, group=group))
        before = at
    return grouped


def _cell(at: datetime) -> tuple[date, int]:
    return at.date(), at.hour


def _read_tiers(path: Path, known: Sequence[str]) -> dict[str, Tier]:
    if not path.is_file():
        raise CorpusError(
            f"{path}: no such file; it should be a CSV with the columns file and tier"
        )
    by_name = _by_name(known)
    tiers: dict[str, Tier] = {}
    for line, row in read_rows(path, TIER_COLUMNS):
        clip_id = _identify(row["file"].strip(), known, by_name, f"{path}:{line}")
        if clip_id in tiers:
            raise CorpusError(
                f"{path}:{line}: {clip_id} has a tier already; remove one of the rows"
            )
        try:
            tiers[clip_id] = Tier(row["tier"].strip())
        except ValueError as error:
            raise CorpusError(
                f"{path}:{line}: tier '{row['tier']}' is not one of {', '.join(Tier)}"
            ) from error
    return tiers


def _by_name(ids: Sequence[str]) -> dict[str, list[str]]:
    by_name: dict[str, list[str]] = {}
    for clip_id in ids:
        by_name.setdefault(clip_id.rsplit("/", 1)[-1], []).append(clip_id)
    return by_name


def _identify(file: str, known: Sequence[str], by_name: dict[str, list[str]], where: str) -> str:
    if file in known:
        return file
    candidates = by_name.get(file, [])
    if len(candidates) > 1:
        raise CorpusError(
            f"{where}: '{file}' is the name of {len(candidates)} captures; "
            f"give the path below the captures folder, such as {candidates[0]}"
        )
    if not candidates:
        raise CorpusError(f"{where}: no capture '{file}'; correct the name or remove the row")
    return candidates[0]
