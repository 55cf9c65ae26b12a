"""Commands that detect cries in recordings: detect, calibrate."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crydistill.cli.common import complain, tell
from crydistill.cli.operating import (
    HoldOption,
    ModelOption,
    PresetOption,
    SettingsOption,
    ThresholdOption,
    VotesOption,
    chosen_student,
    chosen_vote,
    operating_point,
)
from crydistill.errors import AudioError, CheckFailed
from crydistill.printable import printable

if TYPE_CHECKING:
    from crydistill.detector.calibrated import CalibratedSettings, RoomCalibration
    from crydistill.detector.room import RoomSound
    from crydistill.detector.vote import VoteSettings
    from crydistill.student.runtime import TfliteStudent

app = typer.Typer()


@app.command()
def detect(
    files: Annotated[
        list[Path], typer.Argument(readable=False, help="Recordings of any sample rate and length.")
    ],
    model: ModelOption = None,
    settings: SettingsOption = None,
    preset: PresetOption = None,
    threshold: ThresholdOption = None,
    votes: VotesOption = None,
    hold: HoldOption = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line and file, with scores.")
    ] = False,
) -> None:
    """Detect cries in recordings. Works without TensorFlow."""
    from crydistill.detector.files import detect_file
    from crydistill.progress import shown_meanwhile

    student = chosen_student(model)
    vote = chosen_vote(student, settings, preset, threshold, votes, hold)
    point = operating_point(student, vote, settings, preset, threshold, votes, hold)
    failures = 0
    for path in files:
        try:
            detection = detect_file(path, student, vote, progress=shown_meanwhile)
        except AudioError as error:
            failures += 1
            complain(str(error))
            continue
        if json_:
            print(json.dumps({**detection.to_json(), **point.to_json()}), flush=True)
        else:
            print("\n".join(detection.lines()), flush=True)
    if failures == len(files):
        raise typer.Exit(AudioError.exit_code)
    if failures:
        raise typer.Exit(CheckFailed.exit_code)


@app.command()
def calibrate(
    room: Annotated[
        list[Path],
        typer.Argument(
            readable=False, help="Recordings of the room without crying; hours, or a night."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Settings file to write.")] = Path("room.json"),
    per_night: Annotated[float, typer.Option(help="Target false alarms in 8 hours.")] = 1.0,
    method: Annotated[
        str, typer.Option(help="tail, or max-margin (highest score plus 0.05).")
    ] = "tail",
    cry: Annotated[
        list[Path] | None,
        typer.Option(help="Recording of a cry to check the threshold with; repeatable."),
    ] = None,
    crying: Annotated[
        str,
        typer.Option(
            help="Where the room sounds like crying: refuse it, skip (cries: leave them out), or "
            "keep (no cries: false alarms to avoid)."
        ),
    ] = "refuse",
    model: ModelOption = None,
    preset: PresetOption = None,
    votes: VotesOption = None,
    hold: HoldOption = None,
) -> None:
    """Choose the threshold for a room from a recording of it."""
    from crydistill.detector.calibrate import calibrate as by_tail
    from crydistill.detector.calibrate import calibrate_max_margin as by_margin
    from crydistill.detector.calibrate import check_cries, highest_score
    from crydistill.detector.calibrated import CalibratedSettings, save_settings
    from crydistill.detector.room import Crying, settled
    from crydistill.detector.settings import reachable_score

    _choice(method, ("tail", "max-margin"), "--method")
    _choice(crying, tuple(Crying), "--crying")
    student = chosen_student(model)
    base = chosen_vote(student, None, preset, None, votes, hold)
    heard, cries = _heard(room, cry or [], student, base)
    tracks = [sound.scores for sound in settled(heard, base, Crying(crying))]
    highest, reachable = highest_score(student.manifest), reachable_score(student.manifest)
    if method == "tail":
        found = by_tail(
            tracks, base, wanted_per_night=per_night, highest=highest, reachable=reachable
        )
    else:
        found = by_margin(tracks, base, highest=highest, reachable=reachable)
    checked = check_cries([sound.scores for sound in cries], found.vote) if cries else None
    calibrated = CalibratedSettings(
        student=student.manifest.name,
        student_sha256=student.manifest.tflite.sha256,
        calibration=found,
        cries=checked,
    )
    save_settings(out, calibrated)
    _show_calibration(out, calibrated, room)
    if found.capped or (checked is not None and checked.raised == 0):
        raise typer.Exit(CheckFailed.exit_code)


def _heard(
    room: list[Path], cries: list[Path], student: "TfliteStudent", vote: "VoteSettings"
) -> "tuple[list[RoomSound], list[RoomSound]]":
    """Score recordings of the room and of cries; print remarks on their audio."""
    from crydistill.detector.room import hear_room, require_different

    heard: list[RoomSound] = []
    for path in (*room, *cries):
        heard.append(hear_room(path, student, vote))
        for note in heard[-1].notes:
            tell(f"{path}: {note}")
    require_different(heard)
    return heard[: len(room)], heard[len(room) :]


def _show_calibration(out: Path, calibrated: "CalibratedSettings", room: list[Path]) -> None:
    from crydistill.detector.files import clock

    found, checked = calibrated.calibration, calibrated.cries
    print(f"{out}: threshold {found.vote.threshold:.4f} from {found.hours:.2f} h ({found.method})")
    print(_expectation(found))
    for peak in found.loudest:
        where = f"{printable(room[peak.recording])} at {clock(peak.seconds)}"
        print(f"  loudest: {where}, {peak.level:.3f}")
    if checked is not None:
        print(f"cries: alert in {checked.raised} of {checked.recordings} recordings")
        if checked.raised == 0:
            tell(
                "warning: the detector would miss every cry you gave; allow more false alarms "
                "(--per-night), record the room longer, or put the microphone nearer to the cot"
            )
    for warning in found.warnings:
        tell(f"warning: {warning}")


def _expectation(found: "RoomCalibration") -> str:
    """Say what rate a calibration promises; max-margin promises none."""
    expected = found.expected_per_night
    if expected is None or expected.low is None or expected.high is None:
        return "the rate of false alarms to expect is unknown"
    if found.method == "max-margin":
        heard = f"{found.alerts or 'no'} alert{'' if found.alerts == 1 else 's'}"
        return (
            f"{heard} in the recording; up to {_rate(expected.high)} per night cannot be ruled out"
        )
    return (
        f"expect {_rate(expected.value)} false alarms per night "
        f"(95 % interval {_rate(expected.low)} to {_rate(expected.high)})"
    )


def _rate(per_night: float) -> str:
    if 0 < per_night < 0.01:
        return "less than 0.01"
    return f"{per_night:.{2 if per_night < 100 else 0}f}"


def _choice(given: str, choices: tuple[str, ...], option: str) -> None:
    if given not in choices:
        raise typer.BadParameter(f"choose {' or '.join(choices)}", param_hint=option)
