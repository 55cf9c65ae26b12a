"""Publish alerts over MQTT, for Home Assistant and others.

    crydistill/ID/alert          ON or OFF, retained
    crydistill/ID/event          each event as JSON
    crydistill/ID/availability   online or offline, retained; offline is the last will, too, which
                                 the broker publishes if the connection is lost
    PREFIX/binary_sensor/ID/cry/config   Home Assistant's discovery, retained

A background thread reconnects to a broker that is down, without limit; events queue meanwhile, up
to a limit. Retained messages are sent with QoS 0, and again after every reconnect: with QoS 1, like
events, an old state could arrive after a newer one when the connection recovers.

Source: Home Assistant's documentation, "MQTT" (discovery) and "MQTT binary sensor".
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from crydistill import __version__
from crydistill.detector.live import LiveEvent
from crydistill.detector.vote import EventKind
from crydistill.errors import ConfigError, MissingExtraError

DEFAULT_PORT = 1883
DEFAULT_ID = "nursery"
DISCOVERY_PREFIX = "homeassistant"

MAX_WAITING = 1_000
"""Queue limit for events; later ones are dropped and counted, the alert's state is not lost."""

RETRY_SECONDS = (1, 60)
"""Reconnect delay: initial and maximum; it doubles each time."""

CLOSING_SECONDS = 3.0
"""Timeout of the last message when listening ends."""

_AT_MOST_ONCE, _AT_LEAST_ONCE = 0, 1
_ID = re.compile(r"[A-Za-z0-9_-]+")


def topic(id_: str, what: str) -> str:
    """Topic of one of this detector's messages."""
    return f"crydistill/{id_}/{what}"


def discovery(id_: str, *, prefix: str = DISCOVERY_PREFIX) -> tuple[str, dict[str, Any]]:
    """Topic and payload of Home Assistant's discovery message for the sensor."""
    content = {
        "name": "Baby cry",
        "unique_id": f"crydistill_{id_}_cry",
        "device_class": "sound",
        "state_topic": topic(id_, "alert"),
        "payload_on": "ON",
        "payload_off": "OFF",
        "availability_topic": topic(id_, "availability"),
        "json_attributes_topic": topic(id_, "event"),
        "device": {
            "identifiers": [f"crydistill_{id_}"],
            "name": f"Cry detector {id_}",
            "manufacturer": "crydistill",
            "sw_version": __version__,
        },
    }
    return f"{prefix}/binary_sensor/{id_}/cry/config", content


class MqttPublisher:
    """Publishes events without blocking on the broker or raising its errors.

    Parameters
    ----------
    id_ : unique id of this detector: letters, digits, `-` and `_`
    prefix : Home Assistant's discovery prefix
    tls : use TLS, and verify the broker's certificate against the system's CA certificates
    say : called, from another thread, with a message when the broker accepts, refuses or drops the
        connection

    Attributes
    ----------
    lost : number of events dropped because the queue was full

    Raises
    ------
    MissingExtraError
        if paho-mqtt is not installed.
    ConfigError
        if the id has other characters or the port is out of range.
    """

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        *,
        id_: str = DEFAULT_ID,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        prefix: str = DISCOVERY_PREFIX,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        if not _ID.fullmatch(id_):
            raise ConfigError(f"MQTT id '{id_}': use letters, digits, - and _ only")
        if not 0 < port < 65_536:
            raise ConfigError(f"MQTT port {port}: must lie between 1 and 65535")
        self._id, self._prefix, self._say = id_, prefix, say
        self._broker = f"MQTT broker {host}:{port}"
        self._on = False
        self._sound = True
        self.lost = 0
        self._mqtt = _paho()
        self._client = self._mqtt.Client(
            self._mqtt.CallbackAPIVersion.VERSION2, client_id=f"crydistill-{id_}"
        )
        if username is not None:
            self._client.username_pw_set(username, password)
        if tls:
            self._client.tls_set()
        self._client.will_set(topic(id_, "availability"), "offline", _AT_MOST_ONCE, retain=True)
        self._client.max_queued_messages_set(MAX_WAITING)
        self._client.reconnect_delay_set(*RETRY_SECONDS)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.connect_async(host, port)
        self._client.loop_start()

    def publish(self, event: LiveEvent) -> None:
        """Publish an event and the resulting state."""
        self._on = event.kind is EventKind.ON
        self._send_state()
        sent = self._client.publish(
            topic(self._id, "event"), json.dumps(event.to_json()), _AT_LEAST_ONCE
        )
        self.lost += sent.rc == self._mqtt.MQTT_ERR_QUEUE_SIZE

    def available(self, sound: bool) -> None:
        """Publish `online` while there is sound to listen to, else `offline`."""
        self._sound = sound
        self._send_availability()

    def close(self) -> None:
        """Publish `offline`, if the broker is connected, and disconnect."""
        if self._client.is_connected():
            last = self._retain(topic(self._id, "availability"), "offline")
            # If the connection is lost just now, the broker publishes the last will instead.
            with suppress(RuntimeError, ValueError):
                last.wait_for_publish(CLOSING_SECONDS)
        self._client.disconnect()
        self._client.loop_stop()

    def _send_state(self) -> None:
        self._retain(topic(self._id, "alert"), "ON" if self._on else "OFF")

    def _send_availability(self) -> None:
        self._retain(topic(self._id, "availability"), "online" if self._sound else "offline")

    def _retain(self, where: str, content: str) -> Any:
        return self._client.publish(where, content, _AT_MOST_ONCE, retain=True)

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._say(f"{self._broker} refuses the connection ({reason}); retrying")
            return
        self._say(f"{self._broker}: connected")
        where, content = discovery(self._id, prefix=self._prefix)
        self._retain(where, json.dumps(content))
        self._send_availability()
        self._send_state()

    def _disconnected(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._say(f"{self._broker}: connection lost ({reason}); retrying")


def _paho() -> Any:
    try:
        return import_module("paho.mqtt.client")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "publishing over MQTT needs paho-mqtt: pip install 'crydistill[live]'"
        ) from error
