"""Publish alerts over MQTT, for Home Assistant and others, and take commands.

`detector.discovery` lists the topics. A background thread reconnects to a broker that is down,
without limit; events queue meanwhile, up to a limit. Retained messages are sent with QoS 0, and
again after every reconnect: with QoS 1, like events, an old state could arrive after a newer one
when the connection recovers, and a broker may have forgotten everything.

After connecting, the publisher subscribes to its own topics and then publishes who it is. When that
message comes back, so has everything that the broker retained: an earlier process's settings and
counts are taken up, and only then replaced.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from threading import RLock
from typing import Any

from crydistill.detector.broker import Broker, why_refused, why_silent, why_unreachable
from crydistill.detector.controls import Controls
from crydistill.detector.day import DayCount
from crydistill.detector.discovery import (
    DISCOVERY_PREFIX,
    HEARTBEAT_SECONDS,
    MIGRATE,
    checked_id,
    discovery,
    discovery_topic,
    former_discovery_topic,
    topic,
)
from crydistill.detector.live import LiveEvent, LiveState
from crydistill.detector.night import NightSummary
from crydistill.detector.publishers import Publishers
from crydistill.detector.vote import EventKind
from crydistill.errors import ConfigError, MissingExtraError
from crydistill.json_file import parse_json

MAX_WAITING = 1_000
"""Queue limit for events; later ones are dropped and counted, the alert's state is not lost."""

RETRY_SECONDS = (1, 60)
"""Reconnect delay: initial and maximum; it doubles each time."""

SCORE_SECONDS = 5.0
"""Shortest time between two scores."""

READING_SECONDS = 5.0
"""Time for the broker to return what it retained; after that the publisher does without."""

CLOSING_SECONDS = 3.0
"""Timeout of the last message when listening ends."""

_AT_MOST_ONCE, _AT_LEAST_ONCE = 0, 1


class MqttPublisher:
    """Publishes events without blocking on the broker or raising its errors.

    The listening loop drives it: a detector that hangs sends no heartbeats, and Home Assistant
    calls it unavailable.

    Parameters
    ----------
    id_ : id of this detector in topics: letters, digits, `-` and `_`
    controls : what commands may change
    prefix : Home Assistant's discovery prefix
    say : called, from another thread too, with a message when the broker accepts, refuses or drops
        the connection, once for each cause, and when a command changes or breaks something
    clock : returns the wall-clock time, for the date
    now : returns seconds that only rise, for intervals

    Attributes
    ----------
    lost : number of events dropped because the queue was full

    Raises
    ------
    MissingExtraError
        if paho-mqtt is not installed.
    ConfigError
        if the id has other characters or the broker's CA certificate cannot be used.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        id_: str,
        controls: Controls,
        password: str | None = None,
        prefix: str = DISCOVERY_PREFIX,
        say: Callable[[str], None] = lambda line: None,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._id, self._prefix = checked_id(id_), prefix
        self._broker, self._controls = broker, controls
        self._say, self._clock, self._now = say, clock, now
        self._lock = RLock()  # of everything below; paho calls back from a thread of its own
        self._publishers = Publishers(id_)
        self._count = DayCount(clock().date())
        self._last_night = ""
        self._on = False
        self._sound: bool | None = None  # None: nothing heard yet
        self._said: set[str] = set()  # causes, since the last success
        self._answered = self._accepted = False  # the broker, since this attempt to connect
        self._read_by: float | None = None  # while waiting for what the broker retained
        self._settled_at = math.inf  # by then, others at the broker have said who they are
        self._kept: dict[str, Any] | None = {}  # what it retained; None once taken up
        self._former = False  # discovery of an earlier version is at the broker
        self._beat_at = -math.inf
        self._score, self._score_at = math.nan, -math.inf  # as last published, and when
        self.lost = 0
        self._mqtt = _paho()
        self._client = self._connecting(password)

    def publish(self, event: LiveEvent) -> None:
        """Publish an event and the resulting state."""
        with self._lock:
            today = event.time.date()
            self._on = event.kind is EventKind.ON
            if self._on:
                self._count.begin(event.onset, today)
            else:
                self._count.end(event.at, today)
            self._send_alert()
            self._send_count()
            sent = self._client.publish(
                topic(self._id, "event"), json.dumps(event.to_json()), _AT_LEAST_ONCE
            )
            self.lost += sent.rc == self._mqtt.MQTT_ERR_QUEUE_SIZE

    def heard(self, state: LiveState) -> None:
        """Note the state after a block of audio: publish the score and the heartbeat if due."""
        with self._lock:
            now = self._now()
            self._count.pass_time(state.seconds, self._clock().date())
            if self._read_by is not None and now > self._read_by:
                self._say(
                    f"MQTT broker {self._broker} does not let this user read crydistill/{self._id}/"
                    "#: the threshold and the preset cannot be changed from Home Assistant"
                )
                self._announce()
            if now >= self._beat_at:
                self._beat_at = now + HEARTBEAT_SECONDS
                self._send_alert()
                self._send_count()
            if not math.isnan(state.score):
                if self._sound is None:
                    self.available(True)
                self._send_score(round(state.score, 2), now)

    def available(self, sound: bool) -> None:
        """Publish `online` while there is sound to listen to, else `offline`."""
        with self._lock:
            if sound != self._sound:
                self._sound = sound
                self._send_availability()

    def night(self, summary: NightSummary) -> None:
        """Publish what a night was; it stays until the next."""
        with self._lock:
            self._last_night = json.dumps(summary.to_json())
            self._send_night()

    def close(self) -> None:
        """Publish `offline`, if the broker is connected, and disconnect."""
        self.available(False)
        if self._client.is_connected():
            # The broker acknowledges the last message when it has all of them, and its answers have
            # been read: a socket that is closed with unread answers takes back what was sent. If
            # the connection is lost just now, the broker publishes the last will instead.
            last = self._client.publish(
                topic(self._id, "publisher"), "", _AT_LEAST_ONCE, retain=True
            )
            with suppress(RuntimeError, ValueError):
                last.wait_for_publish(CLOSING_SECONDS)
        self._client.disconnect()
        self._client.loop_stop()

    def _connecting(self, password: str | None) -> Any:
        client = self._mqtt.Client(
            self._mqtt.CallbackAPIVersion.VERSION2, client_id=self._publishers.client_id
        )
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, password)
        if self._broker.tls:
            client.tls_set_context(self._broker.ssl_context())
        client.will_set(topic(self._id, "availability"), "offline", _AT_MOST_ONCE, retain=True)
        client.max_queued_messages_set(MAX_WAITING)
        client.reconnect_delay_set(*RETRY_SECONDS)
        client.on_pre_connect = self._begins
        client.on_connect_fail = self._unreachable
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        client.connect_async(self._broker.host, self._broker.port)
        self._client = client  # before the thread can call back
        client.loop_start()
        return client

    def _send_alert(self) -> None:
        sent = self._retain("alert", "ON" if self._on else "OFF")
        self._publishers.alerts_sent += sent.rc == self._mqtt.MQTT_ERR_SUCCESS

    def _send_availability(self) -> None:
        self._retain("availability", "online" if self._sound else "offline")

    def _send_count(self) -> None:
        if self._kept is None:  # else an earlier process's count is still to come
            self._retain("today", json.dumps(self._count.to_json()))

    def _send_night(self) -> None:
        if self._last_night:
            self._retain("night", self._last_night)

    def _send_settings(self) -> None:
        self._retain("settings", json.dumps(self._controls.to_json()))

    def _send_score(self, score: float, now: float) -> None:
        age = now - self._score_at
        if age >= HEARTBEAT_SECONDS or (age >= SCORE_SECONDS and score != self._score):
            self._score, self._score_at = score, now
            self._client.publish(topic(self._id, "score"), f"{score:.2f}", _AT_MOST_ONCE)

    def _retain(self, what: str, content: str) -> Any:
        return self._client.publish(topic(self._id, what), content, _AT_MOST_ONCE, retain=True)

    def _announce(self) -> None:
        """Say what there is: discovery and the whole state."""
        self._read_by = None
        self._take_up()
        former = former_discovery_topic(self._id, self._prefix)
        if self._former:
            self._client.publish(former, json.dumps(MIGRATE), _AT_MOST_ONCE)
        where = discovery_topic(self._id, self._prefix)
        content = discovery(self._id, self._controls.options, self._controls.reachable)
        self._client.publish(where, json.dumps(content), _AT_MOST_ONCE, retain=True)
        if self._former:
            self._client.publish(former, "", _AT_MOST_ONCE, retain=True)
            self._former = False
        self._send_availability()
        self._send_alert()
        self._send_settings()
        self._send_count()
        self._send_night()

    def _take_up(self) -> None:
        if self._kept is None:
            return
        kept, self._kept = self._kept, None
        self._count.take_up(kept.get("today"), self._clock().date())
        if self._controls.take_up(kept.get("settings")):
            self._say(
                f"MQTT: {self._in_force()}, as it was changed before; start with other options, "
                "or change it again, to undo this"
            )

    def _in_force(self) -> str:
        return f"preset {self._controls.name}, threshold {self._controls.vote.threshold:.4g}"

    def _begins(self, client: Any, data: Any) -> None:
        self._answered = self._accepted = False

    def _unreachable(self, client: Any, data: Any) -> None:
        # paho calls this while it handles the exception.
        self._say_once(why_unreachable(self._broker, sys.exception()))

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        self._answered, self._accepted = True, not reason.is_failure
        if reason.is_failure:
            self._say_once(why_refused(str(reason)))
            return
        with self._lock:
            self._said.clear()
            self._say(f"MQTT broker {self._broker}: connected")
            self._publishers.connected()
            self._read_by = self._settled_at = self._now() + READING_SECONDS
            own = [(topic(self._id, what), _AT_MOST_ONCE) for what in _OWN]
            commands = [(topic(self._id, f"{what}/set"), _AT_LEAST_ONCE) for what in _COMMANDS]
            former = (former_discovery_topic(self._id, self._prefix), _AT_MOST_ONCE)
            birth = (f"{self._prefix}/status", _AT_MOST_ONCE)
            client.subscribe([*own, former, *commands, birth])
            self._retain("publisher", self._publishers.own)
            self._send_availability()
            self._send_alert()

    def _disconnected(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        with self._lock:
            self._read_by = None
            if not self._answered:
                self._say_once(why_silent(self._broker))
            elif self._accepted and reason.is_failure:
                self._say_once(f"connection lost ({reason})")

    def _say_once(self, cause: str) -> None:
        if cause not in self._said:
            self._said.add(cause)
            self._say(f"MQTT broker {self._broker}: {cause}; retrying until it works")

    def _received(self, client: Any, data: Any, message: Any) -> None:
        text = message.payload.decode(errors="replace")
        with self._lock:
            if message.topic == f"{self._prefix}/status":
                # Home Assistant has started.
                if text == "online" and not message.retain and self._read_by is None:
                    self._announce()
            elif message.topic == former_discovery_topic(self._id, self._prefix):
                self._former = self._former or bool(text)
            else:
                what = message.topic.removeprefix(topic(self._id, ""))
                self._received_own(what, text, message.retain)

    def _received_own(self, what: str, text: str, retained: bool) -> None:
        match what:
            case "publisher":
                self._met(text, retained)
            case "alert":
                settled = self._now() > self._settled_at
                if not retained and (line := self._publishers.alert_seen(settled)):
                    self._say(line)
            case "availability":
                # The last will of an earlier process may come after this one has begun.
                if text == "offline" and not retained and self._sound:
                    self._send_availability()
            case "settings" | "today":
                if retained and self._kept is not None:
                    self._kept[what] = _json(text)
            case _ if text:
                self._take_up()
                self._command(what.removesuffix("/set"), text)
                if retained:  # it has been obeyed, and must not be again
                    self._retain(what, "")

    def _met(self, text: str, retained: bool) -> None:
        if text == self._publishers.own:
            if self._read_by is not None:
                self._announce()
        elif not retained and (line := self._publishers.met(_json(text))):
            self._say(line)
            self._retain("publisher", self._publishers.own)  # so that the other notices, too

    def _command(self, what: str, text: str) -> None:
        before = self._in_force()
        try:
            if what == "threshold":
                self._controls.set_threshold(text)
            else:
                self._controls.choose(text)
        except ConfigError as error:
            self._say(f"MQTT: {error}; it stays {before}")
        else:
            if (after := self._in_force()) != before:
                self._say(f"MQTT: {after}; was {before}")
        self._send_settings()


_OWN = ("settings", "today", "publisher", "alert", "availability")
_COMMANDS = ("threshold", "preset")


def _json(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return None


def _paho() -> Any:
    try:
        return import_module("paho.mqtt.client")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "publishing over MQTT needs paho-mqtt: pip install 'crydistill[live]'"
        ) from error
