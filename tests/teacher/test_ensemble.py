from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import pytest

from crydistill.audio.mel import log_mel
from crydistill.teacher.base import Logits, Recording
from crydistill.teacher.ensemble import Ensemble, joint_fingerprint

RECORDINGS = [
    Recording(f"clip{number}", samples, log_mel(samples))
    for number, samples in enumerate(
        np.random.default_rng(0).normal(0, 0.1, (3, 32_000)).astype(np.float32)
    )
]


class Loud:
    """A teacher whose logits follow the level of each recording."""

    def __init__(self, name: str, factor: float) -> None:
        self.name, self.factor = name, factor
        self.fingerprint = sha256(name.encode()).hexdigest()

    def logits(self, recordings: Sequence[Recording]) -> list[Logits]:
        """One row per window, here four."""
        return [
            np.full((4, 521), self.factor * np.abs(recording.samples).mean(), dtype=np.float32)
            for recording in recordings
        ]


class Lost(Loud):
    """A teacher that fails."""

    def logits(self, recordings: Sequence[Recording]) -> list[Logits]:
        """Fail."""
        raise RuntimeError("no such tensor")


def test_the_mean_of_logits() -> None:
    found = Ensemble([Loud("a", 10), Loud("b", -40)]).logits(RECORDINGS)
    expected = Loud("mean", -15).logits(RECORDINGS)
    assert all(logits.dtype == np.float32 for logits in found)
    np.testing.assert_allclose(np.stack(found), np.stack(expected), rtol=1e-6)


def test_names_and_fingerprints_tell_the_members_and_their_order() -> None:
    a, b = Loud("a", 1), Loud("b", 2)
    both = Ensemble([a, b])
    assert both.name == "a + b"
    assert both.fingerprint == joint_fingerprint([a.fingerprint, b.fingerprint])
    prints = {both.fingerprint, Ensemble([b, a]).fingerprint, a.fingerprint, b.fingerprint}
    assert len(prints) == 4


def test_one_teacher_keeps_its_own_fingerprint() -> None:
    assert joint_fingerprint(["ab"]) == "ab"


def test_a_failing_member_fails_all() -> None:
    with pytest.raises(RuntimeError, match="no such tensor"):
        Ensemble([Loud("a", 1), Lost("b", 1)]).logits(RECORDINGS)
