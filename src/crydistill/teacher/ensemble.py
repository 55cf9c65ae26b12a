"""Several teachers that speak as one: their logits are averaged."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np

from crydistill.teacher.base import Logits, Recording, Teacher


class Ensemble:
    """Networks trained apart, whose errors are partly their own: the average has fewer.

    Averaging logits is averaging log-odds (a logarithmic opinion pool; Genest and Zidek 1986,
    "Combining probability distributions"): one network that is sure counts for more than one that
    wavers, which an average of scores would not tell from each other near 0.

    name : those of the members
    fingerprint : sha256 over the members', in order; neither member's own scores mix with these
    """

    def __init__(self, members: Sequence[Teacher]) -> None:
        """Put at least two teachers together."""
        self._members = tuple(members)
        self.name = " + ".join(member.name for member in members)
        self.fingerprint = joint_fingerprint([member.fingerprint for member in members])

    def logits(self, recordings: Sequence[Recording]) -> list[Logits]:
        """Mean of the members' logits, `[windows, 521]` of each recording.

        The members work at the same time, each in a thread of its own.
        """
        with ThreadPoolExecutor(len(self._members)) as pool:
            found = list(pool.map(lambda member: member.logits(recordings), self._members))
        return [
            np.mean(np.stack(logits), axis=0, dtype=np.float32)
            for logits in zip(*found, strict=True)
        ]


def joint_fingerprint(fingerprints: Sequence[str]) -> str:
    """Name teachers that speak together: of one its own sha256, of more a sha256 over theirs."""
    if len(fingerprints) == 1:
        return fingerprints[0]
    return sha256("\n".join(fingerprints).encode()).hexdigest()
