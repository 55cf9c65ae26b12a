"""Operating points of the N-of-M vote: chosen on one set of clips, measured on another.

The maximum of a clip's vote statistic is the highest threshold at which it would raise an alert.
Sorting it over clips without a cry gives the threshold for any share of false alarms, without a
grid. Clips are heard one by one: an alert that never ends would else count as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.vote import VoteSettings, vote_statistic

Track = npt.NDArray[np.float32]
"""Cry score of each window of a clip, `[windows]`."""

SENSITIVE_SHARE = 0.01
"""Share of the validation clips without a cry that may raise an alert at the preset `sensitive`."""

QUIET_MARGIN = 0.05
"""How far `quiet` lies above `balanced`, the threshold at which no such clip raises an alert."""


@dataclass(frozen=True)
class Measured:
    """What a setting achieved on labelled clips, each heard by itself.

    recall : share of the cry clips that raise an alert, 0 to 1
    false_alarms : clips without a cry that raise an alert
    hours : length of all clips without a cry
    """

    recall: float
    false_alarms: int
    hours: float


def choose_presets(noncries: Sequence[Track], *, n: int, m: int) -> dict[str, float]:
    """Choose the thresholds `sensitive`, `balanced` and `quiet` on clips without a cry.

    Raises
    ------
    ValueError
        if there is no clip.
    """
    if not noncries:
        raise ValueError("operating points need clips without a cry")
    falling = np.sort([highest_vote(track, n=n, m=m) for track in noncries])[::-1]
    balanced = _just_above(falling[0])
    return {
        "sensitive": _just_above(falling[int(SENSITIVE_SHARE * len(falling))]),
        "balanced": balanced,
        "quiet": balanced + QUIET_MARGIN,
    }


def measure(cries: Sequence[Track], noncries: Sequence[Track], settings: VoteSettings) -> Measured:
    """Apply a setting to clips it was not chosen on."""

    def raises(track: Track) -> bool:
        highest = highest_vote(track, n=settings.n, m=settings.m)
        return bool(highest >= np.float32(settings.threshold))

    return Measured(
        recall=float(np.mean([raises(track) for track in cries])) if cries else float("nan"),
        false_alarms=sum(raises(track) for track in noncries),
        hours=sum(len(track) for track in noncries) * WINDOW_HOP_SECONDS / 3600,
    )


def highest_vote(scores: Track, *, n: int, m: int) -> float:
    """Highest threshold at which a clip raises an alert; 0 for one too short to vote."""
    return max(0.0, float(vote_statistic(scores, n, m).max()))


def _just_above(score: float) -> float:
    return float(np.nextafter(np.float32(score), np.float32(np.inf), dtype=np.float32))
