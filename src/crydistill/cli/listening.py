"""The command that detects live: listen."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from crydistill.cli.common import tell
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
from crydistill.detector.clip_folder import LIMIT_MEGABYTES
from crydistill.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from crydistill.detector.controls import Controls
    from crydistill.detector.live import Listener, Publisher
    from crydistill.detector.night import NightSummary
    from crydistill.detector.night_log import NightLog
    from crydistill.detector.sources import Source
    from crydistill.detector.stream_address import StreamAddress
    from crydistill.detector.vote import VoteSettings
    from crydistill.student.runtime import TfliteStudent

app = typer.Typer()

DEFAULT_NIGHT = "19:00-07:00"

MqttOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Publish to an MQTT broker, for Home Assistant: HOST, HOST:PORT, "
        "mqtt://USER@HOST:PORT or, with TLS, mqtts://.",
    ),
]
DEFAULT_MQTT_ID = "crydistill"
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


SourceArgument = Annotated[
    str,
    typer.Argument(
        help="Microphone (name or index), recording, rtsp:// or http:// address, or - for raw "
        "s16le mono PCM or WAV from a pipe. Default: the address in CRYDISTILL_STREAM, else the "
        "default microphone."
    ),
]
RateOption = Annotated[int, typer.Option(help="Sample rate of raw PCM, in hertz.")]
PatienceOption = Annotated[
    float,
    typer.Option(
        min=1, max=3600, help="Seconds without sound after which the source counts as lost."
    ),
]
ClipsOption = Annotated[
    Path | None,
    typer.Option(help="Folder to save the audio around alerts and near-misses; private."),
]
ClipsLimitOption = Annotated[
    int,
    typer.Option(
        metavar="MB",
        min=1,
        help="Megabytes of clips to keep; the oldest that nobody reviewed go first.",
    ),
]

NightHoursOption = Annotated[
    str,
    typer.Option(
        metavar="HH:MM-HH:MM", help="The night, by the local clock; its end brings a summary."
    ),
]
NightsOption = Annotated[
    Path | None, typer.Option(help="Folder to keep a page of each night; private.")
]


@app.command()
def listen(
    source: SourceArgument = "",
    rate: RateOption = 16_000,
    patience: PatienceOption = 10.0,
    clips: ClipsOption = None,
    clips_limit: ClipsLimitOption = LIMIT_MEGABYTES,
    night_hours: NightHoursOption = DEFAULT_NIGHT,
    nights: NightsOption = None,
    mqtt: MqttOption = None,
    mqtt_id: MqttIdOption = DEFAULT_MQTT_ID,
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
    from crydistill.detector.night_hours import NightHours
    from crydistill.detector.night_log import NightLog

    open_source = _source(source, rate, patience)
    student = chosen_student(model)
    vote = chosen_vote(student, settings, preset, threshold, votes, hold)
    point = operating_point(student, vote, settings, preset, threshold, votes, hold)
    saved = AlertClips(clips, limit=clips_limit * 1_000_000) if clips else None
    listener = Listener(student, vote, point=point, clips=saved, say=_say)
    connections = []
    if mqtt is None:
        _require_no_broker(mqtt_id, mqtt_user, mqtt_tls, mqtt_ca)
    else:
        controls = _controls(student, vote, listener)
        connections.append(
            lambda: _mqtt_publisher(mqtt, mqtt_id, mqtt_user, mqtt_tls, mqtt_ca, controls)
        )
    hours = NightHours.parse(night_hours)
    _listen(
        open_source,
        listener,
        connections,
        lambda tell: NightLog(hours, tell, folder=nights, say=_say),
        patience,
    )


def require_usable(given: Mapping[str, Any]) -> None:
    """Refuse options that `listen` would refuse when it runs; opens no source and writes nothing.

    given : parameters of `listen` by their names; its defaults hold for others
    """
    from crydistill.boundary import require_outside_work_tree
    from crydistill.detector.broker import Broker
    from crydistill.detector.discovery import checked_id
    from crydistill.detector.night_hours import NightHours

    single = (given.get(name) for name in ("settings", "preset", "threshold", "votes", "hold"))
    chosen_vote(chosen_student(given.get("model")), *single)
    NightHours.parse(given.get("night_hours", DEFAULT_NIGHT))
    for folder in filter(None, (given.get("clips"), given.get("nights"))):
        require_outside_work_tree(folder, "clips and pages of nights (they are private)")
    id_ = given.get("mqtt_id", DEFAULT_MQTT_ID)
    user, tls, ca = given.get("mqtt_user"), given.get("mqtt_tls", False), given.get("mqtt_ca")
    if "mqtt" in given:
        Broker.parse(given["mqtt"], user=user, tls=tls, ca=ca)
        checked_id(id_)
    else:
        _require_no_broker(id_, user, tls, ca)


def _listen(
    source: "Source",
    listener: "Listener",
    connections: "Sequence[Callable[[], Publisher]]",
    make_log: "Callable[[Callable[[NightSummary], None]], NightLog]",
    patience: float,
) -> None:
    """Listen until the source ends or a signal comes.

    Parameters
    ----------
    connections : each makes a publisher, once signals are handled and an end can be published
    make_log : makes the log of nights, from what to do with a summary
    """
    from crydistill.cli.outputs import Outputs
    from crydistill.cli.stop_signals import StopSignals
    from crydistill.detector.live import listen as listen_to
    from crydistill.detector.sources import in_background

    with (
        StopSignals() as stop,
        Outputs([connect() for connect in connections], make_log, stop) as outputs,
    ):
        listen_to(
            lambda: in_background(source),
            listener,
            emit=outputs.emit,
            show=outputs.show,
            say=_say,
            available=outputs.available,
            stopping=stop.requested,
            patience=patience,
        )


def _source(name: str, rate: int, patience: float) -> "Source":
    """Choose a source by its name; a camera's and a microphone's is opened later."""
    from crydistill.detector.sources import file_blocks, is_recording, microphone_blocks, pcm_blocks
    from crydistill.detector.stream_address import StreamAddress
    from crydistill.settings import stream_address

    from_environment = not name and stream_address()
    name = name or from_environment or ""
    if name == "-":
        stream = _standard_input()
        return lambda: pcm_blocks(stream, rate=rate, say=_say)
    if StreamAddress.looks_like(name):
        return _stream(StreamAddress.parse(name), patience, hidden=bool(from_environment))
    if is_recording(name):
        return lambda: file_blocks(name, say=_say)
    device = int(name) if name.isdecimal() else name or None
    return lambda: microphone_blocks(device, patience=patience, say=_say)


def _stream(address: "StreamAddress", patience: float, *, hidden: bool) -> "Source":
    from crydistill.detector.stream_source import StreamSource

    if address.password and not hidden:
        _say(
            f"{address}: other users of this machine can read a password on the command line; put "
            "the address into the environment variable CRYDISTILL_STREAM"
        )
    return StreamSource(address, patience=patience, say=_say)


def _standard_input() -> BinaryIO:
    from crydistill.detector.byte_stream import RAW_PIPE

    if sys.stdin is None:
        raise AudioError(f"standard input is closed; pipe sound into it: {RAW_PIPE}")
    if sys.stdin.isatty():
        raise AudioError(f"standard input is a terminal; pipe sound into it: {RAW_PIPE}")
    return sys.stdin.buffer


def _say(line: str) -> None:
    if sys.stderr is not None:  # closed: `print` would write to standard output instead
        with suppress(OSError):  # a terminal that hung up: clips and state matter more
            tell(line)


def _require_no_broker(id_: str, user: str | None, tls: bool, ca: Path | None) -> None:
    """Refuse options of a broker without one: who gives them waits for messages that never come."""
    id_given = id_ != DEFAULT_MQTT_ID
    given = {"--mqtt-id": id_given, "--mqtt-user": user, "--mqtt-tls": tls, "--mqtt-ca": ca}
    for option, value in given.items():
        if value:
            raise ConfigError(f"{option}: give the broker, too, with --mqtt ADDRESS")


def _mqtt_publisher(
    address: str, id_: str, user: str | None, tls: bool, ca: Path | None, controls: "Controls"
) -> "Publisher":
    from crydistill.detector.broker import Broker
    from crydistill.detector.mqtt import MqttPublisher
    from crydistill.settings import mqtt_password

    broker = Broker.parse(address, user=user, tls=tls, ca=ca)
    return MqttPublisher(broker, id_=id_, controls=controls, password=mqtt_password(), say=_say)


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
