"""`crydistill listen` hands events on."""

import json
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.cli import app
from crydistill.detector import mqtt
from crydistill.detector.live import LiveEvent, LiveState
from crydistill.errors import ConfigError

QUIET = np.zeros(15 * SAMPLE_RATE, dtype="<i2").tobytes()
ALERT_AT_ANY_SCORE = ("--threshold", "0", "--votes", "1/1")


class Recorder:
    """Stands in for a publisher; remembers what it was given."""

    made: "list[Recorder]"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.arguments, self.options = arguments, options
        self.events: list[LiveEvent] = []
        self.closed = False
        self.made.append(self)

    def publish(self, event: LiveEvent) -> None:
        assert not self.closed
        self.events.append(event)

    def heard(self, state: LiveState) -> None:
        assert not self.closed

    def available(self, sound: bool) -> None:
        assert not self.closed

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


def test_mqtt_gets_every_event_that_is_printed(recorders: list[Recorder]) -> None:
    printed = listen("--mqtt", "broker:1884", "--mqtt-id", "attic", "--mqtt-user", "me")
    (publisher,) = recorders
    (broker,) = publisher.arguments
    assert (broker.host, broker.port, broker.user) == ("broker", 1884, "me")
    assert publisher.options["id_"] == "attic"
    assert [event.to_json() for event in publisher.events] == printed
    assert printed[0]["event"] == "on"
    assert publisher.closed


def test_nothing_is_published_unless_asked(recorders: list[Recorder]) -> None:
    assert listen()
    assert recorders == []


def test_a_port_that_is_no_number(recorders: list[Recorder]) -> None:
    done = CliRunner().invoke(app, ["listen", "-", "--mqtt", "broker:mqtt"], input=QUIET)
    assert isinstance(done.exception, ConfigError)
    assert "the port must be a number" in str(done.exception)
