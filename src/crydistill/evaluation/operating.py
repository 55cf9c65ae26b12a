"""Operating points of the N-of-M vote: chosen on one set of clips, measured on another.

The maximum of a clip's vote statistic is the highest threshold at which it would raise an alert.
Sorting it over clips without a cry gives the threshold for any share of false alarms, without a
grid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.vote import VoteSettings, alerts, vote_statistic

Track = npt.NDArray[np.float32]
"""Cry score of each window of a clip, `[windows]`."""

FALSE_ALARM_SHARES = {"sensitive": 0.05, "balanced": 0.01, "quiet": 0.0}
"""Presets, by the largest share of validation clips without a cry that may raise an alert."""


@dataclass(frozen=True)
class Measured:
    """What a setting achieved on labelled clips.

    recall : share of the cry clips that raise an alert, 0 to 1
    false_alarms : alerts on the clips without a cry, joined end to end
    hours : length of these clips
    """

    recall: float
    false_alarms: int
    hours: float


def choose_presets(
    noncries: Sequence[Track],
    *,
    n: int,
    m: int,
    shares: Mapping[str, float] = FALSE_ALARM_SHARES,
) -> dict[str, float]:
    """Lowest thresholds at which no more than each share of the clips raises an alert.

    Raises
    ------
    ValueError
        if there is no clip.
    """
    if not noncries:
        raise ValueError("operating points need clips without a cry")
    highest = [vote_statistic(track, n, m).max() for track in noncries]
    # A clip too short to vote at all raises no alert at any threshold.
    falling = np.maximum(np.sort(np.array(highest, dtype=np.float32))[::-1], 0.0)
    chosen = {}
    for name, share in shares.items():
        highest_refused = falling[min(int(share * len(falling)), len(falling) - 1)]
        chosen[name] = float(np.nextafter(highest_refused, np.float32(np.inf), dtype=np.float32))
    return chosen


def measure(cries: Sequence[Track], noncries: Sequence[Track], settings: VoteSettings) -> Measured:
    """Apply a setting to clips it was not chosen on."""
    caught = [len(alerts(track, settings)) > 0 for track in cries]
    stream = np.concatenate([*noncries, np.empty(0, dtype=np.float32)])
    return Measured(
        recall=float(np.mean(caught)) if caught else float("nan"),
        false_alarms=len(alerts(stream, settings)),
        hours=len(stream) * WINDOW_HOP_SECONDS / 3600,
    )
