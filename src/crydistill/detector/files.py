"""Detection in recordings: score track and alerts of one file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crydistill.audio.files import AudioReader, printable
from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.stream import WindowScorer, score_blocks
from crydistill.detector.vote import Alert, Scores, VoteSettings, alerts


@dataclass(frozen=True)
class Detection:
    """What was heard in a recording.

    duration : seconds
    scores : cry score of each window, `[windows]`; window i starts at 0.48 i seconds
    alerts : in the order of time
    notes : what a user should know about the audio
    """

    path: Path
    duration: float
    scores: Scores
    alerts: tuple[Alert, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers; times in seconds from the recording's start."""
        return {
            "file": str(self.path),
            "duration_s": round(self.duration, 3),
            "notes": list(self.notes),
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
        """What a person wants to know, a line an alert."""
        notes = f" ({'; '.join(self.notes)})" if self.notes else ""
        peak = f"highest score {self.scores.max():.2f}" if len(self.scores) else "no window"
        count = f"{len(self.alerts)} alert{'' if len(self.alerts) == 1 else 's'}"
        head = f"{printable(self.path)}: {_clock(self.duration)}, {count}, {peak}{notes}"
        return [head, *(f"  cry {self._span(alert)}" for alert in self.alerts)]

    def _span(self, alert: Alert) -> str:
        end = "the end" if alert.ended_at is None else _clock(alert.ended_at)
        return (
            f"from {_clock(alert.onset)} to {end}, alert at {_clock(alert.raised_at)}, "
            f"highest score {self._peak(alert):.2f}"
        )

    def _peak(self, alert: Alert) -> float:
        return float(self.scores[alert.onset_window : alert.end_window].max())


def detect_file(path: str | Path, scorer: WindowScorer, settings: VoteSettings) -> Detection:
    """Find the alerts in a recording of any length; memory does not grow with it.

    Raises
    ------
    AudioError
        if the recording cannot be decoded or holds no audio.
    """
    reader = AudioReader(path)
    scores = np.concatenate([np.empty(0, dtype=np.float32), *score_blocks(reader.blocks(), scorer)])
    found = tuple(alerts(scores, settings))
    return Detection(reader.path, reader.duration, scores, found, reader.notes)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
