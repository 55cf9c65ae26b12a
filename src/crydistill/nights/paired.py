"""Compare two networks on the same nights: episodes caught at the same rate of false alarms.

The difference has a paired bootstrap interval: groups are drawn with replacement (those that cry
and the others apart, `metrics.intervals`), and in each draw both networks get their own hindsight
threshold anew, the lowest that keeps to the rate on what was drawn. Which sounds happen to be in a
night decides the threshold as much as the episodes decide the catch; with fixed thresholds that
half of the uncertainty would be missing. Several nights of the same clips are pooled by group, so
that they narrow no interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.levels import alert_levels, on_levels
from crydistill.detector.vote import VoteSettings, window_end_seconds
from crydistill.metrics.intervals import REPLICATES, Estimate, GroupBootstrap, Weights
from crydistill.metrics.ranking import Floats
from crydistill.metrics.records import plain_estimate
from crydistill.nights.alarms import ScoredStream
from crydistill.nights.night import Origin

Numbers = npt.NDArray[np.int64]

_FEWEST_ALARMS = 50
_MORE_ALARMS = 10.0
"""Thresholds are tried down to this multiple of the allowed false alarms, and at least down to
`_FEWEST_ALARMS`: no draw of groups holds that many fewer."""


@dataclass(frozen=True)
class PairedCatch:
    """Share of episodes that two networks catch at one rate of false alarms, and the difference."""

    ours: str
    theirs: str
    per_hour: float
    our_share: Estimate
    their_share: Estimate
    difference: Estimate

    def to_json(self) -> dict[str, Any]:
        return {
            "ours": self.ours,
            "theirs": self.theirs,
            "wanted_per_hour": self.per_hour,
            "our_share": plain_estimate(self.our_share),
            "their_share": plain_estimate(self.their_share),
            "difference": plain_estimate(self.difference),
        }


@dataclass(frozen=True, eq=False)
class Listener:
    """A network's scores of some nights, and its vote (the threshold is ignored)."""

    name: str
    streams: Sequence[ScoredStream]
    settings: VoteSettings


@dataclass(frozen=True, eq=False)
class _Counts:
    """What a network does, by group and threshold (falling).

    alarms : false alarms raised, `[groups, thresholds]`
    caught : episodes caught, `[groups, thresholds]`
    episodes, hours : `[groups]`
    """

    alarms: Numbers
    caught: Numbers
    episodes: Numbers
    hours: Floats

    def share_caught(self, per_hour: float, weights: Weights) -> Floats:
        """Share caught at the lowest threshold that keeps to the rate, `[rows]`."""
        alarms = np.maximum.accumulate(weights @ self.alarms, axis=1)
        allowed = alarms <= per_hour * (weights @ self.hours)[:, None]
        index = np.maximum(allowed.sum(axis=1) - 1, 0)
        # Above the highest score nothing is caught; it is the first threshold.
        caught = np.take_along_axis(weights @ self.caught, index[:, None], axis=1)[:, 0]
        return np.asarray(caught / (weights @ self.episodes))


def compare_pairs(
    listeners: Sequence[Listener],
    origins: Sequence[Sequence[Origin]],
    *,
    rates: Sequence[float],
    replicates: int = REPLICATES,
    seed: int = 0,
) -> list[PairedCatch]:
    """Compare every network with each before it, at every rate of false alarms per hour.

    Parameters
    ----------
    listeners : with streams of the same nights in the same order
    origins : of each night; a false alarm belongs to the group of the bout it is raised in or after

    Returns
    -------
    nothing if there are fewer than two networks, no episodes, or nights without origins.
    """
    if len(listeners) < 2 or not all(origins) or not any(s.episodes for s in listeners[0].streams):
        return []
    names = sorted({origin.group for of_night in origins for origin in of_night})
    found = []
    for per_hour in rates:
        counts = [_counts(one, origins, names, per_hour) for one in listeners]
        bootstrap = GroupBootstrap(
            groups=names, labels=counts[0].episodes > 0, replicates=replicates, seed=seed
        )

        def shares(
            weights: Weights, counts: Sequence[_Counts] = counts, per_hour: float = per_hour
        ) -> Floats:
            return np.stack([one.share_caught(per_hour, weights) for one in counts], axis=1)

        resampled = bootstrap.run(shares)
        found += [
            PairedCatch(
                ours=listeners[at].name,
                theirs=listeners[other].name,
                per_hour=per_hour,
                our_share=resampled[at].estimate(),
                their_share=resampled[other].estimate(),
                difference=(resampled[at] - resampled[other]).estimate(),
            )
            for at in range(len(listeners))
            for other in range(at)
        ]
    return found


def _counts(
    listener: Listener,
    origins: Sequence[Sequence[Origin]],
    names: Sequence[str],
    per_hour: float,
) -> _Counts:
    number = {name: index for index, name in enumerate(names)}
    owners = [
        _owners(stream, of_night, number)
        for stream, of_night in zip(listener.streams, origins, strict=True)
    ]
    hours = np.zeros(len(names))
    groups, above, upto = [], [], []
    for stream, owner in zip(listener.streams, owners, strict=True):
        hours += np.bincount(owner[stream.outside], minlength=len(names))
        levels = alert_levels(stream.scores, listener.settings)
        levels = levels.where(stream.outside[levels.window])
        groups.append(owner[levels.window])
        above.append(levels.above)
        upto.append(levels.upto)
    hours *= WINDOW_HOP_SECONDS / 3600
    thresholds = _thresholds(np.concatenate(upto), per_hour * hours.sum())
    alarms = _raised(
        np.concatenate(groups), np.concatenate(above), np.concatenate(upto), thresholds, len(names)
    )
    episodes = np.zeros(len(names), dtype=np.int64)
    caught = np.zeros((len(names), len(thresholds)), dtype=np.int64)
    for stream in listener.streams:
        on = on_levels(stream.scores, listener.settings)
        for span, episode in zip(stream.spans, stream.episodes, strict=True):
            episodes[number[episode.group]] += 1
            caught[number[episode.group]] += on[span].max() >= thresholds
    return _Counts(alarms, caught, episodes, hours)


def _owners(stream: ScoredStream, origins: Sequence[Origin], number: dict[str, int]) -> Numbers:
    """Number of the group whose bout each window ends in or after, `[windows]`."""
    starts = np.array([origin.start for origin in origins])
    ends = window_end_seconds(0) + WINDOW_HOP_SECONDS * np.arange(len(stream.scores))
    bouts = np.maximum(np.searchsorted(starts, ends, side="right") - 1, 0)
    return np.array([number[origin.group] for origin in origins], dtype=np.int64)[bouts]


def _thresholds(upto: npt.NDArray[np.float32], allowed: float) -> npt.NDArray[np.float32]:
    """Falling thresholds, from +inf, at which one more false alarm is raised."""
    most = int(max(_FEWEST_ALARMS, _MORE_ALARMS * allowed))
    highest = np.unique(np.sort(upto)[::-1][:most])[::-1]
    # The lowest threshold without an alarm is just above its level, where more episodes are caught.
    just_above = np.nextafter(highest, np.float32(np.inf))
    ends = [np.inf] if len(upto) > most else [0.0, np.inf]
    together = np.unique(np.concatenate([highest, just_above, np.array(ends, np.float32)]))[::-1]
    return np.asarray(together, dtype=np.float32)


def _raised(
    groups: Numbers,
    above: npt.NDArray[np.float32],
    upto: npt.NDArray[np.float32],
    thresholds: npt.NDArray[np.float32],
    count: int,
) -> Numbers:
    """False alarms by group and threshold: an alert is raised where above < threshold <= upto."""
    first = np.searchsorted(-thresholds, -upto, side="left")
    last = np.searchsorted(-thresholds, -above, side="left")
    change = np.zeros((count, len(thresholds) + 1), dtype=np.int64)
    np.add.at(change, (groups, first), 1)
    np.add.at(change, (groups, last), -1)
    return np.asarray(np.cumsum(change, axis=1)[:, :-1])
