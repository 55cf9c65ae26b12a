"""Evaluate networks on a night: votes on their scores, over thresholds and (N, M) pairs.

Thresholds chosen on the same audio they are reported on are called "in hindsight": they serve to
compare networks and votes and predict nothing. A student's presets were chosen on other audio.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crydistill.detector.settings import DEFAULT_PRESET
from crydistill.detector.vote import (
    DEFAULT_HOLD_SECONDS,
    DEFAULT_M,
    DEFAULT_N,
    Alert,
    VoteSettings,
    alerts,
    vote_track,
    window_end_seconds,
)
from crydistill.errors import AudioError
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
from crydistill.nights.night import Night, SoundEvent
from crydistill.progress import Progress, silent

FORMAT = 1

DEFAULT_VOTES = ((1, 1), (2, 3), (3, 5), (5, 9), (5, 5), (7, 13))
"""Pairs (N, M) that a night is evaluated with."""

WANTED_PER_HOUR = (10.0, 1.0, 1 / HOURS_PER_NIGHT)
"""False alarms per hour at whose hindsight thresholds the networks are compared."""

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
class SnrBand:
    """How many of the episodes in a band of levels over the background were caught."""

    from_db: float
    to_db: float
    episodes: int
    caught: int


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
class ModelResult:
    """Results of one network on a night.

    presets : metrics at the student's own presets; empty for a teacher
    shown, shown_because : the setting whose alerts the night view shows, and why
    """

    scored: ScoredNight
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
        return self.scored.scorer.name

    def vote(self, n: int, m: int) -> VoteResult | None:
        """Results of a pair; None if the night was not evaluated with it."""
        return next((vote for vote in self.votes if (vote.n, vote.m) == (n, m)), None)

    def false_alarms_by_sound(self) -> dict[str, int]:
        """Number of false alarms by kind of sound, most first."""
        return dict(Counter(alarm.what for alarm in self.false_alarms).most_common())

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.scored.scorer.role.value,
            "sha256": self.scored.scorer.fingerprint,
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
    """Results of all networks on a night."""

    night: Night
    models: Sequence[ModelResult]

    def to_json(self) -> dict[str, Any]:
        """Plain values; None where undefined. Times and scores of windows are not included."""
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


def evaluate_night(
    night: Night,
    scored: Sequence[ScoredNight],
    *,
    votes: Sequence[tuple[int, int]] = DEFAULT_VOTES,
    hold_seconds: float = DEFAULT_HOLD_SECONDS,
    replicates: int = REPLICATES,
    seed: int = 0,
    progress: Progress = silent,
) -> NightResult:
    """Evaluate networks' scores of a night, over thresholds and (N, M) pairs.

    Raises
    ------
    ConfigError
        if a pair or the hold time is out of range.
    AudioError
        if the night is shorter than a window.
    """
    models = []
    with progress("voting", len(scored) * (len(votes) + 1), "votes") as advance:
        for one in scored:
            if len(one.scores) == 0:
                raise AudioError(f"{night.title}: shorter than one window of 0.975 s")
            stream = ScoredStream(one.scores, _episodes_within(night, len(one.scores)))
            judged = []
            for n, m in votes:
                settings = VoteSettings(threshold=0.0, n=n, m=m, hold_seconds=hold_seconds)
                judged.append(_vote_result(stream, settings, replicates, seed))
                advance(1)
            models.append(_model_result(night, one, stream, judged, replicates, seed))
            advance(1)
    return NightResult(night, models)


def _episodes_within(night: Night, windows: int) -> tuple[Episode, ...]:
    """Episodes that start before the last window ends."""
    return tuple(e for e in night.episodes if e.start < window_end_seconds(windows - 1))


def _vote_result(
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
        # Infinite: even the highest score alone raises too many false alarms.
        at_rates={w: figures(max(0.0, t)) for w, t in chosen.items() if math.isfinite(t)},
        at_thresholds=[figures(threshold) for threshold in THRESHOLDS],
    )


def _model_result(
    night: Night,
    scored: ScoredNight,
    stream: ScoredStream,
    votes: Sequence[VoteResult],
    replicates: int,
    seed: int,
) -> ModelResult:
    presets = {
        name: measure_nights([stream], settings, replicates=replicates, seed=seed)
        for name, settings in scored.scorer.presets.items()
    }
    shown, because = _shown(scored, votes)
    found = alerts(stream.scores, shown)
    on = vote_track(stream.scores, shown)
    false = [alert for alert in found if stream.outside[alert.start_window]]
    event_during = _longest_event_during(night.sound_events)
    caught = [bool(on[span].any()) for span in stream.spans]
    return ModelResult(
        scored=scored,
        presets=presets,
        votes=votes,
        shown=shown,
        shown_because=because,
        false_alarms=[FalseAlarm(alert, event_during(alert)) for alert in false],
        true_alerts=[alert for alert in found if not stream.outside[alert.start_window]],
        missed=[e for e, was in zip(stream.episodes, caught, strict=True) if not was],
        by_snr=_by_snr(night.episode_snr_db, caught),
    )


def _shown(scored: ScoredNight, votes: Sequence[VoteResult]) -> tuple[VoteSettings, str]:
    presets = scored.scorer.presets
    if DEFAULT_PRESET in presets:
        return presets[DEFAULT_PRESET], f"preset {DEFAULT_PRESET}"
    for vote in sorted(votes, key=lambda vote: (vote.n, vote.m) != (DEFAULT_N, DEFAULT_M)):
        if SHOWN_PER_HOUR in vote.at_rates:
            because = f"{SHOWN_PER_HOUR:g} false alarm an hour, in hindsight"
            return vote.at_rates[SHOWN_PER_HOUR].settings, because
    highest = float(np.nanmax(scored.scores))
    return VoteSettings(threshold=max(0.0, highest)), "highest score"


def _by_snr(levels: Sequence[float], caught: Sequence[bool]) -> list[SnrBand]:
    bands: dict[float, list[bool]] = {}
    for level, was in zip(levels, caught, strict=False):
        bands.setdefault(math.floor(level / SNR_BAND_DB) * SNR_BAND_DB, []).append(was)
    return [
        SnrBand(low, low + SNR_BAND_DB, len(inside), sum(inside))
        for low, inside in sorted(bands.items())
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
