"""What `crydistill.teacher.base.Teacher` promises, asked of any kind of teacher."""

import re

import numpy as np

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import window_count
from crydistill.taxonomy import CLASSES
from crydistill.teacher.base import Recording, Teacher

WINDOWS = (3, 0, 70, 1, 0)
"""Of the recordings: none, one, and more than a batch."""


def noise(seed: int, windows: int) -> Recording:
    """White noise of that many windows and a few frames."""
    frames = 48 * (windows - 1) + 96 + 20
    random = np.random.default_rng(seed)
    samples = random.normal(0.0, 0.1, 400 + 160 * (frames - 1)).astype(np.float32)
    return Recording(f"noise {seed}", samples, log_mel(samples))


def assert_keeps_the_contract(teacher: Teacher) -> None:
    """Float32 logits a window and class, in order, however recordings are put together."""
    assert teacher.name
    assert re.fullmatch("[0-9a-f]{64}", teacher.fingerprint)
    assert teacher.logits([]) == []
    none = Recording("none", np.zeros(0, dtype=np.float32), np.zeros((0, 64), dtype=np.float32))
    recordings = [noise(seed, n) if n else none for seed, n in enumerate(WINDOWS)]
    assert tuple(window_count(len(each.frames)) for each in recordings) == WINDOWS
    together = teacher.logits(recordings)
    assert [rows.shape for rows in together] == [(n, CLASSES) for n in WINDOWS]
    for recording, rows in zip(recordings, together, strict=True):
        assert rows.dtype == np.float32
        assert np.isfinite(rows).all()
        (alone,) = teacher.logits([recording])
        np.testing.assert_allclose(rows, alone, atol=1e-4)
