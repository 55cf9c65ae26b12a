"""Evaluate networks on nights: votes on their scores, over thresholds and (N, M) pairs.

Several nights are the same clips composed with several seeds. Their figures are pooled, and
thresholds are chosen on all of them together; intervals are not narrower than those of one night.

Thresholds chosen on the same audio they are reported on are called "in hindsight": they serve to
compare networks and votes and predict nothing. A student's presets were chosen on other audio.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.settings import DEFAULT_PRESET
from crydistill.detector.vote import (
    DEFAULT_HOLD_SECONDS,
    DEFAULT_M,
    DEFAULT_N,
    WINDOW_SECONDS,
    Alert,
    Scores,
    VoteSettings,
    alerts,
    vote_track,
    window_end_seconds,
)
from crydistill.errors import AudioError
from crydistill.evaluation.scorers import Scorer
from crydistill.metrics.intervals import REPLICATES
from crydistill.metrics.rates import HOURS_PER_NIGHT
from crydistill.nights.alarms import (
    DetCurve,
    Episode,
    NightFigures,
    ScoredStream,
    det_curve,
    measure_nights,
)
from crydistill.nights.hearing import ScoredNight
from crydistill.nights.night import Night, Origin, SoundEvent
from crydistill.nights.paired import Listener, PairedCatch, compare_pairs
from crydistill.progress import Progress, silent

FORMAT = 2

DEFAULT_VOTES = ((1, 1), (2, 3), (3, 5), (5, 9), (5, 5), (7, 13))
"""Pairs (N, M) that a night is evaluated with."""

WANTED_PER_HOUR = (10.0, 1.0, 0.25, 1 / HOURS_PER_NIGHT)
"""False alarms per hour at whose hindsight thresholds the networks are compared."""

PAIRED_PER_HOUR = (1.0, 0.25)
"""Those at which the difference of two networks gets an interval: above one in the hours of a night
of clips, so that the threshold is not a matter of one sound."""

THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95)
"""Thresholds at which every (N, M) pair is tabulated."""

SHOWN_PER_HOUR = 1.0
"""For a network without that preset, the night view shows its hindsight threshold at this rate."""

SNR_BAND_DB = 10.0
"""Episodes are grouped by their level over the background in bands this wide."""

UNKNOWN = "no labelled sound"
"""Sound of a false alarm without a label."""


@dataclass(frozen=True, eq=False)
class VoteResult:
    """Results of one (N, M) pair on a night.

    curve : over all thresholds, Pareto-optimal points only
    at_rates : by false alarms per hour, at the lowest threshold that keeps to it, in hindsight
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
class Part:
    """What a network did in a part of the nights: a band of levels, a source, a corpus.

    hours : of one night, outside episodes, in bouts of this part and the gaps after them; None
        where only episodes have a part
    """

    name: str
    episodes: int
    caught: int
    hours: float | None = None
    false_alarms: int | None = None


@dataclass(frozen=True)
class FalseAlarm:
    """An alert outside episodes, and the sound that was longest between its onset and raising."""

    alert: Alert
    event: SoundEvent | None

    @property
    def what(self) -> str:
        return self.event.what if self.event else UNKNOWN

    @property
    def clip(self) -> str:
        """Id of the sound's clip; empty if there is none or it is not known."""
        return self.event.clip if self.event else ""


@dataclass(frozen=True, eq=False)
class Heard:
    """What a network made of one night at the setting that is shown.

    caught : of each episode, whether it was
    """

    scores: Scores
    false_alarms: Sequence[FalseAlarm]
    true_alerts: Sequence[Alert]
    missed: Sequence[Episode]
    caught: Sequence[bool]


@dataclass(frozen=True, eq=False)
class ModelResult:
    """Results of one network on the nights.

    presets : metrics at the student's own presets; empty for a teacher
    shown, shown_because : the setting whose alerts the night view shows, and why
    nights : at that setting, one by one
    by_snr, by_source, by_corpus : at that setting, in all nights
    """

    scorer: Scorer
    presets: Mapping[str, NightFigures]
    votes: Sequence[VoteResult]
    shown: VoteSettings
    shown_because: str
    nights: Sequence[Heard]
    by_snr: Sequence[Part]
    by_source: Sequence[Part]
    by_corpus: Sequence[Part]

    @property
    def name(self) -> str:
        return self.scorer.name

    @property
    def false_alarms(self) -> list[FalseAlarm]:
        """Those of all nights."""
        return [alarm for heard in self.nights for alarm in heard.false_alarms]

    def vote(self, n: int, m: int) -> VoteResult | None:
        """Results of a pair; None if the night was not evaluated with it."""
        return next((vote for vote in self.votes if (vote.n, vote.m) == (n, m)), None)

    def false_alarms_by_sound(self) -> dict[str, int]:
        """Number of false alarms by kind of sound, most first."""
        return dict(Counter(alarm.what for alarm in self.false_alarms).most_common())

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.scorer.role.value,
            "sha256": self.scorer.fingerprint,
            "presets": {name: figures.to_json() for name, figures in self.presets.items()},
            "votes": [vote.to_json() for vote in self.votes],
            "shown": {
                "because": self.shown_because,
                "settings": self.shown.model_dump(),
                "false_alarms_by_sound": self.false_alarms_by_sound(),
                "missed_episodes": sum(len(heard.missed) for heard in self.nights),
                "by_snr": [asdict(part) for part in self.by_snr],
                "by_source": [asdict(part) for part in self.by_source],
                "by_corpus": [asdict(part) for part in self.by_corpus],
            },
        }


@dataclass(frozen=True, eq=False)
class NightResult:
    """Results of all networks on the nights.

    pairs : differences between networks at the (N, M) that is shown of each
    """

    nights: Sequence[Night]
    models: Sequence[ModelResult]
    pairs: Sequence[PairedCatch] = ()

    @property
    def first(self) -> Night:
        """The night whose timeline is shown."""
        return self.nights[0]

    @property
    def private(self) -> bool:
        return any(night.private for night in self.nights)

    def to_json(self) -> dict[str, Any]:
        """Plain values; None where undefined. Times and scores of windows are not included."""
        return {
            "format": FORMAT,
            "night": {
                "title": self.first.title,
                "private": self.private,
                "nights": len(self.nights),
                "seeds": [night.seed for night in self.nights if night.seed is not None],
                "hours": round(sum(night.seconds for night in self.nights) / 3600, 4),
                "labelled": self.first.labelled,
                "episodes": sum(len(night.episodes) for night in self.nights),
                **self.first.facts(),
            },
            "models": {model.name: model.to_json() for model in self.models},
            "pairs": [pair.to_json() for pair in self.pairs],
        }


def evaluate_nights(
    nights: Sequence[Night],
    scored: Sequence[Sequence[ScoredNight]],
    *,
    votes: Sequence[tuple[int, int]] = DEFAULT_VOTES,
    hold_seconds: float = DEFAULT_HOLD_SECONDS,
    replicates: int = REPLICATES,
    seed: int = 0,
    progress: Progress = silent,
) -> NightResult:
    """Evaluate networks' scores of nights, over thresholds and (N, M) pairs.

    Parameters
    ----------
    nights : a recording, or nights of the same clips composed with several seeds
    scored : for each night, the scores of the same networks in the same order

    Raises
    ------
    ConfigError
        if a pair or the hold time is out of range.
    AudioError
        if a night is shorter than a window.
    """
    by_model = list(zip(*scored, strict=True))
    pooled = [[_stream(*pair) for pair in zip(nights, of, strict=True)] for of in by_model]
    judge = _Judge(nights, replicates, seed)
    models = []
    with progress("voting", len(by_model) * (len(votes) + 2), "votes") as advance:
        for of_model, streams in zip(by_model, pooled, strict=True):
            judged = []
            for n, m in votes:
                settings = VoteSettings(threshold=0.0, n=n, m=m, hold_seconds=hold_seconds)
                judged.append(judge.vote_result(streams, settings))
                advance(1)
            models.append(judge.model_result(of_model[0].scorer, streams, judged))
            advance(1)
        listeners = [
            Listener(model.name, streams, model.shown)
            for model, streams in zip(models, pooled, strict=True)
        ]
        origins = [night.origins for night in nights]
        pairs = compare_pairs(
            listeners, origins, rates=PAIRED_PER_HOUR, replicates=replicates, seed=seed
        )
        advance(len(by_model))
    return NightResult(nights, models, pairs)


def _stream(night: Night, scored: ScoredNight) -> ScoredStream:
    if len(scored.scores) == 0:
        raise AudioError(f"{night.title}: shorter than one window of 0.975 s")
    last = window_end_seconds(len(scored.scores) - 1)
    heard = tuple(episode for episode in night.episodes if episode.start < last)
    return ScoredStream(scored.scores, heard)


@dataclass(frozen=True, eq=False)
class _Judge:
    nights: Sequence[Night]
    replicates: int
    seed: int

    def figures(self, streams: Sequence[ScoredStream], settings: VoteSettings) -> NightFigures:
        passes, replicates = len(self.nights), self.replicates
        return measure_nights(
            streams, settings, passes=passes, replicates=replicates, seed=self.seed
        )

    def vote_result(self, streams: Sequence[ScoredStream], settings: VoteSettings) -> VoteResult:
        curve = det_curve(streams, settings)

        def figures(threshold: float) -> NightFigures:
            return self.figures(streams, settings.model_copy(update={"threshold": threshold}))

        chosen = {wanted: curve.at(wanted)[0] for wanted in WANTED_PER_HOUR}
        return VoteResult(
            n=settings.n,
            m=settings.m,
            curve=curve.corners(),
            # Infinite: even the highest score alone raises too many false alarms.
            at_rates={w: figures(max(0.0, t)) for w, t in chosen.items() if math.isfinite(t)},
            at_thresholds=[figures(threshold) for threshold in THRESHOLDS],
        )

    def model_result(
        self, scorer: Scorer, streams: Sequence[ScoredStream], votes: Sequence[VoteResult]
    ) -> ModelResult:
        shown, because = _shown(scorer, streams, votes)
        heard = [
            _heard(night, stream, shown) for night, stream in zip(self.nights, streams, strict=True)
        ]
        return ModelResult(
            scorer=scorer,
            presets={
                name: self.figures(streams, settings) for name, settings in scorer.presets.items()
            },
            votes=votes,
            shown=shown,
            shown_because=because,
            nights=heard,
            by_snr=_by_snr(self.nights, heard),
            by_source=_by_origin(self.nights, streams, heard, lambda origin: origin.source),
            by_corpus=_by_origin(self.nights, streams, heard, lambda origin: origin.corpus),
        )


def _heard(night: Night, stream: ScoredStream, shown: VoteSettings) -> Heard:
    found = alerts(stream.scores, shown)
    on = vote_track(stream.scores, shown)
    false = [alert for alert in found if stream.outside[alert.start_window]]
    event_during = _longest_event_during(night.sound_events)
    caught = [bool(on[span].any()) for span in stream.spans]
    return Heard(
        scores=stream.scores,
        false_alarms=[FalseAlarm(alert, event_during(alert)) for alert in false],
        true_alerts=[alert for alert in found if not stream.outside[alert.start_window]],
        missed=[e for e, was in zip(stream.episodes, caught, strict=True) if not was],
        caught=caught,
    )


def _shown(
    scorer: Scorer, streams: Sequence[ScoredStream], votes: Sequence[VoteResult]
) -> tuple[VoteSettings, str]:
    if DEFAULT_PRESET in scorer.presets:
        return scorer.presets[DEFAULT_PRESET], f"preset {DEFAULT_PRESET}"
    for vote in sorted(votes, key=lambda vote: (vote.n, vote.m) != (DEFAULT_N, DEFAULT_M)):
        if SHOWN_PER_HOUR in vote.at_rates:
            because = f"{SHOWN_PER_HOUR:g} false alarm an hour, in hindsight"
            return vote.at_rates[SHOWN_PER_HOUR].settings, because
    highest = max(float(np.nanmax(stream.scores)) for stream in streams)
    return VoteSettings(threshold=max(0.0, highest)), "highest score"


def _by_snr(nights: Sequence[Night], heard: Sequence[Heard]) -> list[Part]:
    bands: dict[float, list[bool]] = {}
    for night, of_night in zip(nights, heard, strict=True):
        for level, was in zip(night.episode_snr_db, of_night.caught, strict=False):
            bands.setdefault(math.floor(level / SNR_BAND_DB) * SNR_BAND_DB, []).append(was)
    return [
        Part(f"{low:g} to {low + SNR_BAND_DB:g} dB", len(inside), sum(inside))
        for low, inside in sorted(bands.items())
    ]


def _by_origin(
    nights: Sequence[Night],
    streams: Sequence[ScoredStream],
    heard: Sequence[Heard],
    name_of: Callable[[Origin], str],
) -> list[Part]:
    """By where the bout that sounds, or sounded last, comes from."""
    episodes: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    windows: Counter[str] = Counter()
    false: Counter[str] = Counter()
    for night, stream, of_night in zip(nights, streams, heard, strict=True):
        if not night.origins:
            return []
        names = [name_of(origin) for origin in night.origins]
        starts = [origin.start for origin in night.origins]

        def at(
            seconds: npt.ArrayLike, starts: Sequence[float] = starts, names: list[str] = names
        ) -> list[str]:
            bouts = np.searchsorted(starts, seconds, side="right") - 1
            return [names[bout] for bout in np.maximum(bouts, 0)]

        outside = np.flatnonzero(stream.outside)
        windows.update(at(outside * WINDOW_HOP_SECONDS + WINDOW_SECONDS))
        false.update(at([alarm.alert.raised_at for alarm in of_night.false_alarms]))
        of_episodes = at([episode.start for episode in stream.episodes])
        episodes.update(of_episodes)
        caught.update(n for n, was in zip(of_episodes, of_night.caught, strict=True) if was)
    hours = WINDOW_HOP_SECONDS / 3600 / len(nights)
    return [
        Part(name, episodes[name], caught[name], round(windows[name] * hours, 4), false[name])
        for name in sorted({*windows, *episodes})
    ]


def _longest_event_during(events: Sequence[SoundEvent]) -> Callable[[Alert], SoundEvent | None]:
    """Make the function that finds the longest sound between an alert's onset and raising."""
    starts = np.array([event.start for event in events])
    ends = np.array([event.end for event in events])

    def during(alert: Alert) -> SoundEvent | None:
        seconds = np.minimum(ends, alert.raised_at) - np.maximum(starts, alert.onset)
        if seconds.max(initial=0.0) <= 0:
            return None
        return events[int(seconds.argmax())]

    return during
