"""False alarms per hour, missed episodes and detection delay of a detector on continuous audio.

A stream is continuous audio with its window scores and its episodes of crying. An alert raised
within an episode, or up to `GRACE_SECONDS` after its end (the vote lags the crying), is true; any
other is a false alarm. An episode is caught if the alert is on at any time in it, grace included,
and its delay is the time from its start until then: 0 if the alert was already on, so an alert that
never ends catches everything without delay. The time in alert outside episodes reveals that.

Votes are simulated on the actual score sequences. `independent_rate` is the rate by the binomial
formula, as if windows were independent, for comparison with the measured rate.

Sources: Garwood (see `rates`) for the intervals of rates; `intervals` for those of shares; Martin
et al., "The DET curve in assessment of detection task performance" (1997).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

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

    group : of the clips it is made of; the bootstrap draws episodes of a group together
    """

    start: float
    end: float
    group: str


@dataclass(frozen=True, eq=False)
class ScoredStream:
    """Continuous audio as a model's window scores, with its episodes of crying.

    scores : cry score of each window, `[windows]`
    episodes : in order of time, more than the grace apart; none in audio without cries

    Raises
    ------
    ValueError
        if two episodes overlap, grace included, or one starts after the last score.
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
            raise ValueError("an episode starts after the last score")

    @cached_property
    def spans(self) -> list[slice]:
        """Windows of each episode: those that end within it, grace included."""
        spans = []
        for episode in self.episodes:
            first = math.ceil((episode.start - WINDOW_SECONDS) / WINDOW_HOP_SECONDS)
            last = math.floor((episode.end + GRACE_SECONDS - WINDOW_SECONDS) / WINDOW_HOP_SECONDS)
            spans.append(slice(max(0, first), min(len(self.scores), last + 1)))
        return spans

    @property
    def bounds(self) -> npt.NDArray[np.int64]:
        """Each episode's first window and the one after its last, `[episodes, 2]`."""
        bounds = [(span.start, span.stop) for span in self.spans]
        return np.array(bounds, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def outside(self) -> Track:
        """Whether each window ends outside all episodes, `[windows]`."""
        outside = np.ones(len(self.scores), dtype=bool)
        for span in self.spans:
            outside[span] = False
        return outside


@dataclass(frozen=True)
class NightFigures:
    """Metrics of one detector setting on streams.

    passes : how often the streams hold the same clips, composed anew
    hours : of audio outside episodes, in one pass
    false_alarms : alerts raised there, in all passes
    per_hour, per_night : false alarms per hour and per 8 h, with the exact Poisson interval of one
        pass: the same clips in another order are no new evidence
    episodes : number of episodes
    caught : share of the episodes, with a bootstrap interval over their groups
    delays : detection delay of each caught episode in seconds, in order of time
    time_in_alert : share of the time outside episodes
    independent_per_hour, independent_share : false alarms per hour and share of windows with enough
        votes, predicted from the windows' false positive rate as if they were independent
    enough_share : measured share of windows outside episodes that have enough votes
    """

    settings: VoteSettings
    passes: int
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
        """Median detection delay in seconds; NaN if no episode was caught."""
        return float(np.median(self.delays)) if self.delays else math.nan

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; None where undefined."""
        return {
            "settings": self.settings.model_dump(),
            "passes": self.passes,
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
    """DET curve: miss rate against false alarms per hour, at every threshold where either changes.

    thresholds : falling, from +inf, [k]
    per_hour : false alarms per hour, never falling: the maximum at this or any higher threshold,
        since at low thresholds alerts merge, [k]
    missed : share of the episodes missed, never rising; NaN without episodes, [k]
    """

    thresholds: Floats
    per_hour: Floats
    missed: Floats

    def at(self, per_hour: float) -> tuple[float, float]:
        """Lowest threshold with at most this many false alarms per hour, and its miss rate."""
        index = max(0, int(np.searchsorted(self.per_hour, per_hour, side="right")) - 1)
        return float(self.thresholds[index]), float(self.missed[index])

    def corners(self) -> "DetCurve":
        """The Pareto-optimal points: for each miss rate, the highest threshold that reaches it.

        All other points have more false alarms at the same miss rate. Without episodes, the points
        at which the false alarms rise.
        """
        falling = self.per_hour if np.isnan(self.missed).any() else self.missed
        first = np.flatnonzero(np.append(True, np.diff(falling) != 0))
        return DetCurve(self.thresholds[first], self.per_hour[first], self.missed[first])

    def to_json(self) -> dict[str, list[float | None]]:
        """Columns of plain numbers; the infinite first threshold is None."""
        return {
            "threshold": [plain(value) for value in self.thresholds],
            "false_alarms_per_hour": [plain(value) for value in self.per_hour],
            "missed": [plain(value) for value in self.missed],
        }


def labelled_episodes(spans: Iterable[Span], *, group: str) -> tuple[Episode, ...]:
    """Episodes of a recording from its cry labels, merged where they would overlap with grace."""
    joined_spans = episodes_of(cry_spans(spans), gap=GRACE_SECONDS)
    return tuple(Episode(span.start, span.end, group) for span in joined_spans)


def measure_nights(
    streams: Sequence[ScoredStream],
    settings: VoteSettings,
    *,
    passes: int = 1,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> NightFigures:
    """Evaluate one detector setting on streams, resetting the vote for each.

    Parameters
    ----------
    passes : how often the streams hold the same clips; narrows no interval
    """
    hours = _hours(streams) / passes
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
    per_hour = rate(false_alarms / passes, hours)
    return NightFigures(
        settings=settings,
        passes=passes,
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
    """Exact DET curve of a vote over all thresholds; the settings' own threshold is ignored."""
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
    """P(at least n of m independent windows vote), each voting with probability `share`."""
    terms = (math.comb(m, k) * share**k * (1 - share) ** (m - k) for k in range(n, m + 1))
    return float(sum(terms))


def independent_rate(share: float, n: int, m: int) -> float:
    """How often per hour independent windows would reach enough votes.

    They do at a window that votes if the one that drops out of the last m did not, and exactly
    n - 1 of the m - 1 in between did.
    """
    between = math.comb(m - 1, n - 1) * share ** (n - 1) * (1 - share) ** (m - n)
    return float(share * (1 - share) * between * WINDOWS_PER_HOUR)


def _hours(streams: Sequence[ScoredStream]) -> float:
    return sum(int(stream.outside.sum()) for stream in streams) * WINDOW_HOP_SECONDS / 3600


def _delay(on: Track, span: slice, episode: Episode) -> float | None:
    """Seconds from an episode's start to the first window with the alert on; None if missed."""
    active = np.flatnonzero(on[span])
    if len(active) == 0:
        return None
    # If the alert was on before the episode's first window, the parent is alerted already.
    if span.start > 0 and on[span.start - 1] and active[0] == 0:
        return 0.0
    detected: float = (span.start + int(active[0])) * WINDOW_HOP_SECONDS + WINDOW_SECONDS
    return max(0.0, detected - episode.start)


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
    """Of the windows outside episodes, the shares with enough votes and with a vote."""
    threshold = np.float32(settings.threshold)
    statistics = [vote_statistic(stream.scores, settings.n, settings.m) for stream in streams]
    enough = _share([statistic >= threshold for statistic in statistics], streams)
    voting = _share([stream.scores >= threshold for stream in streams], streams)
    return enough, voting


def _share(tracks: Sequence[Track], streams: Sequence[ScoredStream]) -> float:
    """Share of the windows outside episodes for which a track is true; NaN without any."""
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
