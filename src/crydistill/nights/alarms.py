"""What a detector is worth over a night: false alarms an hour, episodes caught, how late.

A stream is continuous audio with its window scores and the episodes of crying in it. An alert
raised within an episode, or up to `GRACE_SECONDS` after its end (a vote sees the crying late), is
true; any other is a false alarm. An episode is caught if the alert is on at any moment of it, grace
included, and its delay is the time from its start to that moment: 0 if the alert was on already, so
an alert that never ends catches everything at once. The time in alert outside episodes tells.

Votes are simulated on the real score sequences. `independent_rate` is what the binomial formula
would promise if windows were independent of each other, to be shown beside what happened.

Sources: Garwood (see `rates`) for the intervals of rates; `intervals` for those of shares; Martin
et al., "The DET curve in assessment of detection task performance" (1997).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.levels import NEVER, AlertLevels, alert_levels, joined, on_levels
from crydistill.detector.vote import (
    WINDOW_SECONDS,
    Scores,
    Track,
    VoteSettings,
    alerts,
    vote_statistic,
    vote_track,
)
from crydistill.metrics.intervals import REPLICATES, UNDEFINED, Estimate, mean_estimate
from crydistill.metrics.ranking import Floats
from crydistill.metrics.rates import HOURS_PER_NIGHT, rate
from crydistill.metrics.records import plain, plain_estimate
from crydistill.nights.spans import Span, cry_spans, episodes_of

GRACE_SECONDS = 5.0

WINDOWS_PER_HOUR = 3600 / WINDOW_HOP_SECONDS


@dataclass(frozen=True)
class Episode:
    """A stretch of crying with pauses, in seconds from the start of its stream.

    group : of the clips it is made of; episodes of one group are drawn together
    """

    start: float
    end: float
    group: str


@dataclass(frozen=True, eq=False)
class ScoredStream:
    """Continuous audio as a model heard it.

    scores : cry score of each window, `[windows]`
    episodes : in the order of time, more than the grace apart; none in audio without cries

    Raises
    ------
    ValueError
        if two episodes overlap, grace included, or one lies beyond the scores.
    """

    scores: Scores
    episodes: Sequence[Episode] = ()

    def __post_init__(self) -> None:
        ends = [-math.inf, *(episode.end + GRACE_SECONDS for episode in self.episodes)]
        for episode, free_from in zip(self.episodes, ends, strict=False):
            if episode.start <= free_from or episode.end < episode.start:
                raise ValueError(
                    f"episode at {episode.start:.2f} s ends before it starts or overlaps the one "
                    "before, grace included"
                )
        if any(span.start >= span.stop for span in self.spans):
            raise ValueError("an episode lies beyond the last score")

    @cached_property
    def spans(self) -> list[slice]:
        """Windows of each episode: those that end within it, grace included."""
        spans = []
        for episode in self.episodes:
            first = math.ceil((episode.start - WINDOW_SECONDS) / WINDOW_HOP_SECONDS)
            last = math.floor((episode.end + GRACE_SECONDS - WINDOW_SECONDS) / WINDOW_HOP_SECONDS)
            spans.append(slice(max(0, first), min(len(self.scores), last + 1)))
        return spans

    @cached_property
    def outside(self) -> Track:
        """Whether each window ends outside all episodes, `[windows]`."""
        outside = np.ones(len(self.scores), dtype=bool)
        for span in self.spans:
            outside[span] = False
        return outside


@dataclass(frozen=True)
class NightFigures:
    """What one setting did on streams.

    hours : of audio outside episodes
    false_alarms : alerts raised there
    per_hour, per_night : false alarms per hour and per 8 h, with exact Poisson intervals
    episodes : number of them
    caught : share of the episodes, with an interval by drawing groups of episodes
    delays : seconds from the start of each caught episode, in the order of time
    time_in_alert : share of the time outside episodes
    independent_per_hour, independent_share : false alarms per hour and share of windows with enough
        votes that the windows' own false positive rate would mean if they were independent
    enough_share : share of windows outside episodes that have enough votes
    """

    settings: VoteSettings
    hours: float
    false_alarms: int
    per_hour: Estimate
    per_night: Estimate
    episodes: int
    caught: Estimate
    delays: tuple[float, ...]
    time_in_alert: float
    independent_per_hour: float
    independent_share: float
    enough_share: float

    @property
    def median_delay(self) -> float:
        """Seconds; NaN without a caught episode."""
        return float(np.median(self.delays)) if self.delays else math.nan

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; None where undefined."""
        return {
            "settings": self.settings.model_dump(),
            "hours": plain(self.hours),
            "false_alarms": self.false_alarms,
            "false_alarms_per_hour": plain_estimate(self.per_hour),
            "false_alarms_per_night": plain_estimate(self.per_night),
            "episodes": self.episodes,
            "caught": plain_estimate(self.caught),
            "delay_s": {
                "median": plain(self.median_delay),
                "p90": plain(float(np.quantile(self.delays, 0.9)) if self.delays else math.nan),
            },
            "time_in_alert": plain(self.time_in_alert),
            "if_windows_were_independent": {
                "false_alarms_per_hour": plain(self.independent_per_hour),
                "share_with_enough_votes": plain(self.independent_share),
                "observed_share_with_enough_votes": plain(self.enough_share),
            },
        }


@dataclass(frozen=True, eq=False)
class DetCurve:
    """Missed episodes against false alarms, at every threshold where either changes.

    thresholds : falling, from +inf, [k]
    per_hour : false alarms per hour, never falling: the most there are at this threshold or any
        higher one, since below some threshold alerts only merge, [k]
    missed : share of the episodes, never rising; NaN without any, [k]
    """

    thresholds: Floats
    per_hour: Floats
    missed: Floats

    def at(self, per_hour: float) -> tuple[float, float]:
        """Lowest threshold with no more false alarms per hour than this; and share missed there."""
        index = max(0, int(np.searchsorted(self.per_hour, per_hour, side="right")) - 1)
        return float(self.thresholds[index]), float(self.missed[index])

    def corners(self) -> "DetCurve":
        """The points that matter: for each share missed, the highest threshold that reaches it.

        All others have more false alarms and miss as much. Without episodes the points are those at
        which the false alarms rise.
        """
        falling = self.per_hour if np.isnan(self.missed).any() else self.missed
        first = np.flatnonzero(np.append(True, np.diff(falling) != 0))
        return DetCurve(self.thresholds[first], self.per_hour[first], self.missed[first])

    def to_json(self) -> dict[str, list[float | None]]:
        """Columns of plain numbers; the first threshold, infinity, is None."""
        return {
            "threshold": [plain(value) for value in self.thresholds],
            "false_alarms_per_hour": [plain(value) for value in self.per_hour],
            "missed": [plain(value) for value in self.missed],
        }


def labelled_episodes(spans: Iterable[Span], *, group: str) -> tuple[Episode, ...]:
    """Episodes of a recording by its labels for cries, joined where their grace would overlap."""
    joined_spans = episodes_of(cry_spans(spans), gap=GRACE_SECONDS)
    return tuple(Episode(span.start, span.end, group) for span in joined_spans)


def measure_nights(
    streams: Sequence[ScoredStream],
    settings: VoteSettings,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> NightFigures:
    """Run a setting over streams, each from a fresh start."""
    hours = _hours(streams)
    found = [alerts(stream.scores, settings) for stream in streams]
    false_alarms = sum(
        bool(stream.outside[alert.start_window])
        for stream, of_stream in zip(streams, found, strict=True)
        for alert in of_stream
    )
    on = [vote_track(stream.scores, settings) for stream in streams]
    delays = [
        _delay(track, span, episode)
        for stream, track in zip(streams, on, strict=True)
        for span, episode in zip(stream.spans, stream.episodes, strict=True)
    ]
    enough, voting = _negative_shares(streams, settings)
    per_hour = rate(false_alarms, hours)
    return NightFigures(
        settings=settings,
        hours=hours,
        false_alarms=false_alarms,
        per_hour=per_hour,
        per_night=Estimate(*(HOURS_PER_NIGHT * value for value in vars(per_hour).values())),
        episodes=len(delays),
        caught=_share_caught(streams, delays, replicates, seed),
        delays=tuple(delay for delay in delays if delay is not None),
        time_in_alert=_share(on, streams),
        independent_per_hour=independent_rate(voting, settings.n, settings.m),
        independent_share=independent_share(voting, settings.n, settings.m),
        enough_share=enough,
    )


def det_curve(streams: Sequence[ScoredStream], settings: VoteSettings) -> DetCurve:
    """Trade-off of a vote over all thresholds, exactly; the settings' own threshold is ignored."""
    false, caught = _false_levels(streams, settings), _caught_levels(streams, settings)
    thresholds = np.unique(np.concatenate([false.upto, caught[caught > NEVER], [np.inf]]))[::-1]
    counts = np.maximum.accumulate(false.counts(thresholds))
    hours = _hours(streams)
    number = len(caught)
    hit = number - np.searchsorted(np.sort(caught), thresholds.astype(np.float32), side="left")
    return DetCurve(
        thresholds=thresholds.astype(np.float64),
        per_hour=counts / hours if hours else np.full(len(counts), np.nan),
        missed=1 - hit / number if number else np.full(len(counts), np.nan),
    )


def independent_share(share: float, n: int, m: int) -> float:
    """P(at least n of m independent windows vote) where each does with probability `share`."""
    terms = (math.comb(m, k) * share**k * (1 - share) ** (m - k) for k in range(n, m + 1))
    return float(sum(terms))


def independent_rate(share: float, n: int, m: int) -> float:
    """Times an hour that independent windows would come to have enough votes.

    They do at a window that votes, when the one that leaves the last m did not, and exactly n - 1
    of the m - 1 between them did.
    """
    between = math.comb(m - 1, n - 1) * share ** (n - 1) * (1 - share) ** (m - n)
    return float(share * (1 - share) * between * WINDOWS_PER_HOUR)


def _hours(streams: Sequence[ScoredStream]) -> float:
    return sum(int(stream.outside.sum()) for stream in streams) * WINDOW_HOP_SECONDS / 3600


def _delay(on: Track, span: slice, episode: Episode) -> float | None:
    """Seconds from an episode's start to the first window with the alert on; None if missed."""
    heard = np.flatnonzero(on[span])
    if len(heard) == 0:
        return None
    # On at the window before the episode's first means that the parent knows already.
    if span.start > 0 and on[span.start - 1] and heard[0] == 0:
        return 0.0
    known: float = (span.start + int(heard[0])) * WINDOW_HOP_SECONDS + WINDOW_SECONDS
    return max(0.0, known - episode.start)


def _share_caught(
    streams: Sequence[ScoredStream], delays: Sequence[float | None], replicates: int, seed: int
) -> Estimate:
    if not delays:
        return UNDEFINED
    caught = [float(delay is not None) for delay in delays]
    groups = [episode.group for stream in streams for episode in stream.episodes]
    return mean_estimate(caught, groups=groups, replicates=replicates, seed=seed)


def _negative_shares(
    streams: Sequence[ScoredStream], settings: VoteSettings
) -> tuple[float, float]:
    """Shares of the windows outside episodes that have enough votes, and that vote."""
    threshold = np.float32(settings.threshold)
    statistics = [vote_statistic(stream.scores, settings.n, settings.m) for stream in streams]
    enough = _share([statistic >= threshold for statistic in statistics], streams)
    voting = _share([stream.scores >= threshold for stream in streams], streams)
    return enough, voting


def _share(tracks: Sequence[Track], streams: Sequence[ScoredStream]) -> float:
    """Share of the windows outside episodes at which a track is true; NaN without any."""
    parts = [track[stream.outside] for track, stream in zip(tracks, streams, strict=True)]
    together = np.concatenate([*parts, np.empty(0, dtype=bool)])
    return float(together.mean()) if len(together) else math.nan


def _false_levels(streams: Sequence[ScoredStream], settings: VoteSettings) -> AlertLevels:
    found = []
    for stream in streams:
        levels = alert_levels(stream.scores, settings)
        found.append(levels.where(stream.outside[levels.window]))
    return joined(found)


def _caught_levels(streams: Sequence[ScoredStream], settings: VoteSettings) -> Scores:
    """Highest threshold at which each episode is caught, `[episodes]`."""
    found = []
    for stream in streams:
        on = on_levels(stream.scores, settings)
        found += [on[span].max() for span in stream.spans]
    return np.array(found, dtype=np.float32)
