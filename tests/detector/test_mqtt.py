import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.detector.mosquitto import WAIT_SECONDS, Client, Mosquitto, program, until

from crydistill.detector import mqtt
from crydistill.detector.broker import Broker
from crydistill.detector.controls import Controls
from crydistill.detector.discovery import (
    EXPIRE_SECONDS,
    HEARTBEAT_SECONDS,
    discovery,
    discovery_topic,
    former_discovery_topic,
    topic,
)
from crydistill.detector.live import LiveEvent, LiveState
from crydistill.detector.mqtt import MqttPublisher
from crydistill.detector.night import Episode, Night
from crydistill.detector.night_hours import NightHours
from crydistill.detector.vote import EventKind, VoteSettings
from crydistill.errors import ConfigError, MissingExtraError

ID = "nursery"
EVENTS, ALERT, AVAILABILITY = topic(ID, "event"), topic(ID, "alert"), topic(ID, "availability")
SETTINGS, TODAY, SCORE = topic(ID, "settings"), topic(ID, "today"), topic(ID, "score")
PUBLISHER, NIGHT = topic(ID, "publisher"), topic(ID, "night")
SET_THRESHOLD, SET_PRESET = topic(ID, "threshold/set"), topic(ID, "preset/set")
CONFIG = discovery_topic(ID)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

NOISE = np.random.default_rng(0).normal(0, 3000, 10 * 16_000).astype("<i2").tobytes()

BALANCED, QUIET = VoteSettings(threshold=0.3), VoteSettings(threshold=0.8)


def event(kind: EventKind, at: float) -> LiveEvent:
    return LiveEvent(kind, at, at - 2, 0.9, NOON)


def state(seconds: float = 1.0, score: float = 0.1) -> LiveState:
    return LiveState(BALANCED, seconds=seconds, score=score)


class Detector:
    """A publisher with all that it is given and says."""

    def __init__(self, broker: Broker, *, start: VoteSettings = BALANCED, **options: Any) -> None:
        self.said: list[str] = []
        self.applied: list[VoteSettings] = []
        self.time, self.date = 0.0, NOON
        presets = {"balanced": BALANCED, "quiet": QUIET}
        controls = Controls(
            start,
            presets,
            student="one",
            reachable=0.99,
            apply=lambda vote, name: self.applied.append(vote),
        )
        self.publisher = MqttPublisher(
            broker, id_=ID, controls=controls, say=self.said.append, clock=lambda: self.date,
            now=lambda: self.time, **options,
        )  # fmt: skip

    def told(self, text: str) -> int:
        return sum(text in line for line in self.said)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "RETRY_SECONDS", (1, 1))


@pytest.fixture
def needs_mosquitto() -> None:
    pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install crydistill[live]")
    if program() is None:
        pytest.skip("needs a real broker: apt-get install mosquitto")


@pytest.fixture
def broker(tmp_path: Path, needs_mosquitto: None) -> Iterator[Mosquitto]:
    found = Mosquitto(tmp_path)
    yield found
    found.stop()


@pytest.fixture
def detect(broker: Mosquitto) -> Iterator[Callable[..., Detector]]:
    """Makes detectors at the broker, and closes them."""
    made: list[Detector] = []

    def make(where: Broker | None = None, **options: Any) -> Detector:
        made.append(Detector(where or Broker("127.0.0.1", broker.port), **options))
        return made[-1]

    yield make
    for detector in made:
        detector.publisher.close()


@pytest.fixture
def client(broker: Mosquitto) -> Iterator[Client]:
    """A client of the broker, which it starts."""
    broker.start()
    found = Client(broker.port)
    yield found
    found.close()


Make = Callable[..., Detector]


def announced(client: Client) -> None:
    until(lambda: bool(client.of(SETTINGS)), "for the settings")


def times(client: Client) -> list[float]:
    return [json.loads(payload)["at_s"] for payload in client.of(EVENTS)]


def test_events_reach_a_broker(client: Client, detect: Make) -> None:
    detector = detect()
    announced(client)
    detector.publisher.heard(state())
    detector.publisher.publish(event(EventKind.ON, 10.0))
    detector.publisher.publish(event(EventKind.OFF, 30.0))
    until(lambda: len(times(client)) == 2)
    assert times(client) == [10.0, 30.0]
    assert client.of(ALERT)[-2:] == ["ON", "OFF"] and set(client.of(ALERT)[:-2]) == {"OFF"}
    assert json.loads(client.of(CONFIG)[0]) == discovery(ID, ("balanced", "quiet", "custom"), 0.99)
    assert client.last(AVAILABILITY) == "online"
    detector.publisher.close()
    until(lambda: client.last(AVAILABILITY) == "offline")
    until(lambda: client.last(PUBLISHER) == "")
    assert detector.told("connected") == len(detector.said) == 1


def test_a_broker_that_comes_late_or_goes_away_gets_all_events(
    broker: Mosquitto, detect: Make
) -> None:
    detector = detect()
    detector.publisher.publish(event(EventKind.ON, 1.0))  # nobody there yet
    detector.publisher.publish(event(EventKind.OFF, 2.0))
    until(lambda: detector.told("cannot be reached (Connection refused); retrying") == 1)
    broker.start()
    until(lambda: broker.received(EVENTS) == 2)
    until(lambda: not detector.publisher._client._out_messages)  # acknowledged
    broker.stop()
    until(lambda: not detector.publisher._client.is_connected())
    detector.publisher.publish(event(EventKind.ON, 4.0))  # gone
    until(lambda: detector.told("cannot be reached") == 2)
    time.sleep(1.5)  # another attempt, of which nothing is said
    broker.start()
    until(lambda: broker.received(EVENTS) == 1)
    assert detector.publisher.lost == 0
    assert [line.partition(": ")[2] for line in detector.said] == [
        "cannot be reached (Connection refused); retrying until it works",
        "connected",
        "connection lost (Unspecified error); retrying until it works",
        "cannot be reached (Connection refused); retrying until it works",
        "connected",
    ]


def test_a_connection_that_is_lost_while_a_state_is_published_is_noted_after_it(
    broker: Mosquitto, detect: Make
) -> None:
    broker.start()
    detector = detect()
    until(lambda: broker.received(TODAY) == 1)
    time.sleep(0.5)  # until what it published has come back to it
    told_meanwhile = []

    class Interrupted:
        score = 0.1

        @property
        def seconds(self) -> float:
            broker.stop()
            time.sleep(1.0)  # the client sees it at once
            told_meanwhile.append(detector.told("connection lost"))
            return 1.0

    detector.publisher.heard(Interrupted())  # type: ignore[arg-type]
    assert told_meanwhile == [0]
    until(lambda: detector.told("connection lost") == 1)


def test_a_broker_that_forgets_everything_during_an_alert_is_told_again(
    client: Client, broker: Mosquitto, detect: Make
) -> None:
    detector = detect()
    announced(client)
    detector.publisher.heard(state())
    detector.publisher.publish(event(EventKind.ON, 10.0))
    client.send(SET_PRESET, "quiet")
    until(lambda: detector.applied == [QUIET])
    until(lambda: json.loads(client.of(SETTINGS)[-1])["preset"] == "quiet")
    broker.stop()
    until(lambda: not detector.publisher._client.is_connected())
    broker.start()
    until(lambda: broker.received(SETTINGS) == 1)
    later = Client(broker.port)
    until(lambda: bool(later.of(TODAY)) and bool(later.of(AVAILABILITY)))
    assert later.of(ALERT) == ["ON"] and later.of(AVAILABILITY) == ["online"]
    assert json.loads(later.of(CONFIG)[0])["cmps"]
    assert json.loads(later.of(SETTINGS)[0])["preset"] == "quiet"
    assert json.loads(later.of(TODAY)[0])["episodes"] == 1
    assert detector.applied == [QUIET]
    later.close()


def test_home_assistants_start_brings_everything_again(client: Client, detect: Make) -> None:
    detect()
    announced(client)
    until(lambda: bool(client.of(TODAY)))
    client.messages.clear()
    client.send("homeassistant/status", "offline")
    client.send("homeassistant/status", "online")
    until(lambda: bool(client.of(TODAY)))
    names = [where for where, _, _ in client.messages]
    assert {CONFIG, AVAILABILITY, ALERT, SETTINGS, TODAY} <= set(names)
    assert names.count(CONFIG) == 1


def test_a_broker_that_never_comes_costs_bounded_memory(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, detect: Make
) -> None:
    monkeypatch.setattr(mqtt, "MAX_WAITING", 20)
    publisher = detect().publisher
    for second in range(100):
        publisher.publish(event(EventKind.OFF if second % 2 else EventKind.ON, float(second)))
    waiting = len(publisher._client._out_messages)
    before = time.monotonic()
    publisher.close()
    assert (waiting, publisher.lost) == (20, 80)
    assert time.monotonic() - before < WAIT_SECONDS / 2


def test_availability_follows_the_sound(client: Client, detect: Make) -> None:
    detector = detect()
    announced(client)
    assert set(client.of(AVAILABILITY)) == {"offline"}
    detector.publisher.heard(state(score=math.nan))  # no sound yet
    detector.publisher.heard(state())
    detector.publisher.available(False)
    detector.publisher.heard(state())  # what is heard is digital silence
    detector.publisher.available(False)
    detector.publisher.available(True)
    detector.publisher.close()
    until(lambda: client.last(PUBLISHER) == "")
    until(lambda: client.of(AVAILABILITY)[-4:] == ["online", "offline", "online", "offline"])


def test_the_last_will_of_an_earlier_process_does_not_last(client: Client, detect: Make) -> None:
    detector = detect()
    announced(client)
    detector.publisher.heard(state())
    until(lambda: client.last(AVAILABILITY) == "online")
    client.send(AVAILABILITY, "offline", retain=True)
    until(lambda: client.of(AVAILABILITY)[-2:] == ["offline", "online"])


def test_heartbeats_come_from_the_loop_and_in_time(client: Client, detect: Make) -> None:
    detector = detect()
    announced(client)
    until(lambda: bool(client.of(TODAY)))
    detector.publisher.heard(state())
    until(lambda: bool(client.of(SCORE)))
    client.messages.clear()
    for second in range(200):
        detector.time = float(second)
        detector.publisher.heard(state(second))
    detector.publisher.publish(event(EventKind.ON, 200.0))
    until(lambda: client.last(ALERT) == "ON")
    assert client.of(ALERT) == ["OFF"] * 3 + ["ON"]
    assert len(client.of(SCORE)) == 3  # it does not change
    assert EXPIRE_SECONDS > 2 * HEARTBEAT_SECONDS


def test_scores_are_throttled(client: Client, detect: Make) -> None:
    detector = detect()
    announced(client)
    for tenth in range(300):
        detector.time = tenth / 10
        detector.publisher.heard(state(tenth / 10, score=tenth / 300))
    detector.publisher.heard(state(30, score=math.nan))
    detector.publisher.publish(event(EventKind.ON, 30.0))
    until(lambda: client.last(ALERT) == "ON")
    assert client.of(SCORE) == ["0.00", "0.17", "0.33", "0.50", "0.67", "0.83"]


def test_crying_is_counted_over_midnight_and_a_restart(client: Client, detect: Make) -> None:
    detector = detect()
    announced(client)
    detector.publisher.publish(event(EventKind.ON, 10.0))
    detector.publisher.publish(event(EventKind.OFF, 68.0))
    detector.publisher.publish(event(EventKind.ON, 100.0))
    detector.publisher.close()
    until(lambda: client.last(PUBLISHER) == "")
    assert json.loads(client.of(TODAY)[-1]) == {
        "date": "2026-01-02", "episodes": 2, "crying_min": 1.0,
    }  # fmt: skip
    client.messages.clear()
    again = detect()
    announced(client)
    until(lambda: bool(client.of(TODAY)))
    again.publisher.publish(event(EventKind.ON, 10.0))
    until(lambda: json.loads(client.of(TODAY)[-1])["episodes"] == 3)
    again.time, again.date = 61.0, datetime(2026, 1, 3, 0, 0, 1, tzinfo=UTC)
    again.publisher.heard(state(100.0))
    until(lambda: json.loads(client.of(TODAY)[-1])["episodes"] == 0)
    assert json.loads(client.of(TODAY)[-1])["date"] == "2026-01-03"


def test_a_night_is_told_as_a_sensor_and_again_to_a_broker_that_forgot_it(
    client: Client, broker: Mosquitto, detect: Make
) -> None:
    detector = detect()
    announced(client)
    begin = datetime(2026, 11, 27, 19, 0, tzinfo=UTC)
    night = Night.of(begin.date(), NightHours.parse("19:00-07:00", zone=UTC))
    night.episodes.append(Episode(begin, 90.0, 0.8))
    detector.publisher.night(night.summary(NightHours.parse("19:00-07:00", zone=UTC)))
    until(lambda: bool(client.of(NIGHT)))
    told = json.loads(client.of(NIGHT)[-1])
    assert (told["episodes"], told["crying_min"]) == (1, 1.5)
    entities = json.loads(client.of(CONFIG)[-1])["cmps"]
    for key, field in (("night_episodes", "episodes"), ("night_crying", "crying_min")):
        assert entities[key]["state_topic"] == NIGHT
        assert entities[key]["value_template"] == f"{{{{ value_json.{field} }}}}"
    broker.stop()
    until(lambda: not detector.publisher._client.is_connected())
    broker.start()
    until(lambda: broker.received(NIGHT) == 1)


def test_commands_change_the_detector_and_are_told_back(client: Client, detect: Make) -> None:
    detector = detect()
    announced(client)
    client.send(SET_THRESHOLD, "0.55")
    until(lambda: len(client.of(SETTINGS)) == 2)
    client.send(SET_PRESET, "quiet")
    until(lambda: len(client.of(SETTINGS)) == 3)
    told = [json.loads(payload) for payload in client.of(SETTINGS)]
    assert [(each["preset"], each["threshold"]) for each in told] == [
        ("balanced", 0.3), ("custom", 0.55), ("quiet", 0.8),
    ]  # fmt: skip
    assert detector.applied == [VoteSettings(threshold=0.55), QUIET]
    assert detector.told("MQTT: preset quiet, threshold 0.8; was preset custom, threshold 0.55")


@pytest.mark.parametrize(
    ("where", "payload"),
    [(SET_THRESHOLD, "2"), (SET_THRESHOLD, "loud"), (SET_PRESET, "loud"), (SET_PRESET, "\x00ÿ")],
)
def test_commands_that_make_no_sense_are_refused(
    where: str, payload: str, client: Client, detect: Make
) -> None:
    detector = detect()
    announced(client)
    client.send(where, payload)
    until(lambda: len(client.of(SETTINGS)) == 2)
    assert json.loads(client.of(SETTINGS)[-1])["threshold"] == 0.3
    assert detector.applied == []
    assert detector.told("it stays preset balanced, threshold 0.3") == 1


@pytest.mark.parametrize("payload", ["no JSON", "[" * 100_000, '{"instance": 1}', "NaN"])
def test_nonsense_of_another_publisher_ends_nothing(
    payload: str, client: Client, detect: Make
) -> None:
    detect()
    announced(client)
    client.send(f"crydistill/{ID}/publisher", payload)
    client.send(SET_THRESHOLD, "0.5")
    until(lambda: len(client.of(SETTINGS)) == 2)
    assert json.loads(client.of(SETTINGS)[-1])["threshold"] == 0.5


def test_a_change_outlives_a_restart_but_not_other_options(client: Client, detect: Make) -> None:
    first = detect()
    announced(client)
    client.send(SET_THRESHOLD, "0.55")
    until(lambda: len(client.of(SETTINGS)) == 2)
    first.publisher.close()
    second = detect()
    until(lambda: len(client.of(SETTINGS)) == 3)
    assert second.applied == [VoteSettings(threshold=0.55)]
    assert json.loads(client.of(SETTINGS)[-1])["threshold"] == 0.55
    assert second.told("threshold 0.55, as it was changed before") == 1
    second.publisher.close()
    third = detect(start=QUIET)
    until(lambda: len(client.of(SETTINGS)) == 4)
    assert third.applied == []
    assert json.loads(client.of(SETTINGS)[-1])["threshold"] == 0.8


def test_a_retained_command_is_obeyed_once(client: Client, detect: Make) -> None:
    client.send(SET_PRESET, "quiet", retain=True)
    first = detect()
    until(lambda: first.applied == [QUIET])
    until(lambda: client.last(SET_PRESET) == "")
    client.send(SET_PRESET, "balanced")
    until(lambda: first.applied == [QUIET, BALANCED])
    until(lambda: json.loads(client.of(SETTINGS)[-1])["preset"] == "balanced")
    first.publisher.close()
    client.messages.clear()
    second = detect()
    announced(client)
    assert second.applied == []


def test_the_entity_of_an_earlier_version_gives_way_with_its_history(
    client: Client, detect: Make
) -> None:
    former = former_discovery_topic(ID)
    client.send(former, '{"name": "Baby cry"}', retain=True)
    until(lambda: bool(client.of(former)))
    detect()
    announced(client)
    until(lambda: client.last(former) == "")
    migration = [(where, what) for where, what, _ in client.messages if "/config" in where][1:]
    assert [where for where, _ in migration] == [former, CONFIG, former]
    assert json.loads(migration[0][1]) == {"migrate_discovery": True}
    later = Client(client._client.port)
    until(lambda: bool(later.of(TODAY)))
    assert later.of(former) == []
    later.close()


def test_two_listeners_notice_and_name_each_other_once(
    client: Client, broker: Mosquitto, detect: Make
) -> None:
    first, second = detect(), detect()
    for detector in (first, second):
        until(lambda detector=detector: detector.told("publishes to crydistill/nursery/ too") == 1)  # type: ignore[misc]
        assert detector.told("another crydistill (process ") == 1
    for _ in range(5):
        for detector in (first, second):
            detector.time += HEARTBEAT_SECONDS
            detector.publisher.heard(state())
    until(lambda: client.of(ALERT).count("OFF") >= 10)
    assert first.told("too") == second.told("too") == 1
    ids = [name for name in broker.client_ids() if name.startswith("crydistill")]
    assert len(ids) == len(set(ids)) == 2 and max(map(len, ids)) <= 23
    second.publisher.close()
    first.publisher.heard(state())
    until(lambda: client.last(AVAILABILITY) == "online")


def test_a_publisher_without_a_name_is_noticed_once(client: Client, detect: Make) -> None:
    detector = detect()
    announced(client)
    for _ in range(3):
        detector.time += HEARTBEAT_SECONDS
        detector.publisher.heard(state())
    until(lambda: client.of(ALERT).count("OFF") >= 4)
    assert detector.told("too") == 0
    client.send(ALERT, "ON")
    client.send(ALERT, "ON")
    until(lambda: detector.told("another program, which does not say who it is,") == 1)
    client.send(topic(ID, "publisher"), "[]")
    client.send(SET_PRESET, "quiet")
    until(lambda: detector.applied == [QUIET])
    assert detector.told("too") == 1


def test_a_process_that_was_killed_is_no_other_publisher(client: Client, detect: Make) -> None:
    client.send(PUBLISHER, '{"instance": "a", "host": "b", "process": 1}', retain=True)
    detector = detect()
    announced(client)
    assert detector.told("too") == 0


def test_a_broker_that_lets_nobody_read_gets_alerts_all_the_same(
    tmp_path: Path, needs_mosquitto: None
) -> None:
    rights = tmp_path / "rights"
    rights.write_text("topic write crydistill/#\ntopic write homeassistant/#\n")
    rights.chmod(0o600)
    broker = Mosquitto(tmp_path, ["allow_anonymous true", f"acl_file {rights}"])
    broker.start()
    detector = Detector(Broker("127.0.0.1", broker.port))
    until(lambda: broker.received(ALERT) == 1)
    assert broker.received(CONFIG) == 0
    detector.time = mqtt.READING_SECONDS + 1
    detector.publisher.heard(state())
    detector.publisher.heard(state())
    until(lambda: broker.received(CONFIG) == 1)
    assert detector.told("does not let this user read crydistill/nursery/#") == 1
    detector.publisher.close()
    broker.stop()


def test_a_wrong_password_is_told_once(tmp_path: Path, needs_mosquitto: None) -> None:
    if not (tool := _tool("mosquitto_passwd")):
        pytest.skip("needs mosquitto_passwd")
    passwords = tmp_path / "passwords"
    subprocess.run([tool, "-b", "-c", passwords, "ann", "right"], check=True, capture_output=True)
    passwords.chmod(0o600)
    broker = Mosquitto(tmp_path, ["allow_anonymous false", f"password_file {passwords}"])
    broker.start()
    where = Broker.parse(f"ann@127.0.0.1:{broker.port}")
    wrong = Detector(where, password="wrong")
    nobody = Detector(Broker("127.0.0.1", broker.port))
    right = Detector(where, password="right")
    until(lambda: right.told("connected") == 1)
    for detector in (wrong, nobody):
        until(lambda detector=detector: bool(detector.said))  # type: ignore[misc]
    time.sleep(1.5)  # another attempt
    for detector in (wrong, nobody):
        (line,) = detector.said
        assert "refuses the user (Not authorized); check the user name and the password" in line
        assert line.endswith("retrying until it works")
    for detector in (wrong, nobody, right):
        detector.publisher.close()
    broker.stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, and a broker's certificate by it for "localhost", but not for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for words in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=Home",
        "req -newkey rsa:2048 -nodes -keyout broker.key -out broker.csr -subj /CN=localhost",
        "x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out broker.crt "
        "-days 2 -extfile names",
    ):
        try:
            subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("needs openssl")
    return folder


@pytest.fixture
def secure(tmp_path: Path, certificates: Path, needs_mosquitto: None) -> Iterator[Mosquitto]:
    lines = ["allow_anonymous true", f"certfile {certificates / 'broker.crt'}",
             f"keyfile {certificates / 'broker.key'}"]  # fmt: skip
    broker = Mosquitto(tmp_path, lines)
    broker.start()
    yield broker
    broker.stop()


def test_certificates_are_verified_and_told_once(secure: Mosquitto, certificates: Path) -> None:
    port, ca = secure.port, certificates / "ca.crt"
    good = Detector(Broker.parse(f"localhost:{port}", ca=ca))
    until(lambda: good.told("connected") == 1)
    cases = {
        "is not accepted (unable to get local issuer certificate); name the file of the CA": (
            Broker("localhost", port, tls=True)
        ),
        "connect to a name that stands in the certificate": Broker.parse(
            f"127.0.0.1:{port}", ca=ca
        ),
        "closed the connection before it answered; if it expects TLS, write mqtts://": (
            Broker("localhost", port)
        ),
    }
    detectors = {text: Detector(broker) for text, broker in cases.items()}
    for detector in detectors.values():
        until(lambda detector=detector: bool(detector.said))  # type: ignore[misc]
    time.sleep(1.5)  # another attempt
    for text, detector in detectors.items():
        (line,) = detector.said
        assert text in line and line.endswith("retrying until it works")
    for detector in (good, *detectors.values()):
        detector.publisher.close()


def test_a_port_without_tls_is_named(client: Client, broker: Mosquitto, detect: Make) -> None:
    detector = detect(Broker("127.0.0.1", broker.port, tls=True))
    until(lambda: bool(detector.said))
    assert f"is {broker.port} its port for TLS (usually 8883)?" in detector.said[0]


def test_a_host_that_is_unknown_is_told(detect: Make) -> None:
    detector = detect(Broker("nowhere.invalid"))
    until(lambda: bool(detector.said))
    assert "MQTT broker nowhere.invalid:1883: cannot be reached (" in detector.said[0]


def test_ipv6(tmp_path: Path, needs_mosquitto: None) -> None:
    try:
        broker = Mosquitto(tmp_path, host="::1")
    except OSError:
        pytest.skip("needs IPv6")
    broker.start()
    detector = Detector(Broker.parse(f"[::1]:{broker.port}"))
    until(lambda: broker.received(CONFIG) == 1)
    detector.publisher.close()
    broker.stop()
    assert detector.said == [f"MQTT broker [::1]:{broker.port}: connected"]


def test_the_state_is_the_latest_whatever_thread_sends_it(client: Client, detect: Make) -> None:
    detector = detect()
    announced(client)
    stop = threading.Event()

    def births() -> None:
        while not stop.is_set():
            detector.publisher._received(None, None, SimpleNamespace(
                topic="homeassistant/status", payload=b"online", retain=False))  # fmt: skip

    thread = threading.Thread(target=births)
    thread.start()
    for at in range(50):
        detector.publisher.publish(event(EventKind.OFF if at % 2 else EventKind.ON, float(at)))
    detector.publisher.publish(event(EventKind.ON, 50.0))
    stop.set()
    thread.join()
    until(lambda: len(times(client)) == 51)
    client.messages.clear()
    later = Client(client._client.port)
    until(lambda: later.of(ALERT) == ["ON"])
    later.close()


def test_listen_publishes_what_it_hears(client: Client, broker: Mosquitto) -> None:
    command = [sys.executable, "-m", "crydistill", "listen", "-", "--preset", "quiet",
               "--mqtt", f"127.0.0.1:{broker.port}", "--mqtt-id", ID]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as listening:
        assert listening.stdin
        listening.stdin.write(NOISE[: 2 * 32_000])
        listening.stdin.flush()
        announced(client)
        until(lambda: client.last(AVAILABILITY) == "online" and bool(client.of(SCORE)))
        client.send(SET_THRESHOLD, "1e-30")  # any window votes
        until(lambda: len(client.of(SETTINGS)) == 2)
        listening.stdin.write(NOISE)
        listening.stdin.flush()
        until(lambda: client.last(ALERT) == "ON")
        listening.stdin.close()
        assert listening.wait(WAIT_SECONDS) == 0
    assert client.last(AVAILABILITY) == "offline"
    first, second = (json.loads(payload) for payload in client.of(SETTINGS))
    assert (first["preset"], second["preset"]) == ("quiet", "custom")


@pytest.mark.parametrize("id_", ["", "a/b", "a b", "#", "ä"])
def test_an_id_that_is_no_topic_is_refused(id_: str) -> None:
    controls = Controls(BALANCED, {}, student="one", reachable=0.99, apply=lambda vote, name: None)
    with pytest.raises(ConfigError, match="letters, digits"):
        MqttPublisher(Broker("127.0.0.1"), id_=id_, controls=controls)


def test_a_missing_ca_is_refused(tmp_path: Path, needs_mosquitto: None) -> None:
    with pytest.raises(ConfigError, match=r"ca\.crt: cannot be read"):
        Detector(Broker("127.0.0.1", tls=True, ca=tmp_path / "ca.crt"))


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(mqtt, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"crydistill\[live\]"):
        Detector(Broker("127.0.0.1"))


def _tool(name: str) -> str | None:
    found = Path(program() or "/").parent.parent
    places = [path for path in (found / "bin" / name, found / "sbin" / name) if path.is_file()]
    return str(places[0]) if places else None
