"""How continuous audio is composed: the options, with their defaults."""

import math
from dataclasses import dataclass

from crydistill.errors import ConfigError

Range = tuple[float, float]
"""Smallest and largest value of a uniform distribution."""


@dataclass(frozen=True)
class StreamOptions:
    """How a stream is composed.

    hours : length, repeating sounds once all have been used; None: each sound exactly once
    episodes : number of episodes of crying, spread evenly
    cries : number of clips, all of one group, in an episode
    pause_seconds : between the cries of an episode
    mean_gap_seconds : between sounds, on top of a least gap of 0.5 s; exponential
    bed_dbfs : level of the bed
    sound_dbfs : active level of the sounds; None leaves them as recorded
    snr_db : active level of an episode's cries over the bed
    rooms : number of different room responses; 0 leaves everything dry
    dry_share : share of sounds and episodes without a room, as if recorded close
    reverberation_seconds : RT60 of the rooms
    microphone_db : gain of the whole stream, which then clips at full scale
    """

    hours: float | None = None
    episodes: int = 100
    cries: tuple[int, int] = (2, 6)
    pause_seconds: Range = (0.5, 5.0)
    mean_gap_seconds: float = 0.0
    bed_dbfs: Range = (-62.0, -50.0)
    sound_dbfs: Range | None = (-45.0, -22.0)
    snr_db: Range = (5.0, 30.0)
    rooms: int = 8
    dry_share: float = 0.4
    reverberation_seconds: Range = (0.15, 0.5)
    microphone_db: Range = (-6.0, 6.0)

    def __post_init__(self) -> None:
        if self.hours is not None and not 0 < self.hours <= 1_000:
            raise ConfigError(f"hours: {self.hours:g} must be above 0 and at most 1,000")
        if self.episodes < 0 or not 1 <= self.cries[0] <= self.cries[1]:
            raise ConfigError(
                f"{self.episodes} episodes of {self.cries} cries: give 0 or more episodes, and "
                "cries from 1 up, smallest first"
            )
        for name in ("pause_seconds", "bed_dbfs", "sound_dbfs", "snr_db", "microphone_db"):
            ends = getattr(self, name)
            if ends is not None and not -math.inf < ends[0] <= ends[1] < math.inf:
                raise ConfigError(
                    f"{name}: {ends[0]:g} to {ends[1]:g} is not a range; give the smaller first"
                )
        for name in ("rooms", "mean_gap_seconds"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name}: {getattr(self, name):g} must be at least 0")
