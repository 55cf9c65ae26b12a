"""Ensemble of teachers: average their logits."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np

from crydistill.teacher.base import Logits, Recording, Teacher


class Ensemble:
    """Mean logits of independently trained networks, whose errors partly cancel.

    Averaging logits is averaging log-odds (a logarithmic opinion pool; Genest and Zidek 1986,
    "Combining probability distributions"): a confident network counts for more than an uncertain
    one, a difference that an average of probabilities loses near 0.

    name : the members' names
    fingerprint : sha256 over the members' fingerprints in order, so that scores are never mixed
        with those of a member
    """

    def __init__(self, members: Sequence[Teacher]) -> None:
        """Combine at least two teachers."""
        self._members = tuple(members)
        self.name = " + ".join(member.name for member in members)
        self.fingerprint = joint_fingerprint([member.fingerprint for member in members])

    def logits(self, recordings: Sequence[Recording]) -> list[Logits]:
        """Mean of the members' logits, `[windows, 521]` of each recording.

        The members run concurrently, each in its own thread.
        """
        with ThreadPoolExecutor(len(self._members)) as pool:
            found = list(pool.map(lambda member: member.logits(recordings), self._members))
        return [
            np.mean(np.stack(logits), axis=0, dtype=np.float32)
            for logits in zip(*found, strict=True)
        ]


def joint_fingerprint(fingerprints: Sequence[str]) -> str:
    """Fingerprint of an ensemble: a sha256 over its members', or the only member's own."""
    if len(fingerprints) == 1:
        return fingerprints[0]
    return sha256("\n".join(fingerprints).encode()).hexdigest()
