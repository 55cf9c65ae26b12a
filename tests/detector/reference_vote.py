"""The detector's specification, implemented literally: slow, obvious, apart from the package."""

import math
import struct
from dataclasses import dataclass

HOP_MILLISECONDS = 480


def as_float32(value: float) -> float:
    """The float32 nearest to `value`, as a Python float."""
    if math.isnan(value) or math.isinf(value):
        return value
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


@dataclass(frozen=True)
class Step:
    """Effect of one window: the event ("on", "off" or "-"), its onset, the state afterwards."""

    event: str
    onset: int
    on: bool


def reference_vote(
    scores: list[float], threshold: float, n: int, m: int, hold_ms: int
) -> list[Step]:
    """The step of every window, each computed from the whole list of votes so far."""
    hold_windows = max(1, math.ceil(hold_ms / HOP_MILLISECONDS))
    votes: list[bool] = []
    steps: list[Step] = []
    on, onset = False, -1
    for window, score in enumerate(scores):
        votes.append(not math.isnan(score) and as_float32(score) >= as_float32(threshold))
        last_m = [index for index in range(max(0, window - m + 1), window + 1) if votes[index]]
        enough = len(last_m) >= n
        silent = window + 1 >= hold_windows and not any(votes[-hold_windows:])
        if not on and enough:
            on, onset = True, last_m[0]
            steps.append(Step("on", onset, on))
        elif on and not enough and silent:
            on = False
            steps.append(Step("off", onset, on))
        else:
            steps.append(Step("-", -1, on))
    return steps
