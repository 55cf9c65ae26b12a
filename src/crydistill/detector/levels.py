"""Find the alerts of a recording at every threshold, exactly, in one pass over its scores.

At threshold t a window has enough votes if and only if t <= `vote_statistic` there, and can end an
alert if and only if t exceeds both that statistic and the highest score of the last H windows (H:
hold time in windows). The latest window of either kind decides, and lowering the threshold can only
add windows of the first kind and remove windows of the second. So after each window the alert is on
at all thresholds up to some level, and that level follows from the previous one:

    on[-1] = -inf,  on[w] = min(ending[w], max(statistic[w], on[w - 1]))

An alert is raised at window w at the thresholds in (on[w - 1], statistic[w]]. A night of 60,000
windows takes 50 ms; repeating the vote at each threshold takes minutes.
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
    """Thresholds at which windows raise an alert; windows that never do are left out.

    window : index of the window, ascending within a track, [k]
    above, upto : an alert is raised there at thresholds t with above < t <= upto, [k], float32
    """

    window: npt.NDArray[np.int64]
    above: Scores
    upto: Scores

    def counts(self, thresholds: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Number of alerts raised at each threshold, `[...]`, equal to that of `vote.alerts`."""
        wanted = np.asarray(thresholds, dtype=np.float32)
        begun = np.searchsorted(np.sort(self.upto), wanted, side="left")
        merged = np.searchsorted(np.sort(self.above), wanted, side="left")
        return np.asarray(merged - begun, dtype=np.int64)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "AlertLevels":
        """Keep the windows selected by the boolean mask `chosen`, [k]."""
        return AlertLevels(self.window[chosen], self.above[chosen], self.upto[chosen])

    def falling(self) -> tuple[Scores, npt.NDArray[np.int64]]:
        """Thresholds at which the number of alerts can rise, descending, and the number at each.

        Between two of them, and between the last and 0, lowering the threshold can only reduce the
        number, as alerts merge.
        """
        thresholds = np.unique(self.upto)[::-1]
        return thresholds, self.counts(thresholds)


def on_levels(scores: npt.ArrayLike, settings: VoteSettings) -> Scores:
    """Highest threshold at which the alert is on after each window.

    Parameters
    ----------
    scores : [shape=(windows,)], converted to float32; NaN never votes
    settings : its threshold is ignored

    Returns
    -------
    np.ndarray [shape=(windows,)], float32; `on_levels(...) >= threshold` equals `vote_track`; -inf
    where the alert is off at every threshold.
    """
    scores = np.asarray(scores, dtype=np.float32)
    statistic = vote_statistic(scores, settings.n, settings.m)
    ending = np.maximum(statistic, _highest_of_last(scores, settings.hold_windows))
    on = np.empty_like(statistic)
    level = float(NEVER)
    # Python floats: looping over NumPy scalars takes five times as long.
    for window, (enough, end) in enumerate(zip(statistic.tolist(), ending.tolist(), strict=True)):
        level = min(end, max(enough, level))
        on[window] = level
    return on


def alert_levels(scores: npt.ArrayLike, settings: VoteSettings) -> AlertLevels:
    """Find the thresholds at which each window raises an alert.

    Parameters
    ----------
    scores : [shape=(windows,)], converted to float32; NaN never votes
    settings : its threshold is ignored
    """
    upto = vote_statistic(scores, settings.n, settings.m)
    above = np.append(NEVER, on_levels(scores, settings))[: len(upto)]
    raising = np.flatnonzero(above < upto)
    return AlertLevels(raising, above[raising], upto[raising])


def joined(tracks: Sequence[AlertLevels]) -> AlertLevels:
    """Concatenate the levels of several recordings; windows keep their index in their own."""
    none = AlertLevels(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32))
    together = [*tracks, none]
    return AlertLevels(
        np.concatenate([levels.window for levels in together]),
        np.concatenate([levels.above for levels in together]),
        np.concatenate([levels.upto for levels in together]),
    )


def _highest_of_last(scores: Scores, windows: int) -> Scores:
    known = np.where(np.isnan(scores), NEVER, scores)
    size = min(windows, len(scores))  # a longer hold time cannot look beyond the track
    if size <= 1:
        return known
    return np.asarray(
        maximum_filter1d(known, size, origin=(size - 1) // 2, mode="constant", cval=NEVER)
    )


def highest_vote(scores: Scores, *, n: int, m: int) -> float:
    """Highest threshold at which a clip raises an alert; 0 if it is too short for a vote."""
    return max(0.0, float(vote_statistic(scores, n, m).max()))
