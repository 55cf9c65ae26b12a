"""Detect cries in a recording: score track and alerts."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from crydistill.audio.files import AudioReader
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.stream import WindowScorer, score_blocks
from crydistill.detector.vote import Alert, Scores, VoteSettings, alerts
from crydistill.printable import printable
from crydistill.progress import Advance, Progress, silent

LONG_SECONDS = 60
"""A shorter recording is done before a progress bar could be read."""


@dataclass(frozen=True)
class Detection:
    """Scores and alerts of a recording.

    duration : seconds
    scores : cry score of each window, `[windows]`; window i starts at 0.48 i seconds
    alerts : in time order
    notes : remarks on the audio for the user
    too_short : whether it has fewer windows than an alert needs votes: it says nothing either way
    """

    path: Path
    duration: float
    scores: Scores
    alerts: tuple[Alert, ...]
    notes: tuple[str, ...]
    too_short: bool = False

    def to_json(self) -> dict[str, Any]:
        """JSON-serializable form; times in seconds from the start of the recording."""
        return {
            "file": str(self.path),
            "duration_s": round(self.duration, 3),
            "notes": list(self.notes),
            "too_short_to_vote": self.too_short,
            "alerts": [
                {
                    "onset_s": round(alert.onset, 3),
                    "raised_at_s": round(alert.raised_at, 3),
                    "ended_at_s": None if alert.ended_at is None else round(alert.ended_at, 3),
                    "peak_score": round(self._peak(alert), 4),
                }
                for alert in self.alerts
            ],
            "window_hop_s": WINDOW_HOP_SECONDS,
            "scores": [round(float(score), 4) for score in self.scores],
        }

    def lines(self) -> list[str]:
        """Human-readable summary: a heading, then one line per alert."""
        notes = f" ({'; '.join(self.notes)})" if self.notes else ""
        peak = f"highest score {self.scores.max():.2f}" if len(self.scores) else "no window"
        count = f"{len(self.alerts)} alert{'' if len(self.alerts) == 1 else 's'}"
        verdict = "too short to vote" if self.too_short else count
        head = f"{printable(self.path)}: {clock(self.duration)}, {verdict}, {peak}{notes}"
        return [head, *(f"  cry {self._span(alert)}" for alert in self.alerts)]

    def _span(self, alert: Alert) -> str:
        end = "the end" if alert.ended_at is None else clock(alert.ended_at)
        return (
            f"at {clock(alert.onset)}, alert from {clock(alert.raised_at)} to {end}, "
            f"highest score {self._peak(alert):.2f}"
        )

    def _peak(self, alert: Alert) -> float:
        return float(self.scores[alert.onset_window : alert.end_window].max())


def detect_file(
    path: str | Path,
    scorer: WindowScorer,
    settings: VoteSettings,
    *,
    progress: Progress = silent,
) -> Detection:
    """Find the alerts in a recording of any length without loading all of its audio.

    Parameters
    ----------
    progress : shown for recordings longer than `LONG_SECONDS`

    Raises
    ------
    AudioError
        if the recording cannot be decoded or holds no audio.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> from crydistill.detector.settings import vote_settings
    >>> from crydistill.student.packaged import packaged_student
    >>> from crydistill.student.runtime import TfliteStudent
    >>> student = TfliteStudent.load(packaged_student())
    >>> settings = vote_settings(student.manifest, "balanced")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/silence.wav", np.zeros(48_000), 16_000)
    ...     detection = detect_file(f"{folder}/silence.wav", student, settings)
    >>> detection.duration, len(detection.scores), detection.alerts
    (3.0, 5, ())
    """
    reader = AudioReader(path)
    with closing(reader.blocks()) as blocks:
        first = next(blocks)  # opens the file
        seconds = round(reader.stated_seconds)
        meter = silent if 0 < seconds < LONG_SECONDS else progress
        with meter(reader.path.name, seconds, "seconds") as advance:
            heard = _counted(chain([first], blocks), advance)
            scores = np.concatenate([np.empty(0, dtype=np.float32), *score_blocks(heard, scorer)])
    found = tuple(alerts(scores, settings))
    too_short = len(scores) < settings.n
    return Detection(reader.path, reader.duration, scores, found, reader.notes, too_short)


def _counted(blocks: Iterable[Samples], advance: Advance) -> Iterator[Samples]:
    for block in blocks:
        yield block
        advance(len(block) // SAMPLE_RATE)


def clock(seconds: float) -> str:
    """Write a time as minutes, or hours and minutes, and seconds."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"
