"""Commands that detect cries: detect, calibrate, listen."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from crydistill.cli.common import complain, parse_votes, tell
from crydistill.errors import AudioError, CheckFailed

if TYPE_CHECKING:
    from crydistill.cli.stop_signals import StopSignals
    from crydistill.detector.calibrated import CalibratedSettings, RoomCalibration
    from crydistill.detector.controls import Controls
    from crydistill.detector.live import Listener, LiveEvent, LiveState, Publisher
    from crydistill.detector.operating_point import OperatingPoint
    from crydistill.detector.room import RoomSound
    from crydistill.detector.sources import Source
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

MqttOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Publish to an MQTT broker, for Home Assistant: HOST, HOST:PORT, "
        "mqtt://USER@HOST:PORT or, with TLS, mqtts://.",
    ),
]
MqttIdOption = Annotated[str, typer.Option(help="Id of this detector at the broker.")]
MqttUserOption = Annotated[
    str | None,
    typer.Option(help="User name; the password is read from CRYDISTILL_MQTT_PASSWORD."),
]
MqttTlsOption = Annotated[bool, typer.Option("--mqtt-tls", help="Use TLS.")]
MqttCaOption = Annotated[
    Path | None,
    typer.Option(help="Certificate of the CA that signed the broker's, if it is your own."),
]


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

    student = _student(model)
    vote = _vote(student, settings, preset, threshold, votes, hold)
    point = _operating_point(student, vote, settings, preset, threshold, votes, hold)
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
    student = _student(model)
    base = _vote(student, None, preset, None, votes, hold)
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
        print(f"  loudest: {room[peak.recording]} at {clock(peak.seconds)}, {peak.level:.3f}")
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


@app.command()
def listen(
    source: Annotated[
        str,
        typer.Argument(
            help="Microphone (name or index), or - for raw s16le mono PCM or WAV from a pipe."
        ),
    ] = "",
    rate: Annotated[int, typer.Option(help="Sample rate of raw PCM, in hertz.")] = 16_000,
    patience: Annotated[
        float,
        typer.Option(
            min=1, max=3600, help="Seconds without sound after which the source counts as lost."
        ),
    ] = 10.0,
    clips: Annotated[
        Path | None, typer.Option(help="Folder to save the audio around alerts; private.")
    ] = None,
    mqtt: MqttOption = None,
    mqtt_id: MqttIdOption = "crydistill",
    mqtt_user: MqttUserOption = None,
    mqtt_tls: MqttTlsOption = False,
    mqtt_ca: MqttCaOption = None,
    model: ModelOption = None,
    settings: SettingsOption = None,
    preset: PresetOption = None,
    threshold: ThresholdOption = None,
    votes: VotesOption = None,
    hold: HoldOption = None,
) -> None:
    """Detect cries live; prints events as JSON lines on standard output."""
    from crydistill.detector.alert_clips import AlertClips
    from crydistill.detector.live import Listener

    open_source = _source(source, rate, patience)
    student = _student(model)
    vote = _vote(student, settings, preset, threshold, votes, hold)
    point = _operating_point(student, vote, settings, preset, threshold, votes, hold)
    saved = AlertClips(clips) if clips else None
    listener = Listener(student, vote, point=point, clips=saved, say=_say)
    connections = []
    if mqtt is not None:
        controls = _controls(student, vote, listener)
        connections.append(
            lambda: _mqtt_publisher(mqtt, mqtt_id, mqtt_user, mqtt_tls, mqtt_ca, controls)
        )
    _listen(open_source, listener, connections, patience)


def _listen(
    source: "Source",
    listener: "Listener",
    connections: "Sequence[Callable[[], Publisher]]",
    patience: float,
) -> None:
    """Listen until the source ends or a signal comes.

    Parameters
    ----------
    connections : each makes a publisher, once signals are handled and an end can be published
    """
    from crydistill.cli.stop_signals import StopSignals
    from crydistill.detector.live import listen as listen_to
    from crydistill.detector.sources import in_background

    with StopSignals() as stop:
        publishers = [connect() for connect in connections]
        display = _Display()

        def show(state: "LiveState") -> None:
            display.show(state)
            for publisher in publishers:
                publisher.heard(state)

        def available(sound: bool) -> None:
            for publisher in publishers:
                publisher.available(sound)

        try:
            listen_to(
                lambda: in_background(source),
                listener,
                emit=lambda event: _report(event, publishers, stop),
                show=show,
                say=_say,
                available=available,
                stopping=stop.requested,
                patience=patience,
            )
        finally:
            display.close()
            for publisher in publishers:
                publisher.close()


def _source(name: str, rate: int, patience: float) -> "Source":
    """Open a microphone, or standard input for the name -."""
    from crydistill.detector.sources import microphone_blocks, pcm_blocks

    if name == "-":
        stream = _standard_input()
        return lambda: pcm_blocks(stream, rate=rate, say=_say)
    device = int(name) if name.isdecimal() else name or None
    return lambda: microphone_blocks(device, patience=patience, say=_say)


def _standard_input() -> BinaryIO:
    from crydistill.detector.sources import RAW_PIPE

    if sys.stdin is None:
        raise AudioError(f"standard input is closed; pipe sound into it: {RAW_PIPE}")
    if sys.stdin.isatty():
        raise AudioError(f"standard input is a terminal; pipe sound into it: {RAW_PIPE}")
    return sys.stdin.buffer


def _say(line: str) -> None:
    if sys.stderr is not None:  # closed: `print` would write to standard output instead
        with suppress(OSError):  # a terminal that hung up: clips and state matter more
            tell(line)


def _report(event: "LiveEvent", publishers: "list[Publisher]", stop: "StopSignals") -> None:
    for publisher in publishers:
        publisher.publish(event)
    try:
        print(json.dumps(event.to_json()), flush=True)
    except OSError:
        if not stop.requested():
            raise
        # The reader was stopped, too. Python would fail to write the line again when it exits.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115


class _Display:
    """The state on a terminal; nothing where standard error is none."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._screen = Console(stderr=True)
        # Events belong to standard output even while the display is on standard error.
        self._live = Live(
            console=self._screen,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        self._live.start()

    def show(self, state: "LiveState") -> None:
        """Draw the state; a terminal that was closed does not end the listening."""
        from crydistill.detector.live import display

        with suppress(OSError):
            self._live.update(display(state), refresh=self._screen.is_terminal)

    def close(self) -> None:
        """Remove the display."""
        with suppress(OSError):
            self._live.stop()


def _mqtt_publisher(
    address: str, id_: str, user: str | None, tls: bool, ca: Path | None, controls: "Controls"
) -> "Publisher":
    from crydistill.detector.broker import Broker
    from crydistill.detector.mqtt import MqttPublisher
    from crydistill.settings import mqtt_password

    broker = Broker.parse(address, user=user, tls=tls, ca=ca)
    return MqttPublisher(broker, id_=id_, controls=controls, password=mqtt_password(), say=tell)


def _controls(student: "TfliteStudent", vote: "VoteSettings", listener: "Listener") -> "Controls":
    from crydistill.detector.controls import Controls
    from crydistill.detector.settings import reachable_score, vote_settings

    manifest = student.manifest
    presets = {name: vote_settings(manifest, name) for name in manifest.presets}
    return Controls(
        vote,
        presets,
        student=manifest.tflite.sha256[:12],
        reachable=reachable_score(manifest),
        apply=listener.apply_settings,
    )


def _student(model: Path | None) -> "TfliteStudent":
    from crydistill.student.packaged import packaged_student
    from crydistill.student.runtime import TfliteStudent
    from crydistill.tflite.interpreters import Kernels

    return TfliteStudent.load(model or packaged_student(), Kernels.OPTIMIZED)


def _vote(
    student: "TfliteStudent",
    settings: Path | None,
    preset: str | None,
    threshold: float | None,
    votes: str | None,
    hold: float | None,
) -> "VoteSettings":
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


def _operating_point(
    student: "TfliteStudent",
    vote: "VoteSettings",
    settings: Path | None,
    preset: str | None,
    threshold: float | None,
    votes: str | None,
    hold: float | None,
) -> "OperatingPoint":
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
