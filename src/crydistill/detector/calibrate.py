"""Choose the threshold for a target false-alarm rate from a recording of the room.

The recording should hold the room's sounds without a crying baby (`detector.room` finds what else
would spoil it). For the given vote, the number of alerts in it is known at every
threshold (`detector.levels`), and the threshold is chosen in one of three ways.

COUNTED. If the target rate means at least one alert in a recording of this length, say k: just
above the level at which the k-th alert would be raised. If alerts are independent of each other,
the expected number at such a level is gamma distributed with mean k, which gives both the estimate
and its exact interval. (Allowing k alerts in the recording would mean k + 1 expected: a threshold
looks better than it is on the recording it was chosen on.)

TAIL. If it means less than one alert, the recording cannot show it, and the tail is extrapolated.
Each alert at a low threshold is one cluster of high scores, and its peak the highest vote statistic
in it. On a logit scale the peaks above a level fall off nearly exponentially, so that the alert
rate at a threshold is rate(level) x exp(-(logit - logit of the level) / mean excess). The interval
is from a block bootstrap; it covers sampling error, but neither sounds missing from the recording
nor a tail that is not exponential. The threshold is never so low that the recording itself would
raise an alert.

MAX_MARGIN. The highest vote statistic plus 0.05, whatever rate that means.

No threshold exceeds `REACH` of what the student's output can give. Above that a detector looks
alive and cannot fire: the packaged student's highest score is 0.9999, and none of 191 held-out
recordings of crying keeps five of nine windows above 0.9995; 15 % do so above 0.99 and 31 % above
0.95. Where a threshold is capped, the rate that follows is stated, not the one that was wanted.

Sources: Coles, "An Introduction to Statistical Modeling of Extreme Values" (2001), chapters 4 and
5.3, for peaks over a threshold and their declustering (with shape 0: ten to thirty peaks are
too few to estimate it); Davison and Hinkley, "Bootstrap Methods and their Application" (1997),
chapter 8, for the block bootstrap; the system description's reference detector for max-margin.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, gammaincinv, logit

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.calibrated import CryCheck, Method, Peak, Range, RoomCalibration
from crydistill.detector.levels import AlertLevels, alert_levels, joined
from crydistill.detector.vote import Scores, VoteSettings, alerts, vote_statistic
from crydistill.errors import ConfigError
from crydistill.metrics.intervals import LEVEL, REPLICATES
from crydistill.metrics.rates import HOURS_PER_NIGHT, RULE_OF_THREE, poisson_interval
from crydistill.student.manifest import StudentManifest

MARGIN = 0.05
"""Added to the highest score of the calibration recording, as in the reference recipe."""

MAX_PEAKS, MIN_PEAKS = 30, 5
"""Largest and smallest number of peaks to fit a tail to."""

MAX_BLOCKS, MIN_BLOCK_SECONDS = 20, 60.0
"""Blocks of the bootstrap: largest number, and shortest length of each."""

OUT_OF_REACH = 0.95
"""Fraction of the highest possible score above which a threshold causes a warning."""

REACH = 0.99
"""Fraction of the highest possible score that no threshold exceeds."""

LOUDEST = 5
"""Number of the highest peaks to report, for the user to listen to."""

_SMALLEST_SHARE = float(np.finfo(np.float32).eps)
"""Scores are clipped this far from 0 and from the highest, as a fraction of it."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Recordings:
    """Score tracks of a room, with their alerts at every threshold.

    highest : upper end of the student's scores
    cap : largest threshold allowed
    """

    tracks: list[Scores]
    vote: VoteSettings
    levels: AlertLevels
    highest: float
    cap: np.float32

    @property
    def hours(self) -> float:
        heard = sum(int(np.count_nonzero(~np.isnan(track))) for track in self.tracks)
        return heard * WINDOW_HOP_SECONDS / 3600

    def alerts_at(self, threshold: np.float32) -> int:
        return int(self.levels.counts(threshold))

    def rate_at(self, threshold: np.float32) -> Range:
        """Alerts in 8 h at a threshold, from their number in the recordings."""
        number = self.alerts_at(threshold)
        low, high = poisson_interval(number)
        return Range(
            value=_per_night(number, self.hours),
            low=_per_night(low, self.hours),
            high=_per_night(high, self.hours),
        )

    def peaks_above(self, threshold: np.float32) -> list[Peak]:
        """Highest vote statistic of each alert at a threshold, in time order."""
        vote = self.vote.model_copy(update={"threshold": float(threshold)})
        found = []
        for number, track in enumerate(self.tracks):
            statistic = vote_statistic(track, vote.n, vote.m)
            found += [
                Peak(
                    recording=number,
                    seconds=round(alert.onset, 2),
                    level=float(statistic[alert.start_window : alert.end_window].max()),
                )
                for alert in alerts(track, vote)
            ]
        return found


@dataclass(frozen=True)
class _Tail:
    """Exponential tail of the peaks above a level, for the alert rate beyond it.

    level : logit
    excess : logit of each peak above the level, [peaks]; 0 for the one that defines the level
    block : bootstrap block of each peak, [peaks]
    blocks : number of blocks
    """

    level: float
    excess: Floats
    block: npt.NDArray[np.int64]
    blocks: int

    @property
    def number(self) -> float:
        return float(len(self.excess))

    @property
    def mean(self) -> float:
        # The lowest peak is the level itself and carries no information about the mean.
        return float(self.excess.sum() / (self.number - 1))

    def resampled(self, seed: int) -> tuple[Floats, Floats]:
        """Number and mean excess of the peaks in each resample, `[replicates]`.

        Resamples without peaks, or without any excess, are left out.
        """
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(self.blocks, np.full(self.blocks, 1 / self.blocks), REPLICATES)
        number = np.asarray(drawn @ np.bincount(self.block, minlength=self.blocks), np.float64)
        excess = np.bincount(self.block, self.excess, minlength=self.blocks)
        total = np.asarray(drawn @ excess * self.number / (self.number - 1), np.float64)
        some = (number > 0) & (total > 0)
        # Resampling few peaks underestimates the error of their mean excess: on simulated nights
        # the interval covered the true value in 80 to 90 % of cases. Adding the sampling error of
        # the mean of as many exponential variables raises the coverage to 97 to 99 %.
        scatter = rng.gamma(number[some]) / number[some]
        return number[some], total[some] / number[some] / scatter

    def alerts_at(self, threshold: float, number: Floats, mean: Floats) -> Floats:
        """Expected alerts in a recording of this length at a threshold, given as its logit."""
        return np.asarray(number * np.exp(-(threshold - self.level) / mean))

    def threshold_for(self, wanted: float, number: Floats, mean: Floats) -> Floats:
        """Inverse of `alerts_at`."""
        return np.asarray(self.level + mean * np.log(number / wanted))


def highest_score(manifest: StudentManifest) -> float:
    """Upper end of a student's scale of cry scores: 1, or 1 per independent cry output."""
    return 1.0 if manifest.activation == "softmax" else float(len(manifest.cry_outputs))


def calibrate(
    tracks: Sequence[npt.ArrayLike],
    vote: VoteSettings,
    *,
    wanted_per_night: float,
    highest: float,
    reachable: float = np.inf,
    seed: int = 0,
) -> RoomCalibration:
    """Choose the threshold for a target number of false alarms in 8 hours.

    Parameters
    ----------
    tracks : cry scores of recordings of the room, `[windows]` each; windows with NaN, such as
        those of a known cry, count neither as time nor as votes
    vote : n, m and hold time to calibrate for; its threshold is ignored
    wanted_per_night : target false alarms in 8 hours, above 0
    highest : upper end of the student's scores, see `highest_score`
    reachable : largest score its int8 output gives, see `settings.reachable_score`, if lower
    seed : of the bootstrap

    Raises
    ------
    ConfigError
        if the rate is not above 0, or no recording is long enough to raise an alert.

    Examples
    --------
    Eight hours of made-up scores, and a target of two false alarms per night:

    >>> track = np.random.default_rng(0).beta(1, 9, size=60_000)
    >>> found = calibrate(
    ...     [track], VoteSettings(threshold=0.5), wanted_per_night=2.0, highest=1.0
    ... )
    >>> found.method.value, found.alerts, round(found.vote.threshold, 3)
    ('counted', 1, 0.261)
    >>> found.expected_per_night
    Range(value=2.0, low=0.242..., high=5.571...)
    """
    if not 0 < wanted_per_night < np.inf:
        raise ConfigError(
            f"{wanted_per_night:g} false alarms per night: must be a number above 0; "
            "for one a month choose 0.03"
        )
    recordings = _recordings(tracks, vote, highest, reachable)
    wanted = wanted_per_night * recordings.hours / HOURS_PER_NIGHT
    if wanted >= 1:
        found = _counted(recordings, int(wanted), wanted_per_night)
    else:
        found = _extrapolated(recordings, wanted, wanted_per_night, seed)
    return found.model_copy(
        update={"warnings": (*_too_short(recordings.hours, wanted_per_night), *found.warnings)}
    )


def calibrate_max_margin(
    tracks: Sequence[npt.ArrayLike],
    vote: VoteSettings,
    *,
    highest: float,
    reachable: float = np.inf,
    margin: float = MARGIN,
) -> RoomCalibration:
    """Choose the threshold as in the reference recipe: highest vote statistic plus a margin.

    Parameters
    ----------
    tracks, vote, highest, reachable : as for `calibrate`
    margin : added to the highest vote statistic

    Raises
    ------
    ConfigError
        if no recording is long enough to raise an alert.
    """
    return _max_margin(_recordings(tracks, vote, highest, reachable), margin)


def check_cries(tracks: Sequence[npt.ArrayLike], vote: VoteSettings) -> CryCheck:
    """Test detector settings on score tracks of recordings in which a baby cries."""
    arrays = [np.asarray(track, dtype=np.float32) for track in tracks]
    return CryCheck(
        recordings=len(arrays),
        raised=sum(bool(alerts(track, vote)) for track in arrays),
        windows=sum(map(len, arrays)),
        voting=sum(int((track >= np.float32(vote.threshold)).sum()) for track in arrays),
    )


def _recordings(
    tracks: Sequence[npt.ArrayLike], vote: VoteSettings, highest: float, reachable: float
) -> _Recordings:
    arrays = [np.asarray(track, dtype=np.float32) for track in tracks]
    levels = joined([alert_levels(track, vote) for track in arrays])
    if len(levels.upto) == 0:
        longest = max((int(np.count_nonzero(~np.isnan(track))) for track in arrays), default=0)
        raise ConfigError(
            f"the calibration recording has {longest} windows with a score, too few for a vote of "
            f"{vote.n} among {vote.m}; record at least ten minutes"
        )
    return _Recordings(arrays, vote, levels, highest, np.float32(REACH * min(highest, reachable)))


def _max_margin(recordings: _Recordings, margin: float) -> RoomCalibration:
    threshold = np.float32(recordings.levels.upto.max() + np.float32(margin))
    return _result(
        recordings,
        threshold,
        Method.MAX_MARGIN,
        expected=recordings.rate_at(min(threshold, recordings.cap)),
    )


def _counted(recordings: _Recordings, alerts_: int, wanted_per_night: float) -> RoomCalibration:
    level, number = _level_of(recordings.levels, alerts_)
    threshold = np.nextafter(level, np.float32(np.inf))
    low, high = (float(gammaincinv(number, tail)) for tail in _TAILS)
    warnings: tuple[str, ...] = ()
    if number < alerts_:
        warnings = (
            f"the recording never raises more than {number} alerts, at any threshold: this is the "
            "lowest at which they do not merge, and there will be fewer than you allow",
        )
    chosen = Range(
        value=_per_night(number, recordings.hours),
        low=_per_night(low, recordings.hours),
        high=_per_night(high, recordings.hours),
    )
    # A cap is not chosen on the recording, so that the alerts above it are a plain count.
    capped = threshold > recordings.cap
    return _result(
        recordings,
        threshold,
        Method.COUNTED,
        wanted_per_night=wanted_per_night,
        expected=recordings.rate_at(recordings.cap) if capped else chosen,
        threshold_range=_counted_range(recordings.levels, number),
        warnings=warnings,
    )


def _extrapolated(
    recordings: _Recordings, wanted: float, wanted_per_night: float, seed: int
) -> RoomCalibration:
    highest = recordings.highest
    tail = _tail(recordings)
    if tail is None:
        plain = _max_margin(recordings, MARGIN)
        reason = (
            f"fewer than {MIN_PEAKS} different peaks in the recording, too few to extrapolate "
            f"from: took its highest vote plus {MARGIN}; record longer, with the room's usual "
            "sounds"
        )
        changes = {"wanted_per_night": wanted_per_night, "warnings": (reason, *plain.warnings)}
        return plain.model_copy(update=changes)
    unseen = np.nextafter(recordings.levels.upto.max(), np.float32(np.inf))
    fitted = tail.threshold_for(wanted, np.array(tail.number), np.array(tail.mean))
    threshold = max(unseen, np.float32(_score(fitted, highest)))
    numbers, means = tail.resampled(seed)
    numbers, means = np.append(numbers, tail.number), np.append(means, tail.mean)
    used = min(threshold, recordings.cap)
    expected = tail.alerts_at(_logit(used, highest), numbers, means)
    low, high = np.quantile(expected, _TAILS)
    others = _score(tail.threshold_for(wanted, numbers, means), highest)
    lowest_other, highest_other = np.quantile(others, _TAILS)
    return _result(
        recordings,
        threshold,
        Method.TAIL,
        wanted_per_night=wanted_per_night,
        expected=Range(
            value=_per_night(float(expected[-1]), recordings.hours),
            low=_per_night(float(low), recordings.hours),
            high=_per_night(float(high), recordings.hours),
        ),
        threshold_range=(float(lowest_other), float(highest_other)),
    )


_TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


def _level_of(levels: AlertLevels, alerts_: int) -> tuple[np.float32, int]:
    """Highest level at which `alerts_` alerts are raised, and the number raised there.

    If there are never so many, the level of the largest number.
    """
    thresholds, counts = levels.falling()
    reached = np.maximum.accumulate(counts)
    index = int(np.searchsorted(reached, min(alerts_, int(reached[-1]))))
    return thresholds[index], min(alerts_, int(reached[index]))


def _counted_range(levels: AlertLevels, number: int) -> tuple[float, float]:
    """Confidence interval of the threshold: order statistics at the Poisson interval's ends."""
    fewest, most = poisson_interval(number)
    highest, _ = _level_of(levels, max(1, int(fewest)))
    lowest, _ = _level_of(levels, int(np.ceil(most)))
    return float(lowest), float(highest)


def _tail(recordings: _Recordings) -> _Tail | None:
    """Fit the tail to the highest peaks; None if there are too few, or too few distinct ones."""
    highest = recordings.highest
    _, most = _level_of(recordings.levels, len(recordings.levels.upto))
    # In a short recording, the lower half of the peaks is background, not tail.
    level, _ = _level_of(recordings.levels, min(MAX_PEAKS, max(MIN_PEAKS, most // 2)))
    # A student with memory gives most sounds next to nothing. Such scores differ and have one
    # logit, the lowest: with them among the peaks, the tail would fall off far too fast.
    upto = recordings.levels.upto
    told_apart = upto[upto > _SMALLEST_SHARE * highest]
    if not len(told_apart):
        return None
    level = max(level, told_apart.min())
    peaks = recordings.peaks_above(level)
    logits = score_logits([peak.level for peak in peaks], highest)
    if len(np.unique(logits)) < MIN_PEAKS:
        return None
    base = _logit(level, highest)
    excess = logits - base
    starts = np.cumsum([0, *map(len, recordings.tracks)]) * WINDOW_HOP_SECONDS
    length = float(starts[-1])
    blocks = int(np.clip(length / MIN_BLOCK_SECONDS, 1, MAX_BLOCKS))
    times = np.array([starts[peak.recording] + peak.seconds for peak in peaks])
    block = np.minimum(times / length * blocks, blocks - 1).astype(np.int64)
    return _Tail(base, excess, block, blocks)


def _result(
    recordings: _Recordings,
    threshold: np.float32,
    method: Method,
    *,
    expected: Range,
    wanted_per_night: float | None = None,
    threshold_range: tuple[float, float] | None = None,
    warnings: tuple[str, ...] = (),
) -> RoomCalibration:
    """Cap a threshold and describe it; `expected` is the rate at the capped one."""
    cap = recordings.cap
    capped = bool(threshold > cap)
    # Scores are never negative, and a negative threshold is not allowed.
    threshold = max(np.float32(0), min(threshold, cap))
    lowest, _ = _level_of(recordings.levels, LOUDEST)
    peaks = sorted(recordings.peaks_above(lowest), key=lambda peak: -peak.level)
    return RoomCalibration(
        vote=recordings.vote.model_copy(update={"threshold": float(threshold)}),
        method=method,
        wanted_per_night=wanted_per_night,
        expected_per_night=expected,
        threshold_range=threshold_range and tuple(min(end, float(cap)) for end in threshold_range),
        hours=recordings.hours,
        alerts=recordings.alerts_at(threshold),
        loudest=tuple(peaks[:LOUDEST]),
        warnings=(*warnings, *_out_of_reach(threshold, recordings.highest, capped=capped)),
        capped=capped,
    )


def _too_short(hours: float, wanted_per_night: float) -> tuple[str, ...]:
    limit = _per_night(RULE_OF_THREE, hours)
    if limit <= wanted_per_night:
        return ()
    needed = RULE_OF_THREE * HOURS_PER_NIGHT / wanted_per_night
    return (
        f"{hours:.2g} h of recording cannot promise {wanted_per_night:g} false alarms per night: "
        f"without a single one it would rule out no less than {limit:.{0 if limit >= 10 else 1}f}; "
        f"record {needed:.2g} h to be sure",
    )


def _out_of_reach(threshold: np.float32, highest: float, *, capped: bool) -> tuple[str, ...]:
    if capped:
        return (
            f"this recording asks for a threshold that no cry reaches: capped at "
            f"{threshold:.3f}, which only loud, clear crying reaches, and false alarms may be more "
            "than you allow; record longer, find out what is heard at the times listed, or put the "
            "microphone nearer to the cot",
        )
    if threshold < OUT_OF_REACH * highest:
        return ()
    return (
        f"few cries reach a threshold of {threshold:.3f}: check it on a recording of one, record "
        "longer to know the tail better, or allow more false alarms",
    )


def _per_night(count: float, hours: float) -> float:
    return count / hours * HOURS_PER_NIGHT


def score_logits(scores: npt.ArrayLike, highest: float) -> Floats:
    """Scores on the logistic scale, `[...]`; those too near to 0 or `highest` have its ends."""
    share = np.asarray(scores, dtype=np.float64) / highest
    return np.asarray(logit(np.clip(share, _SMALLEST_SHARE, 1 - _SMALLEST_SHARE)))


def _logit(score: float | np.float32, highest: float) -> float:
    return float(score_logits(score, highest))


def _score(value: Floats, highest: float) -> Floats:
    return np.asarray(expit(value) * highest)
