"""List and split private, unlabelled recordings from a user's home.

A deployed device leaves a folder of short recordings, typically 40 s at 16 kHz. Their names contain
the local time with its UTC offset (`cry-YYYYMMDDThhmmss+hhmm.wav`); others are dated by the file's
modification time. An optional CSV file with the columns `file` and `tier` gives a confidence that a
recording contains crying.

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

from crydistill.audio.files import native_rate
from crydistill.boundary import require_outside_work_tree
from crydistill.corpora.clip import Clip, Label
from crydistill.corpora.folder import find_recordings
from crydistill.corpora.table import read_rows
from crydistill.errors import AudioError, ConfigError, CorpusError
from crydistill.settings import CAPTURES_VARIABLE

TIER_COLUMNS = ("file", "tier")

BURST_GAP_SECONDS = 300.0
"""Captures that start less than this apart tend to contain the same sounds."""

BURST_SPAN_SECONDS = 600.0
"""Longer bursts are divided, since a night of continuous recording could not be split otherwise."""

_TIME_IN_NAME = re.compile(r"(?<!\d)(\d{8}T\d{6})(Z|[+-]\d{4})?(?!\d)")


class Tier(StrEnum):
    """Confidence of a capture's source that it contains crying."""

    HIGH_POS = "high_pos"
    MEDIUM_POS = "medium_pos"
    LOW = "low"
    MEDIUM_NEG = "medium_neg"
    HIGH_NEG = "high_neg"


@dataclass(frozen=True)
class Captures:
    """A folder of home recordings.

    clips : private and unlabelled, in chronological order; a clip's group is its burst
    recorded_at : start of each clip by id, local time with UTC offset
    tier : by clip id, for the clips in the CSV file
    unreadable : files that cannot be decoded, are empty or of no kind that is read: the reason by
        id
    """

    clips: Sequence[Clip]
    recorded_at: Mapping[str, datetime]
    tier: Mapping[str, Tier] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def hour(self, clip: Clip) -> int:
        """Local hour of the day of a clip's start, 0 to 23."""
        return self.recorded_at[clip.id].hour


def read_captures(folder: str | Path | None, *, tiers: str | Path | None = None) -> Captures:
    """List the recordings below a folder, reading only their beginnings.

    Parameters
    ----------
    folder : folder of the recordings, outside any git work tree
    tiers : a CSV file with the columns `file` (path below the folder, or a file name if unique) and
        `tier`

    Raises
    ------
    CorpusError
        if the folder is not given, missing, in a git work tree or without a readable recording, if
        it contains a recording twice, or if the CSV file is malformed (naming the line).
    """
    folder = _checked_folder(folder)
    files, others = find_recordings(folder)
    clips: list[Clip] = []
    unreadable = {
        _id(path, folder): "not of a kind that is read, not to be opened, or its name is not UTF-8"
        for path in others
    }
    for path in files:
        clip_id = _id(path, folder)
        try:
            rate = native_rate(path)
        except AudioError as error:
            unreadable[clip_id] = str(error).removeprefix(f"{path}: ")
        else:
            clips.append(_clip(clip_id, path, rate))
    if not clips:
        raise CorpusError(
            f"{folder}: no readable recording below it ({len(unreadable)} unreadable); "
            f"set {CAPTURES_VARIABLE} to the folder the device's captures are in"
        )
    _require_distinct(clips)
    recorded_at = {clip.id: recording_time(clip.path) for clip in clips}
    clips.sort(key=lambda clip: (recorded_at[clip.id], clip.id))
    known = [*recorded_at, *unreadable]
    tier = {} if tiers is None else _read_tiers(Path(tiers), known)
    return Captures(_grouped_in_bursts(clips, recorded_at), recorded_at, tier, unreadable)


def hold_out(
    captures: Captures, *, share: float = 0.2, seed: int = 0
) -> tuple[list[Clip], list[Clip]]:
    """Grouped, stratified hold-out: about `share` of the clips, balanced over hours and dates.

    Bursts are never divided. They are assigned one by one, the largest first and ties in random
    order, each to the side that brings its strata closest to `share` (minimisation, as in clinical
    trials), so that the time of day does not predict the side. The strata are the hour, the date,
    the hour of that date if it has enough bursts, and the burst's length: long bursts are mostly
    crying and would otherwise all stay in training.

    Source: Pocock and Simon, Biometrics 31 (1975).

    Returns
    -------
    (kept, held out), both in chronological order; they share no burst.

    Raises
    ------
    ConfigError
        if `share` is not between 0 and 1.
    CorpusError
        if one of the sides would be empty.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share: must be between 0 and 1, not {share}")
    bursts: dict[str, list[Clip]] = {}
    for clip in captures.clips:
        bursts.setdefault(clip.group, []).append(clip)
    cell_of = {name: _cell(captures.recorded_at[clips[0].id]) for name, clips in bursts.items()}
    bursts_in = Counter(cell_of.values())
    names = np.random.default_rng(seed).permutation(sorted(bursts)).tolist()
    excess: defaultdict[object, float] = defaultdict(float)  # clips held out above `share`
    held: set[str] = set()
    for name in sorted(names, key=lambda name: len(bursts[name]), reverse=True):
        size = len(bursts[name])
        strata: list[object] = [*cell_of[name], ("length", size.bit_length())]
        if bursts_in[cell_of[name]] * share >= 1:
            strata.append(cell_of[name])
        # Added one by one: `sum` rounds in another way from Python 3.12 on, and near-ties would
        # then be held out on one version and kept on another.
        if_held = if_kept = 0.0
        for stratum in strata:
            if_held += (excess[stratum] + size * (1 - share)) ** 2
            if_kept += (excess[stratum] - size * share) ** 2
        for stratum in strata:
            excess[stratum] += size * ((if_held < if_kept) - share)
        if if_held < if_kept:
            held.add(name)
    if not held or len(held) == len(bursts):
        raise CorpusError(
            f"{len(captures.clips)} captures in {len(bursts)} bursts: too few to hold out "
            f"{share:.0%}; record more, or choose another share"
        )
    kept = [clip for clip in captures.clips if clip.group not in held]
    return kept, [clip for clip in captures.clips if clip.group in held]


def recording_time(path: Path) -> datetime:
    """Return a capture's start time from its name, else from the file's modification time.

    A name without a UTC offset and a modification time are taken in this machine's time zone.
    """
    named = time_in_name(path.name)
    return (named or datetime.fromtimestamp(path.stat().st_mtime)).astimezone(
        named.tzinfo if named else None
    )


def time_in_name(name: str) -> datetime | None:
    """Parse the time in a file name; None if there is none, naive if it has no UTC offset."""
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


def _checked_folder(folder: str | Path | None) -> Path:
    hint = f"set the environment variable {CAPTURES_VARIABLE} to the folder of the recordings"
    if folder is None or not str(folder).strip():
        raise CorpusError(f"captures: no folder given; {hint}")
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder of captures; {hint}")
    require_outside_work_tree(folder, "private captures")
    return folder


def _id(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


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
    """Refuse duplicates: files of the same name and content in several folders."""
    names = Counter(clip.path.name for clip in clips)
    seen: dict[tuple[str, str], str] = {}
    for clip in clips:
        if names[clip.path.name] > 1:
            with clip.path.open("rb") as file:
                key = clip.path.name, hashlib.file_digest(file, "sha256").hexdigest()
            if key in seen:
                raise CorpusError(
                    f"{clip.path}: the same recording as {seen[key]}; keep one of the two elsewhere"
                )
            seen[key] = clip.id


def _grouped_in_bursts(clips: Sequence[Clip], recorded_at: Mapping[str, datetime]) -> list[Clip]:
    """Group captures in quick succession, named after the first; no group spans two cells."""
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
            f"{path}: no such file; expected a CSV file with the columns file and tier"
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
