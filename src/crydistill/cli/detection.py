"""Commands that detect cries: detect, calibrate, listen."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crydistill.cli.common import complain, tell
from crydistill.errors import AudioError, CheckFailed

if TYPE_CHECKING:
    from crydistill.detector.calibrated import CalibratedSettings
    from crydistill.detector.mqtt import MqttPublisher
    from crydistill.detector.vote import VoteSettings
    from crydistill.student.runtime import TfliteStudent

app = typer.Typer()

ModelOption = Annotated[
    Path | None,
    typer.Option(help="student.tflite or its directory; default: the packaged student."),
]
SettingsOption = Annotated[
    Path | None,
    typer.Option("--settings", help="Settings file from `calibrate`, instead of a preset."),
]
PresetOption = Annotated[str, typer.Option(help="Operating point from the student's manifest.")]
ThresholdOption = Annotated[float | None, typer.Option(help="Score at which a window votes.")]
NOption = Annotated[int | None, typer.Option("-n", help="Votes needed to raise an alert.")]
MOption = Annotated[int | None, typer.Option("-m", help="Number of recent windows that vote.")]
HoldOption = Annotated[
    float | None, typer.Option(help="Hold time: seconds without a vote that end an alert.")
]


@app.command()
def detect(
    files: Annotated[list[Path], typer.Argument(help="Recordings of any sample rate and length.")],
    model: ModelOption = None,
    settings: SettingsOption = None,
    preset: PresetOption = "balanced",
    threshold: ThresholdOption = None,
    n: NOption = None,
    m: MOption = None,
    hold: HoldOption = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line and file, with scores.")
    ] = False,
) -> None:
    """Detect cries in recordings. Works without TensorFlow."""
    from crydistill.detector.files import detect_file
    from crydistill.progress import shown_meanwhile

    student = _student(model)
    vote = _vote(student, settings, preset, threshold, n, m, hold)
    failures = 0
    for path in files:
        try:
            detection = detect_file(path, student, vote, progress=shown_meanwhile)
        except AudioError as error:
            failures += 1
            complain(str(error))
            continue
        if json_:
            print(json.dumps(detection.to_json()), flush=True)
        else:
            print("\n".join(detection.lines()), flush=True)
    if failures == len(files):
        raise typer.Exit(AudioError.exit_code)
    if failures:
        raise typer.Exit(CheckFailed.exit_code)


@app.command()
def calibrate(
    room: Annotated[
        list[Path], typer.Argument(help="Recordings of the room without crying; hours, or a night.")
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
    model: ModelOption = None,
    preset: PresetOption = "balanced",
    n: NOption = None,
    m: MOption = None,
    hold: HoldOption = None,
) -> None:
    """Choose the threshold for a room from a recording of it."""
    from crydistill.detector.calibrate import calibrate as by_tail
    from crydistill.detector.calibrate import calibrate_max_margin as by_margin
    from crydistill.detector.calibrate import check_cries, highest_score
    from crydistill.detector.calibrated import CalibratedSettings, save_settings
    from crydistill.detector.files import detect_file

    if method not in ("tail", "max-margin"):
        raise typer.BadParameter("choose tail or max-margin", param_hint="--method")
    student = _student(model)
    base = _vote(student, None, preset, None, n, m, hold)
    tracks = [detect_file(path, student, base).scores for path in room]
    if method == "tail":
        highest = highest_score(student.manifest)
        found = by_tail(tracks, base, wanted_per_night=per_night, highest=highest)
    else:
        found = by_margin(tracks, base)
    checked = None
    if cry:
        checked = check_cries([detect_file(path, student, base).scores for path in cry], found.vote)
    calibrated = CalibratedSettings(
        student=student.manifest.name,
        student_sha256=student.manifest.tflite.sha256,
        calibration=found,
        cries=checked,
    )
    save_settings(out, calibrated)
    _show_calibration(out, calibrated, room)


def _show_calibration(out: Path, calibrated: "CalibratedSettings", room: list[Path]) -> None:
    found, checked = calibrated.calibration, calibrated.cries
    print(f"{out}: threshold {found.vote.threshold:.4f} from {found.hours:.2f} h ({found.method})")
    if (expected := found.expected_per_night) is not None:
        interval = (
            ""
            if expected.low is None
            else f" (95 % interval {expected.low:.2f} to {expected.high:.2f})"
        )
        print(f"expect {expected.value:.2f} false alarms per night{interval}")
    for peak in found.loudest:
        print(f"  loudest: {room[peak.recording]} at {peak.seconds:.0f} s, {peak.level:.3f}")
    if checked is not None:
        print(f"cries: alert in {checked.raised} of {checked.recordings} recordings")
    for warning in found.warnings:
        tell(f"warning: {warning}")


@app.command()
def listen(
    source: Annotated[
        str, typer.Argument(help="Microphone, or - for raw s16le mono PCM on standard input.")
    ] = "",
    rate: Annotated[int, typer.Option(help="Sample rate of raw PCM, in hertz.")] = 16_000,
    clips: Annotated[
        Path | None, typer.Option(help="Folder to save the audio around alerts; private.")
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option(metavar="HOST[:PORT]", help="Publish to an MQTT broker, for Home Assistant."),
    ] = None,
    mqtt_id: Annotated[str, typer.Option(help="Id of this detector at the broker.")] = "crydistill",
    mqtt_user: Annotated[
        str | None,
        typer.Option(help="User name; the password is read from CRYDISTILL_MQTT_PASSWORD."),
    ] = None,
    mqtt_tls: Annotated[bool, typer.Option("--mqtt-tls", help="Use TLS.")] = False,
    model: ModelOption = None,
    settings: SettingsOption = None,
    preset: PresetOption = "balanced",
    threshold: ThresholdOption = None,
    n: NOption = None,
    m: MOption = None,
    hold: HoldOption = None,
) -> None:
    """Detect cries live; prints events as JSON lines on standard output."""
    from rich.console import Console
    from rich.live import Live

    from crydistill.detector.alert_clips import AlertClips
    from crydistill.detector.live import Listener, LiveEvent, display
    from crydistill.detector.live import listen as listen_to
    from crydistill.detector.sources import microphone_blocks, pcm_blocks

    student = _student(model)
    vote = _vote(student, settings, preset, threshold, n, m, hold)
    publisher = _publisher(mqtt, mqtt_id, mqtt_user, mqtt_tls) if mqtt else None

    def emit(event: LiveEvent) -> None:
        print(json.dumps(event.to_json()), flush=True)
        if publisher is not None:
            publisher.publish(event)

    listener = Listener(student, vote, clips=AlertClips(clips) if clips else None, say=tell)
    screen = Console(stderr=True)
    try:
        with Live(console=screen, auto_refresh=False, transient=True) as live:
            listen_to(
                (lambda: pcm_blocks(sys.stdin.buffer, rate=rate))
                if source == "-"
                else (lambda: microphone_blocks(source or None)),
                listener,
                emit=emit,
                show=lambda state: live.update(display(state), refresh=screen.is_terminal),
                say=tell,
            )
    finally:
        if publisher is not None:
            publisher.close()


def _publisher(address: str, id_: str, user: str | None, tls: bool) -> "MqttPublisher":
    from crydistill.detector.mqtt import DEFAULT_PORT, MqttPublisher
    from crydistill.settings import mqtt_password

    host, _, port = address.partition(":")
    if port and not port.isdigit():
        raise typer.BadParameter("write HOST or HOST:PORT", param_hint="--mqtt")
    return MqttPublisher(
        host, int(port or DEFAULT_PORT), id_=id_, username=user,
        password=mqtt_password(), tls=tls, say=tell,
    )  # fmt: skip


def _student(model: Path | None) -> "TfliteStudent":
    from crydistill.student.packaged import packaged_student
    from crydistill.student.runtime import TfliteStudent
    from crydistill.tflite.interpreters import Kernels

    return TfliteStudent.load(model or packaged_student(), Kernels.OPTIMIZED)


def _vote(
    student: "TfliteStudent",
    settings: Path | None,
    preset: str,
    threshold: float | None,
    n: int | None,
    m: int | None,
    hold: float | None,
) -> "VoteSettings":
    from crydistill.detector.calibrated import load_settings
    from crydistill.detector.settings import replaced, vote_settings

    if settings is not None:
        base = load_settings(settings, student_sha256=student.manifest.tflite.sha256).vote
    else:
        base = vote_settings(student.manifest, preset)
    return replaced(base, threshold=threshold, n=n, m=m, hold_seconds=hold)
