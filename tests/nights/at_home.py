"""Clips, a scorer and options for the tests of homes; the scorer mistakes loud sounds for cries."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.corpora.clip import Clip, Label
from crydistill.detector.vote import Scores
from crydistill.evaluation.scorers import Scorer
from crydistill.nights.homes import HomeOptions, ScoredHome, draw_homes, score_homes
from crydistill.roles import Role
from crydistill.teacher.base import Recording

SMALL = HomeOptions(homes=3, clips=20, clips_per_group=2, takes=2, episodes=3, observed_hours=4.0)


def loudness(recording: Recording) -> Scores:
    """Share of a window's frames that are louder than the bed."""
    loud = recording.frames.max(axis=1) > 0
    count = (len(loud) - 96) // 48 + 1
    return np.array([loud[48 * n : 48 * n + 96].mean() for n in range(count)], dtype=np.float32)


EAR = Scorer("ear", Role.INT8, "f", lambda: loudness, None, {})


def tone_clips(folder: Path) -> list[Clip]:
    """Forty tones of some groups, and four that are cries."""
    found = []
    for number in range(44):
        cry = number >= 40
        path = folder / f"{number}.wav"
        time = np.arange(int((1 + number / 40) * SAMPLE_RATE)) / SAMPLE_RATE
        soundfile.write(path, 0.2 * np.sin(2 * np.pi * (400 + 9 * number) * time), SAMPLE_RATE)
        label = Label.CRY if cry else Label.NONCRY
        found.append(Clip(f"{number}", path, label, f"{'c' if cry else 'n'}{number // 3}"))
    return found


def one_home(clips: list[Clip], folder: Path, scorer: Scorer = EAR) -> ScoredHome:
    """The first home of those clips, scored."""
    homes = draw_homes(clips, [], replace(SMALL, homes=1), seed=0)
    (home,), unusable = score_homes(
        homes, clips[40:], scorer, folder, highest=1.0, options=SMALL, seed=0
    )
    assert not unusable
    return home
