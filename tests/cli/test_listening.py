"""`crydistill listen` hands events on."""

import io
import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.detector import soak
from typer.testing import CliRunner

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.cli import app
from crydistill.detector import mqtt, stream_source
from crydistill.detector.live import LiveEvent, LiveState
from crydistill.detector.night import Episode, Night, NightSummary
from crydistill.detector.night_hours import NightHours
from crydistill.detector.stream_address import StreamAddress
from crydistill.errors import AudioError, ConfigError

QUIET = np.zeros(15 * SAMPLE_RATE, dtype="<i2").tobytes()
ALERT_AT_ANY_SCORE = ("--threshold", "0", "--votes", "1/1")


class Recorder:
    """Stands in for a publisher; remembers what it was given."""

    made: "list[Recorder]"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.arguments, self.options = arguments, options
        self.events: list[LiveEvent] = []
        self.nights: list[NightSummary] = []
        self.closed = False
        self.made.append(self)

    def publish(self, event: LiveEvent) -> None:
        assert not self.closed
        self.events.append(event)

    def heard(self, state: LiveState) -> None:
        assert not self.closed

    def available(self, sound: bool) -> None:
        assert not self.closed

    def night(self, summary: NightSummary) -> None:
        self.nights.append(summary)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    monkeypatch.setattr(Recorder, "made", [], raising=False)
    monkeypatch.setattr(mqtt, "MqttPublisher", Recorder)
    return Recorder.made


def listen(*options: str) -> list[dict[str, Any]]:
    """The events that the command line prints."""
    done = CliRunner().invoke(app, ["listen", "-", *ALERT_AT_ANY_SCORE, *options], input=QUIET)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_broker_is_told_of_on_a_terminal_that_hung_up_without_an_end(
    recorders: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails in the client's thread ends that thread, and with it every later message."""

    class HungUp(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    listen("--mqtt", "broker")
    monkeypatch.setattr(sys, "stderr", HungUp())
    recorders[0].options["say"]("MQTT broker broker:1883: connection lost")


def test_mqtt_gets_every_event_that_is_printed(recorders: list[Recorder]) -> None:
    printed = listen("--mqtt", "broker:1884", "--mqtt-id", "attic", "--mqtt-user", "me")
    (publisher,) = recorders
    (broker,) = publisher.arguments
    assert (broker.host, broker.port, broker.user) == ("broker", 1884, "me")
    assert publisher.options["id_"] == "attic"
    assert [event.to_json() for event in publisher.events] == printed
    assert printed[0]["event"] == "on"
    assert publisher.closed


def test_the_summary_of_a_night_is_printed_and_published(
    recorders: list[Recorder], tmp_path: Path
) -> None:
    """Of a night that ended while nobody listened."""
    hours = NightHours.parse("19:00-07:00")
    night = Night.of(date(2026, 1, 2), hours)
    night.heard = [60.0] * len(night.heard)
    night.episodes.append(Episode(night.begin, 90.0, 0.8))
    record = tmp_path / "night-2026-01-02.json"
    record.write_text(json.dumps(night.to_json()))
    printed = listen("--mqtt", "broker", "--nights", str(tmp_path))
    (told,) = [line for line in printed if line["event"] == "night"]
    assert [each.to_json() for each in recorders[0].nights] == [told]
    assert (told["episodes"], told["crying_min"]) == (1, 1.5)
    assert record.with_suffix(".html").exists()


@pytest.mark.parametrize("night", ["7-8", "19:00-19:00"])
def test_a_night_that_is_none_is_refused_before_listening(night: str) -> None:
    done = CliRunner().invoke(app, ["listen", "-", "--night-hours", night], input=QUIET)
    assert isinstance(done.exception, ConfigError) and done.stdout == ""


def test_nothing_is_published_unless_asked(recorders: list[Recorder]) -> None:
    assert listen()
    assert recorders == []


@pytest.mark.parametrize(
    "option", [["--mqtt-id", "attic"], ["--mqtt-user", "me"], ["--mqtt-tls"], ["--mqtt-ca", "ca"]]
)
def test_options_of_a_broker_without_one_are_refused(option: list[str]) -> None:
    done = CliRunner().invoke(app, ["listen", "-", *option], input=QUIET)
    assert isinstance(done.exception, ConfigError) and done.stdout == ""
    assert str(done.exception) == f"{option[0]}: give the broker, too, with --mqtt ADDRESS"


def test_a_port_that_is_no_number(recorders: list[Recorder]) -> None:
    done = CliRunner().invoke(app, ["listen", "-", "--mqtt", "broker:mqtt"], input=QUIET)
    assert isinstance(done.exception, ConfigError)
    assert "the port must be a number" in str(done.exception)


def test_a_recording_raises_the_alerts_of_detect(tmp_path: Path) -> None:
    sound = np.frombuffer(soak.episode(), dtype="<i2")
    soundfile.write(tmp_path / "evening.flac", sound, SAMPLE_RATE)
    heard = CliRunner().invoke(app, ["listen", str(tmp_path / "evening.flac")])
    assert heard.exit_code == 0, heard.output
    on, off = (json.loads(line) for line in heard.stdout.splitlines())
    found = CliRunner().invoke(app, ["detect", "--json", str(tmp_path / "evening.flac")])
    (alert,) = json.loads(found.stdout)["alerts"]
    assert (on["onset_s"], on["at_s"]) == (alert["onset_s"], alert["raised_at_s"])
    assert off["at_s"] == alert["ended_at_s"]


@pytest.mark.parametrize("name", ["nothing.m4a", "NOTHING.WAV"])
def test_a_recording_that_is_missing_is_no_microphone(name: str) -> None:
    done = CliRunner().invoke(app, ["listen", name])
    assert isinstance(done.exception, AudioError)
    assert str(done.exception).startswith(name)


class Streams:
    """Stands in for a stream's source: ends at once."""

    opened: "list[str]"

    def __init__(self, address: StreamAddress, **options: Any) -> None:
        self.opened.append(address.url)

    def __call__(self) -> Iterator[Any]:
        yield from ()


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(Streams, "opened", [], raising=False)
    monkeypatch.setattr(stream_source, "StreamSource", Streams)
    monkeypatch.delenv("CRYDISTILL_STREAM", raising=False)
    return Streams.opened


def test_the_address_of_a_stream_may_come_from_the_environment(
    streams: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRYDISTILL_STREAM", "rtsp://me:s3cr@camera/live")
    done = CliRunner().invoke(app, ["listen"])
    assert done.exit_code == 0
    assert streams == ["rtsp://me:s3cr@camera/live"]
    assert "s3cr" not in done.output and "CRYDISTILL_STREAM" not in done.output
    CliRunner().invoke(app, ["listen", "http://radio/stream"])
    assert streams[1:] == ["http://radio/stream"]


def test_a_password_on_the_command_line_is_used_and_warned_of(streams: list[str]) -> None:
    done = CliRunner().invoke(app, ["listen", "rtsp://me:s3cr@camera/live"])
    assert streams == ["rtsp://me:s3cr@camera/live"]
    assert "put the address into the environment variable CRYDISTILL_STREAM" in done.stderr
    assert "s3cr" not in done.output


def test_an_address_of_another_kind_is_one_line(streams: list[str]) -> None:
    done = CliRunner().invoke(app, ["listen", "rtmp://me:s3cr@camera/live"])
    assert isinstance(done.exception, ConfigError) and "s3cr" not in str(done.exception)
    assert streams == []
