"""The alerts of a recording at every threshold at once, exactly, from one pass over its scores.

At threshold t a window has enough votes exactly if t <= `vote_statistic` there, and can end an
alert exactly if t exceeds both that statistic and the highest score of the last H windows (H: the
hold in windows). The latest window of either kind decides, and a lower threshold makes the windows
of the first kind only more and those of the second only fewer. So the alert is on after a window at
the thresholds up to a level, and that level needs nothing but the one before:

    on[-1] = -inf,  on[w] = min(ending[w], max(statistic[w], on[w - 1]))

An alert is raised at window w at the thresholds in (on[w - 1], statistic[w]]. A night of 60,000
windows takes 50 ms, where voting at each threshold anew takes minutes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d

from crydistill.detector.vote import Scores, VoteSettings, vote_statistic

NEVER = np.float32(-np.inf)


@dataclass(frozen=True)
class AlertLevels:
    """At which thresholds which windows raise an alert; windows that never do are left out.

    window : index of the window, rising within a track, [k]
    above, upto : an alert is raised there at thresholds t with above < t <= upto, [k], float32
    """

    window: npt.NDArray[np.int64]
    above: Scores
    upto: Scores

    def counts(self, thresholds: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Number of alerts that are raised at each threshold, `[...]`, as `alerts` finds them."""
        wanted = np.asarray(thresholds, dtype=np.float32)
        begun = np.searchsorted(np.sort(self.upto), wanted, side="left")
        merged = np.searchsorted(np.sort(self.above), wanted, side="left")
        return np.asarray(merged - begun, dtype=np.int64)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "AlertLevels":
        """Keep some of the windows: `chosen` is a truth value each, [k]."""
        return AlertLevels(self.window[chosen], self.above[chosen], self.upto[chosen])

    def falling(self) -> tuple[Scores, npt.NDArray[np.int64]]:
        """The thresholds at which the number of alerts can rise, falling, and the number at each.

        Between two of them, and between the last and 0, the number only falls with the threshold:
        alerts merge.
        """
        thresholds = np.unique(self.upto)[::-1]
        return thresholds, self.counts(thresholds)


def on_levels(scores: npt.ArrayLike, settings: VoteSettings) -> Scores:
    """Highest threshold at which the alert is on after each window; the settings' own is ignored.

    Parameters
    ----------
    scores : [shape=(windows,)], taken as float32; NaN never votes

    Returns
    -------
    np.ndarray [shape=(windows,)], float32; `on_levels(...) >= threshold` is `vote_track`; -inf
    where it is off at any threshold.
    """
    scores = np.asarray(scores, dtype=np.float32)
    statistic = vote_statistic(scores, settings.n, settings.m)
    ending = np.maximum(statistic, _highest_of_last(scores, settings.hold_windows))
    on = np.empty_like(statistic)
    level = float(NEVER)
    # Plain numbers: a loop over NumPy scalars takes five times as long.
    for window, (enough, end) in enumerate(zip(statistic.tolist(), ending.tolist(), strict=True)):
        level = min(end, max(enough, level))
        on[window] = level
    return on


def alert_levels(scores: npt.ArrayLike, settings: VoteSettings) -> AlertLevels:
    """Find at which thresholds each window raises an alert; the settings' own one is ignored.

    Parameters
    ----------
    scores : [shape=(windows,)], taken as float32; NaN never votes
    """
    upto = vote_statistic(scores, settings.n, settings.m)
    above = np.append(NEVER, on_levels(scores, settings))[: len(upto)]
    raising = np.flatnonzero(above < upto)
    return AlertLevels(raising, above[raising], upto[raising])


def joined(tracks: Sequence[AlertLevels]) -> AlertLevels:
    """The levels of several recordings together; windows keep their index in their recording."""
    none = AlertLevels(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32))
    together = [*tracks, none]
    return AlertLevels(
        np.concatenate([levels.window for levels in together]),
        np.concatenate([levels.above for levels in together]),
        np.concatenate([levels.upto for levels in together]),
    )


def _highest_of_last(scores: Scores, windows: int) -> Scores:
    known = np.where(np.isnan(scores), NEVER, scores)
    size = min(windows, len(scores))  # a longer hold sees no more than the track
    if size <= 1:
        return known
    return np.asarray(
        maximum_filter1d(known, size, origin=(size - 1) // 2, mode="constant", cval=NEVER)
    )


def highest_vote(scores: Scores, *, n: int, m: int) -> float:
    """Highest threshold at which a clip raises an alert; 0 for one too short to vote."""
    return max(0.0, float(vote_statistic(scores, n, m).max()))
