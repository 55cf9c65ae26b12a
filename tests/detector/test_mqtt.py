import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from crydistill.detector import mqtt
from crydistill.detector.live import LiveEvent
from crydistill.detector.mqtt import MqttPublisher, discovery, topic
from crydistill.detector.vote import EventKind
from crydistill.errors import ConfigError, MissingExtraError

EVENTS = topic("nursery", "event")
WAIT_SECONDS = 20.0  # shared machines stall; nothing here takes more than two of them


def event(kind: EventKind, at: float) -> LiveEvent:
    return LiveEvent(kind, at, at - 2, 0.9, datetime(2026, 1, 2, tzinfo=UTC))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


class Broker:
    """A real mosquitto on a free port of this machine."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = _mosquitto()
        assert program
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-v", "-c", str(self._config)], stdout=log, stderr=log
            )
        until(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def received(self, name: str) -> int:
        """Messages of a topic that have come in since the start, whoever was there to see them."""
        log = self._log.read_text(errors="replace")
        return sum("Received PUBLISH" in line and f"'{name}'" in line for line in log.split("\n"))

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install crydistill[live]")
    if _mosquitto() is None:
        pytest.skip("needs a real broker: apt-get install mosquitto")
    monkeypatch.setattr(mqtt, "RETRY_SECONDS", (1, 1))
    found = Broker(tmp_path)
    yield found
    found.stop()


class Subscriber:
    """Records everything that is published."""

    def __init__(self, port: int) -> None:
        paho = import_module("paho.mqtt.client")

        self.messages: list[tuple[str, str]] = []
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.on_message = self._received
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _received(self, client: Any, data: Any, message: Any) -> None:
        self.messages.append((message.topic, message.payload.decode()))

    def of(self, name: str) -> list[str]:
        return [payload for where, payload in self.messages if where == name]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def times(subscriber: Subscriber) -> list[float]:
    return [json.loads(payload)["at_s"] for payload in subscriber.of(EVENTS)]


def test_events_reach_a_broker(broker: Broker) -> None:
    broker.start()
    subscriber = Subscriber(broker.port)
    said: list[str] = []
    publisher = MqttPublisher("127.0.0.1", broker.port, say=said.append)
    until(lambda: bool(said))
    publisher.publish(event(EventKind.ON, 10.0))
    publisher.publish(event(EventKind.OFF, 30.0))
    until(lambda: len(times(subscriber)) == 2)
    publisher.close()
    until(lambda: "offline" in subscriber.of(topic("nursery", "availability")))
    subscriber.close()
    assert times(subscriber) == [10.0, 30.0]
    states = subscriber.of(topic("nursery", "alert"))
    assert states == ["OFF", "ON", "OFF"]
    where, content = discovery("nursery")
    assert json.loads(subscriber.of(where)[-1]) == content
    assert subscriber.of(topic("nursery", "availability"))[-2:] == ["online", "offline"]
    assert any("connected" in line for line in said)


def test_a_broker_that_comes_late_or_goes_away_gets_all_events(broker: Broker) -> None:
    publisher = MqttPublisher("127.0.0.1", broker.port)
    publisher.publish(event(EventKind.ON, 1.0))  # nobody there yet
    publisher.publish(event(EventKind.OFF, 2.0))
    broker.start()
    until(lambda: broker.received(EVENTS) == 2)
    broker.stop()
    until(lambda: not publisher._client.is_connected())
    publisher.publish(event(EventKind.OFF, 3.0))  # gone
    publisher.publish(event(EventKind.ON, 4.0))
    broker.start()
    until(lambda: broker.received(EVENTS) == 2)
    subscriber = Subscriber(broker.port)
    until(lambda: subscriber.of(topic("nursery", "alert")) == ["ON"])
    until(lambda: subscriber.of(topic("nursery", "availability")) == ["online"])
    publisher.close()
    subscriber.close()
    assert publisher.lost == 0


def test_availability_follows_the_sound(broker: Broker) -> None:
    publisher = MqttPublisher("127.0.0.1", broker.port)
    publisher.available(False)  # nobody there yet
    broker.start()
    subscriber = Subscriber(broker.port)
    availability = topic("nursery", "availability")
    until(lambda: subscriber.of(availability) == ["offline"])
    publisher.available(True)
    until(lambda: subscriber.of(availability) == ["offline", "online"])
    publisher.close()
    subscriber.close()


def test_a_broker_that_never_comes_costs_bounded_memory(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "MAX_WAITING", 20)
    publisher = MqttPublisher("127.0.0.1", broker.port)
    for second in range(100):
        publisher.publish(event(EventKind.OFF if second % 2 else EventKind.ON, float(second)))
    waiting = len(publisher._client._out_messages)
    lost = publisher.lost
    before = time.monotonic()
    publisher.close()
    assert (waiting, lost) == (20, 80)
    assert time.monotonic() - before < WAIT_SECONDS / 2


def test_home_assistant_is_told_what_it_needs() -> None:
    where, content = discovery("attic", prefix="ha")
    assert where == "ha/binary_sensor/attic/cry/config"
    assert content["state_topic"] == "crydistill/attic/alert"
    assert content["availability_topic"] == "crydistill/attic/availability"
    assert content["device_class"] == "sound"
    assert content["unique_id"] == "crydistill_attic_cry"


@pytest.mark.parametrize("id_", ["", "a/b", "a b", "#", "ä"])
def test_an_id_that_is_no_topic_is_refused(id_: str) -> None:
    with pytest.raises(ConfigError, match="letters, digits"):
        MqttPublisher("127.0.0.1", id_=id_)


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="port 0"):
        MqttPublisher("127.0.0.1", 0)


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(mqtt, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"crydistill\[live\]"):
        MqttPublisher("127.0.0.1")
