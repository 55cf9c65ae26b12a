"""Name the detector behind an event: its student and its operating point."""

from dataclasses import dataclass
from typing import Any

from crydistill.detector.vote import VoteSettings

_SHORT_SHA256 = 12


@dataclass(frozen=True)
class OperatingPoint:
    """The student and settings that made a decision.

    student, student_sha256 : name, and checksum of the `.tflite`
    vote : threshold, n, m and hold in use
    source : "preset" or "settings"
    name : the preset's name, or the settings file
    replaced : settings that were given singly and override the source's
    """

    student: str
    student_sha256: str
    vote: VoteSettings
    source: str
    name: str
    replaced: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON-serializable form: the fields `student` and `operating_point`.

        Examples
        --------
        >>> point = OperatingPoint(
        ...     "base", "0123456789abcdef" * 4, VoteSettings(threshold=0.4), "preset", "balanced"
        ... )
        >>> point.to_json()["student"]
        {'name': 'base', 'sha256': '0123456789ab'}
        >>> point.to_json()["operating_point"]
        {'preset': 'balanced', 'threshold': 0.4, 'n': 5, 'm': 9, 'hold_s': 10.0}
        """
        vote = self.vote
        point: dict[str, Any] = {
            self.source: self.name,
            "threshold": vote.threshold,
            "n": vote.n,
            "m": vote.m,
            "hold_s": vote.hold_seconds,
        }
        if self.replaced:
            point["replaced"] = list(self.replaced)
        student = {"name": self.student, "sha256": self.student_sha256[:_SHORT_SHA256]}
        return {"student": student, "operating_point": point}
