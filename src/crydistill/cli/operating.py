"""Options of the commands that detect: which student, at which operating point."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crydistill.cli.common import parse_votes

if TYPE_CHECKING:
    from crydistill.detector.operating_point import OperatingPoint
    from crydistill.detector.vote import VoteSettings
    from crydistill.student.runtime import TfliteStudent
    from crydistill.tflite.interpreters import Kernels

ModelOption = Annotated[
    Path | None,
    typer.Option(help="student.tflite or its directory; default: the packaged student."),
]
SettingsOption = Annotated[
    Path | None,
    typer.Option("--settings", help="Settings file from `calibrate`, instead of a preset."),
]
PresetOption = Annotated[
    str | None,
    typer.Option(help="Operating point from the student's manifest; default: balanced."),
]
ThresholdOption = Annotated[float | None, typer.Option(help="Score at which a window votes.")]
VotesOption = Annotated[
    str | None,
    typer.Option("--votes", metavar="N/M", help="Votes among the last windows, such as 5/9."),
]
HoldOption = Annotated[
    float | None, typer.Option(help="Hold time: seconds without a vote that end an alert.")
]


def chosen_student(model: Path | None, kernels: "Kernels | None" = None) -> "TfliteStudent":
    """Load the student of --model, or the packaged one; by default with optimized kernels."""
    from crydistill.student.packaged import packaged_student
    from crydistill.student.runtime import TfliteStudent
    from crydistill.tflite.interpreters import Kernels

    return TfliteStudent.load(model or packaged_student(), kernels or Kernels.OPTIMIZED)


def chosen_vote(
    student: "TfliteStudent",
    settings: Path | None,
    preset: str | None,
    threshold: float | None,
    votes: str | None,
    hold: float | None,
) -> "VoteSettings":
    """Settings of a preset or a settings file, with single values replaced, that can be reached."""
    from crydistill.detector.calibrated import load_settings
    from crydistill.detector.settings import (
        DEFAULT_PRESET,
        replaced,
        require_reachable,
        vote_settings,
    )

    if settings is not None:
        if preset is not None:
            raise typer.BadParameter("give --settings or --preset, not both", param_hint="--preset")
        base = load_settings(settings, student_sha256=student.manifest.tflite.sha256).vote
    else:
        base = vote_settings(student.manifest, preset or DEFAULT_PRESET)
    n, m = parse_votes(votes) if votes else (None, None)
    vote = replaced(base, threshold=threshold, n=n, m=m, hold_seconds=hold)
    source = (
        "--threshold"
        if threshold is not None
        else str(settings or f"preset {preset or DEFAULT_PRESET}")
    )
    require_reachable(vote, student.manifest, source=source)
    return vote


def operating_point(
    student: "TfliteStudent",
    vote: "VoteSettings",
    settings: Path | None,
    preset: str | None,
    threshold: float | None,
    votes: str | None,
    hold: float | None,
) -> "OperatingPoint":
    """Name the student and the settings, for results."""
    from crydistill.detector.operating_point import OperatingPoint
    from crydistill.detector.settings import DEFAULT_PRESET

    single = {"threshold": threshold, "votes": votes, "hold": hold}
    return OperatingPoint(
        student=student.manifest.name,
        student_sha256=student.manifest.tflite.sha256,
        vote=vote,
        source="preset" if settings is None else "settings",
        name=str(settings or preset or DEFAULT_PRESET),
        replaced=tuple(name for name, value in single.items() if value is not None),
    )
