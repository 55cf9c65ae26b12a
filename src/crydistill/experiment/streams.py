"""How continuous audio is composed: the options, with their defaults."""

import math
from dataclasses import dataclass

from crydistill.errors import ConfigError

Range = tuple[float, float]
"""Smallest and largest value of a uniform distribution."""

_RANGES = (
    "pause_seconds", "brief_pause_seconds", "bed_dbfs", "snr_db", "reverberation_seconds",
    "microphone_db",
)  # fmt: skip


@dataclass(frozen=True)
class StreamOptions:
    """How a stream is composed of bouts of crying and of other sounds, all drawn alike.

    hours : least length, repeating sounds once all have been used; None: each sound exactly once
    episodes : number of bouts of crying, at random places
    clips : number of clips, all of one group or kind, in a bout
    pause_seconds : between the clips of a bout
    brief_seconds : two clips in a row that are both no longer than this are brief
    brief_pause_seconds : between brief clips
    least_gap_seconds : after a bout; the alert of an episode has time to end in it, and what is not
        an episode has the same gap, or it would tell
    mean_gap_seconds : on top of that, exponential
    bed_dbfs : level of the bed
    snr_db : active level of a bout's clips over the bed
    rooms : number of different room responses; 0 leaves everything dry
    dry_share : share of bouts without a room, as if recorded close
    reverberation_seconds : RT60 of the rooms
    microphone_db : gain of the whole stream, which then clips at full scale
    """

    hours: float | None = None
    episodes: int = 100
    clips: tuple[int, int] = (1, 5)
    pause_seconds: Range = (0.5, 5.0)
    brief_seconds: float = 1.5
    brief_pause_seconds: Range = (0.1, 0.7)
    least_gap_seconds: float = 5.5
    mean_gap_seconds: float = 2.0
    bed_dbfs: Range = (-62.0, -50.0)
    snr_db: Range = (5.0, 30.0)
    rooms: int = 8
    dry_share: float = 0.4
    reverberation_seconds: Range = (0.15, 0.5)
    microphone_db: Range = (-6.0, 6.0)

    def __post_init__(self) -> None:
        if self.hours is not None and not 0 < self.hours <= 1_000:
            raise ConfigError(f"hours: {self.hours:g} must be above 0 and at most 1,000")
        if self.episodes < 0 or not 1 <= self.clips[0] <= self.clips[1]:
            raise ConfigError(
                f"{self.episodes} episodes of {self.clips} clips: give 0 or more episodes, and "
                "clips from 1 up, smallest first"
            )
        for name in _RANGES:
            ends = getattr(self, name)
            if not -math.inf < ends[0] <= ends[1] < math.inf:
                raise ConfigError(
                    f"{name}: {ends[0]:g} to {ends[1]:g} is not a range; give the smaller first"
                )
        for name in ("rooms", "brief_seconds", "least_gap_seconds", "mean_gap_seconds"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name}: {getattr(self, name):g} must be at least 0")
