"""Clips of which only the lengths are known, for tests of composition; nothing is rendered."""

from pathlib import Path

import numpy as np

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.corpora.clip import Clip, Label
from crydistill.experiment.streams import StreamOptions
from crydistill.nights.bouts import Measured
from crydistill.nights.streams import StreamPlan, compose

Lengths = dict[str, Measured]


def invented(*, seed: int = 0) -> tuple[list[Clip], Lengths]:
    """Long cries of 30 children, and shorter sounds of 60 groups and of six kinds with one each."""
    rng = np.random.default_rng(seed)
    clips: list[Clip] = []
    lengths: Lengths = {}

    def add(name: str, label: Label, group: str, category: str, seconds: float) -> None:
        clips.append(Clip(name, Path(name), label, group, category=category, source="invented"))
        lengths[name] = Measured(int(seconds * SAMPLE_RATE), -20.0)

    for child in range(30):
        for number in range(int(rng.integers(1, 6))):
            add(f"cry {child}-{number}", Label.CRY, f"child {child}", "cry", rng.choice([5.0, 7.0]))
    for group in range(60):
        for number in range(6):
            add(f"talk {group}-{number}", Label.NONCRY, f"g{group}", "talk", rng.uniform(1, 6))
    for number in range(60):
        kind = f"kind {number % 6}"
        add(f"thing {number}", Label.NONCRY, f"thing {number}", kind, rng.choice([0.4, 0.8, 4.0]))
    add("rain", Label.NONCRY, "rain", "rain", 60.0)
    return clips, lengths


def composed(
    clips: list[Clip], lengths: Lengths, options: StreamOptions, seed: int = 0
) -> StreamPlan:
    return compose(
        sounds=[clip for clip in clips if not clip.is_cry],
        cries=[clip for clip in clips if clip.is_cry],
        bed=[],
        measured=lengths,
        options=options,
        seed=seed,
    )
