"""Nights: continuous audio heard by several networks at once, and what each made of it.

A night is a stream built from clips of one split (`ClipNight`), where the truth is known to the
sample, or somebody's own recording (`RecordedNight`), with labels or without. `hear` plays it once,
block by block, to all scorers, in memory that does not grow with its length. `judge` then votes on
the score sequences, over thresholds and (N, M) pairs.

Thresholds that are read off the very audio they are reported on are called "in hindsight": they
compare networks and votes, they promise nothing. A student's presets were chosen on other audio.
"""

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile

from crydistill.audio.files import AudioReader
from crydistill.audio.mel import (
    FRAME_HOP,
    FRAME_LENGTH,
    MEL_BANDS,
    SAMPLE_RATE,
    MelStream,
    Samples,
)
from crydistill.audio.windows import WINDOW_FRAMES, WINDOW_HOP_FRAMES, window_count
from crydistill.corpora.clip import Clip, Label
from crydistill.corpora.folder import Where, read_corpus
from crydistill.detector.vote import (
    DEFAULT_HOLD_SECONDS,
    DEFAULT_M,
    DEFAULT_N,
    Alert,
    Scores,
    VoteSettings,
    alerts,
    vote_track,
    window_end_seconds,
)
from crydistill.errors import AudioError, CorpusError
from crydistill.evaluation.alarms import (
    DetCurve,
    Episode,
    NightFigures,
    ScoredStream,
    det_curve,
    labelled_episodes,
    measure_nights,
)
from crydistill.evaluation.intervals import REPLICATES
from crydistill.evaluation.rates import HOURS_PER_NIGHT
from crydistill.evaluation.scorers import Scorer
from crydistill.evaluation.spans import Span
from crydistill.evaluation.streams import (
    Kind,
    StreamOptions,
    StreamPlan,
    compose,
    excerpt,
    measure_clips,
    render,
)
from crydistill.progress import Progress, silent
from crydistill.teacher.base import Recording

FORMAT = 1

DEFAULT_VOTES = ((1, 1), (2, 3), (3, 5), (5, 9), (5, 5), (7, 13))
"""Pairs (N, M) that a night is judged with."""

WANTED_PER_HOUR = (10.0, 1.0, 1 / HOURS_PER_NIGHT)
"""False alarms per hour at which the networks are compared, in hindsight."""

THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95)
"""Thresholds at which every (N, M) pair is tabulated."""

SHOWN_PRESET = "balanced"
SHOWN_PER_HOUR = 1.0
"""Where a network has no such preset, the night view shows its threshold in hindsight for this."""

SNR_BAND_DB = 10.0
"""Episodes are counted by level over the background in bands this wide."""

UNCATEGORISED = "uncategorised"
"""What a clip is of which its corpus does not say."""

UNKNOWN = "no labelled sound"
"""What sounds where no label says."""


@dataclass(frozen=True)
class Sounding:
    """Something that sounds in a night, in seconds from its start.

    what : its category or label ("Cat", "cry")
    clip : id of the clip; empty in a recording
    details : for people ("12.3 dB over the bed, room 3")
    """

    start: float
    end: float
    what: str
    clip: str = ""
    details: str = ""
    cry: bool = False


class Night(Protocol):
    """Continuous audio with what is known about it.

    title, source : for people ("Continuous audio from ...", what it comes from)
    private : nothing derived from it may be published
    seconds : length
    episodes : of crying, in the order of time
    episode_snr_db : level of each episode over the background; empty where it is not known
    labelled : whether it is known where crying is; if not, every alert counts as false
    soundings : what sounds where, in the order of time
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
    def soundings(self) -> Sequence[Sounding]: ...

    def blocks(self) -> Iterator[Samples]:
        """The audio from the start, 16 kHz mono, in blocks that join without a seam."""
        ...

    def excerpts(self, stretches: Sequence[tuple[float, float]]) -> list[Samples | None]:
        """The audio between two times each, in seconds; None where it may not be published."""
        ...

    def facts(self) -> dict[str, Any]:
        """Plain values that say what the night is made of."""
        ...


@dataclass(frozen=True)
class ClipNight:
    """A stream built from clips.

    corpus : the clips, for people ("audio (split dev)")
    unusable : clips that cannot be read or are silent, and why
    """

    plan: StreamPlan
    corpus: str
    unusable: Mapping[str, str] = field(default_factory=dict)
    labelled: bool = True

    @property
    def title(self) -> str:
        return f"Continuous audio from {self.corpus}"

    @property
    def source(self) -> str:
        return self.corpus

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
    def soundings(self) -> Sequence[Sounding]:
        found = []
        for item in self.plan.placed:
            if item.kind is Kind.BED:
                continue
            details = ["dry" if item.room is None else f"room {item.room}"]
            if item.snr_db is not None:
                details.insert(0, f"{item.snr_db:.1f} dB over the bed")
            if item.use:
                details.append("heard before")
            found.append(
                Sounding(
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
            "corpus": self.corpus,
            "seed": plan.seed,
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

    spans : its labels, None without any
    private : as recordings from a home are unless their owner says otherwise
    """

    path: Path
    spans: Sequence[Span] | None = None
    private: bool = True
    episode_snr_db: Sequence[float] = ()

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
        """By the file's header.

        Raises
        ------
        AudioError
            if it cannot be read.
        """
        next(iter(AudioReader(self.path).blocks()))  # says what is wrong, if anything is
        return float(soundfile.info(self.path).duration)

    @cached_property
    def episodes(self) -> tuple[Episode, ...]:
        """Episodes by the labels for cries.

        Raises
        ------
        CorpusError
            if one lies beyond the recording's end.
        """
        found = labelled_episodes(self.spans or (), group=self.path.name)
        for episode in found:
            if episode.start >= self.seconds:
                raise CorpusError(
                    f"{self.path}: a label says crying from {episode.start:.1f} s on, but the "
                    f"recording ends at {self.seconds:.1f} s; the labels belong to another one"
                )
        return found

    @property
    def soundings(self) -> Sequence[Sounding]:
        crying = [Sounding(e.start, e.end, "cry", cry=True) for e in self.episodes]
        other = [
            Sounding(span.start, span.end, span.label)
            for span in self.spans or ()
            if not any(e.start <= span.start and span.end <= e.end for e in self.episodes)
        ]
        return sorted([*crying, *other], key=lambda sounding: sounding.start)

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


@dataclass(frozen=True, eq=False)
class Heard:
    """A scorer and the cry score it gave each window of a night, `[windows]`."""

    scorer: Scorer
    scores: Scores


@dataclass(frozen=True, eq=False)
class VoteResult:
    """What one (N, M) pair makes of a night.

    curve : over all thresholds, without the points that others beat
    at_rates : in hindsight, at the lowest threshold with no more than so many false alarms an hour
    at_thresholds : at fixed thresholds
    """

    n: int
    m: int
    curve: DetCurve
    at_rates: Mapping[float, NightFigures]
    at_thresholds: Sequence[NightFigures]

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "m": self.m,
            "in_hindsight": [
                {"wanted_per_hour": wanted, **figures.to_json()}
                for wanted, figures in self.at_rates.items()
            ],
            "at_thresholds": [figures.to_json() for figures in self.at_thresholds],
            "det": self.curve.to_json(),
        }


@dataclass(frozen=True)
class SnrBand:
    """How many of the episodes between two levels over the background were caught."""

    from_db: float
    to_db: float
    episodes: int
    caught: int


@dataclass(frozen=True)
class FalseAlarm:
    """An alert outside episodes and what sounded most of the time from its onset to its raising."""

    alert: Alert
    sounding: Sounding | None

    @property
    def what(self) -> str:
        return self.sounding.what if self.sounding else UNKNOWN

    @property
    def clip(self) -> str:
        """Id of the clip that sounded; empty where none did or none is known."""
        return self.sounding.clip if self.sounding else ""


@dataclass(frozen=True, eq=False)
class ModelResult:
    """What one network made of a night.

    presets : figures at the student's own presets; none for a teacher
    shown : the setting whose alerts the night view shows, and why this one
    """

    heard: Heard
    presets: Mapping[str, NightFigures]
    votes: Sequence[VoteResult]
    shown: VoteSettings
    shown_because: str
    false_alarms: Sequence[FalseAlarm]
    true_alerts: Sequence[Alert]
    missed: Sequence[Episode]
    by_snr: Sequence[SnrBand]

    @property
    def name(self) -> str:
        return self.heard.scorer.name

    def vote(self, n: int, m: int) -> VoteResult | None:
        """What a pair made of it; None if the night was not judged with it."""
        return next((vote for vote in self.votes if (vote.n, vote.m) == (n, m)), None)

    def false_alarms_by_sound(self) -> dict[str, int]:
        """How many false alarms each kind of sound raised, most first."""
        return dict(Counter(alarm.what for alarm in self.false_alarms).most_common())

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.heard.scorer.kind.value,
            "sha256": self.heard.scorer.fingerprint,
            "presets": {name: figures.to_json() for name, figures in self.presets.items()},
            "votes": [vote.to_json() for vote in self.votes],
            "shown": {
                "because": self.shown_because,
                "settings": self.shown.model_dump(),
                "false_alarms_by_sound": self.false_alarms_by_sound(),
                "missed_episodes": len(self.missed),
                "by_snr": [asdict(band) for band in self.by_snr],
            },
        }


@dataclass(frozen=True, eq=False)
class NightResult:
    """What every network made of a night."""

    night: Night
    models: Sequence[ModelResult]

    def to_json(self) -> dict[str, Any]:
        """Plain values; None where undefined. Times and scores of single windows are left out."""
        night = self.night
        return {
            "format": FORMAT,
            "night": {
                "title": night.title,
                "private": night.private,
                "hours": round(night.seconds / 3600, 4),
                "labelled": night.labelled,
                "episodes": len(night.episodes),
                **night.facts(),
            },
            "models": {model.name: model.to_json() for model in self.models},
        }


def read_split(
    path: str | Path, *, where: Where | None = None, private: bool = False
) -> list[Clip]:
    """List the clips of a corpus that a stream may be built from: those of one split.

    Raises
    ------
    CorpusError
        as `read_corpus`, or if the rows chosen have several values in the column `split`, or there
        is a choice of rows but no manifest to choose from.
    """
    path = Path(path)
    manifest = path / "clips.csv" if path.is_dir() else path
    if where and not manifest.is_file():
        raise CorpusError(f"{path}: has no clips.csv with columns to select by; leave --where out")
    clips = read_corpus(path, where=where, private=private)
    splits = _splits(manifest, {clip.id for clip in clips}) if manifest.is_file() else set()
    if len(splits) > 1:
        raise CorpusError(
            f"{manifest}: clips of several splits ({', '.join(sorted(splits))}) would sound in one "
            "night; choose one with --where split=NAME"
        )
    return clips


def clip_night(
    clips: Sequence[Clip],
    *,
    corpus: str,
    options: StreamOptions,
    seed: int,
    bed: Sequence[Clip] = (),
    progress: Progress = silent,
) -> ClipNight:
    """Plan a night from the clips of one split.

    Parameters
    ----------
    clips : cries make the episodes, others are the sounds between; unlabelled ones are left out
    bed : clips that sound in the background; they are not among the sounds

    Raises
    ------
    CorpusError
        if there is nothing to build from.
    """
    background = {clip.id for clip in bed}
    cries = [clip for clip in clips if clip.is_cry and options.episodes]
    sounds = [clip for clip in clips if clip.label is Label.NONCRY and clip.id not in background]
    measured, unusable = measure_clips([*cries, *sounds, *bed], progress=progress)
    plan = compose(
        sounds=sounds, cries=cries, bed=bed, measured=measured, options=options, seed=seed
    )
    return ClipNight(plan, corpus, unusable)


def hear(night: Night, scorers: Sequence[Scorer], *, progress: Progress = silent) -> list[Heard]:
    """Play a night once to all scorers.

    Raises
    ------
    AudioError
        if the audio cannot be read.
    """
    with progress("listening", round(night.seconds), "seconds") as advance:
        tracks = score_together(
            night.blocks(), [scorer.score for scorer in scorers], heard=_in_seconds(advance)
        )
    return [Heard(scorer, track) for scorer, track in zip(scorers, tracks, strict=True)]


def score_together(
    blocks: Iterable[Samples],
    scores: Sequence[Callable[[Recording], Scores]],
    *,
    heard: Callable[[int], None] = lambda samples: None,
) -> list[Scores]:
    """Score audio block by block; the front end is computed once for all.

    Parameters
    ----------
    scores : give the windows of a piece of audio a score each; see `Scorer.score`
    heard : is told how many samples of each block were scored

    Returns
    -------
    one array `[windows]` per function; the windows are those of the whole audio.
    """
    tracks: list[list[Scores]] = [[np.empty(0, dtype=np.float32)] for _ in scores]
    mel = MelStream()
    samples = np.empty(0, dtype=np.float32)
    frames = np.empty((0, MEL_BANDS), dtype=np.float32)
    for block in blocks:
        samples = np.concatenate([samples, block])
        frames = np.concatenate([frames, mel.push(block)])
        count = window_count(len(frames))
        if count:
            piece = _piece(samples, frames, count)
            for track, score in zip(tracks, scores, strict=True):
                track.append(score(piece))
            frames = frames[count * WINDOW_HOP_FRAMES :].copy()
            samples = samples[count * WINDOW_HOP_FRAMES * FRAME_HOP :].copy()
        heard(len(block))
    return [np.concatenate(track) for track in tracks]


def judge(
    night: Night,
    heard: Sequence[Heard],
    *,
    votes: Sequence[tuple[int, int]] = DEFAULT_VOTES,
    hold_seconds: float = DEFAULT_HOLD_SECONDS,
    replicates: int = REPLICATES,
    seed: int = 0,
    progress: Progress = silent,
) -> NightResult:
    """Vote on the scores of a night, over thresholds and (N, M) pairs.

    Raises
    ------
    ConfigError
        if a pair or the hold is out of its range.
    AudioError
        if the night is too short for a window.
    """
    models = []
    with progress("voting", len(heard) * (len(votes) + 1), "votes") as advance:
        for one in heard:
            if len(one.scores) == 0:
                raise AudioError(f"{night.title}: shorter than one window of 0.975 s")
            stream = ScoredStream(one.scores, _heard_episodes(night, len(one.scores)))
            judged = []
            for n, m in votes:
                settings = VoteSettings(threshold=0.0, n=n, m=m, hold_seconds=hold_seconds)
                judged.append(_judge_vote(stream, settings, replicates, seed))
                advance(1)
            models.append(_judge_model(night, one, stream, judged, replicates, seed))
            advance(1)
    return NightResult(night, models)


def _splits(manifest: Path, ids: set[str]) -> set[str]:
    with manifest.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if "split" not in (rows.fieldnames or ()):
            return set()
        return {row["split"] for row in rows if row["path"] in ids}


def _in_seconds(advance: Callable[[int], None]) -> Callable[[int], None]:
    done = 0

    def heard(samples: int) -> None:
        nonlocal done
        before, done = done, done + samples
        advance(done // SAMPLE_RATE - before // SAMPLE_RATE)

    return heard


def _piece(samples: Samples, frames: Samples, count: int) -> Recording:
    """The samples and frames of the first `count` windows and no others."""
    used = (count - 1) * WINDOW_HOP_FRAMES + WINDOW_FRAMES
    return Recording("", samples[: (used - 1) * FRAME_HOP + FRAME_LENGTH], frames[:used])


def _heard_episodes(night: Night, windows: int) -> tuple[Episode, ...]:
    """Episodes that begin before the last window ends."""
    return tuple(e for e in night.episodes if e.start < window_end_seconds(windows - 1))


def _judge_vote(
    stream: ScoredStream, settings: VoteSettings, replicates: int, seed: int
) -> VoteResult:
    curve = det_curve([stream], settings)

    def figures(threshold: float) -> NightFigures:
        at = settings.model_copy(update={"threshold": threshold})
        return measure_nights([stream], at, replicates=replicates, seed=seed)

    chosen = {wanted: curve.at(wanted)[0] for wanted in WANTED_PER_HOUR}
    return VoteResult(
        n=settings.n,
        m=settings.m,
        curve=curve.corners(),
        # Infinity: even a vote that only the highest score raises is wrong too often.
        at_rates={w: figures(max(0.0, t)) for w, t in chosen.items() if math.isfinite(t)},
        at_thresholds=[figures(threshold) for threshold in THRESHOLDS],
    )


def _judge_model(
    night: Night,
    heard: Heard,
    stream: ScoredStream,
    votes: Sequence[VoteResult],
    replicates: int,
    seed: int,
) -> ModelResult:
    presets = {
        name: measure_nights([stream], settings, replicates=replicates, seed=seed)
        for name, settings in heard.scorer.presets.items()
    }
    shown, because = _shown(heard, votes)
    found = alerts(stream.scores, shown)
    on = vote_track(stream.scores, shown)
    false = [alert for alert in found if stream.outside[alert.start_window]]
    sounding = _sounding_during(night.soundings)
    caught = [bool(on[span].any()) for span in stream.spans]
    return ModelResult(
        heard=heard,
        presets=presets,
        votes=votes,
        shown=shown,
        shown_because=because,
        false_alarms=[FalseAlarm(alert, sounding(alert)) for alert in false],
        true_alerts=[alert for alert in found if not stream.outside[alert.start_window]],
        missed=[e for e, was in zip(stream.episodes, caught, strict=True) if not was],
        by_snr=_by_snr(night.episode_snr_db, caught),
    )


def _shown(heard: Heard, votes: Sequence[VoteResult]) -> tuple[VoteSettings, str]:
    presets = heard.scorer.presets
    if SHOWN_PRESET in presets:
        return presets[SHOWN_PRESET], f"preset {SHOWN_PRESET}"
    for vote in sorted(votes, key=lambda vote: (vote.n, vote.m) != (DEFAULT_N, DEFAULT_M)):
        if SHOWN_PER_HOUR in vote.at_rates:
            because = f"{SHOWN_PER_HOUR:g} false alarm an hour, in hindsight"
            return vote.at_rates[SHOWN_PER_HOUR].settings, because
    highest = float(np.nanmax(heard.scores))
    return VoteSettings(threshold=max(0.0, highest)), "highest score"


def _by_snr(levels: Sequence[float], caught: Sequence[bool]) -> list[SnrBand]:
    bands: dict[float, list[bool]] = {}
    for level, was in zip(levels, caught, strict=False):
        bands.setdefault(math.floor(level / SNR_BAND_DB) * SNR_BAND_DB, []).append(was)
    return [
        SnrBand(low, low + SNR_BAND_DB, len(inside), sum(inside))
        for low, inside in sorted(bands.items())
    ]


def _sounding_during(soundings: Sequence[Sounding]) -> Callable[[Alert], Sounding | None]:
    """Finds what sounds longest from an alert's onset to its raising."""
    starts = np.array([sounding.start for sounding in soundings])
    ends = np.array([sounding.end for sounding in soundings])

    def during(alert: Alert) -> Sounding | None:
        seconds = np.minimum(ends, alert.raised_at) - np.maximum(starts, alert.onset)
        if seconds.max(initial=0.0) <= 0:
            return None
        return soundings[int(seconds.argmax())]

    return during
