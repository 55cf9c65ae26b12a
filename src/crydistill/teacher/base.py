"""The teacher interface: a network with 521 logits for each window of a recording."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import LogMel, Samples

Logits = npt.NDArray[np.float32]
"""A recording's teacher scores before the sigmoid, shape `[windows, 521]`."""


@dataclass(frozen=True)
class Recording:
    """A clip's audio as input to a teacher.

    clip_id : id of the clip
    samples : float32 [n], 16 kHz mono, at least one window long
    frames : float32 [f, 64], the log-mel frames of exactly these samples
    """

    clip_id: str
    samples: Samples
    frames: LogMel


class Teacher(Protocol):
    """A source of soft targets.

    name : display name ("yamnet", "yamnet (rebuilt)", a file name)
    fingerprint : sha256 of the weights file; scores of two fingerprints are never mixed
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def logits(self, recordings: Sequence[Recording]) -> list[Logits]:
        """Logits of every window of each recording, `[windows, 521]`, in the given order."""
        ...
