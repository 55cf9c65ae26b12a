"""A real MQTT broker for tests, and a client that records what it publishes."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

WAIT_SECONDS = 20.0  # shared machines stall; nothing here takes more than two of them


def until(true: Callable[[], bool], what: str = "") -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < end, f"waited in vain {what}"
        time.sleep(0.02)


def program() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """mosquitto on a free port of this machine, without persistence.

    lines : of its configuration; without any, everybody may do everything
    """

    def __init__(
        self,
        folder: Path,
        lines: Sequence[str] = ("allow_anonymous true",),
        host: str = "127.0.0.1",
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.bind((host, 0))
            self.port = int(probe.getsockname()[1])
        self._host, self._family = host, family
        self._config = folder / f"mosquitto-{self.port}.conf"
        lines = [f"listener {self.port} {host}", "persistence false", *lines]
        if _is_root():
            lines.append("user root")  # else it gives up the right to read its files
        self._config.write_text("\n".join(lines) + "\n")
        self._log = folder / f"mosquitto-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        mosquitto = program()
        assert mosquitto
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [mosquitto, "-v", "-c", str(self._config)], stdout=log, stderr=log
            )
        until(self._answers, self._log.read_text(errors="replace"))

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def received(self, name: str) -> int:
        """Messages of a topic that have come in since the start, whoever was there to see them."""
        log = self._log.read_text(errors="replace")
        return sum("Received PUBLISH" in line and f"'{name}'" in line for line in log.split("\n"))

    def client_ids(self) -> list[str]:
        log = self._log.read_text(errors="replace")
        return [
            line.partition(" as ")[2].split()[0]
            for line in log.split("\n")
            if "New client connected" in line
        ]

    def _answers(self) -> bool:
        with socket.socket(self._family) as probe:
            return probe.connect_ex((self._host, self.port)) == 0


class Client:
    """Records everything that is published, with whether it was retained, and publishes."""

    def __init__(self, port: int) -> None:
        paho = import_module("paho.mqtt.client")

        self.messages: list[tuple[str, str, bool]] = []
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.on_message = self._received
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._subscribed = False
        self._client.on_subscribe = self._ready
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        until(lambda: self._subscribed)

    def _ready(self, *_: Any) -> None:
        self._subscribed = True

    def _received(self, client: Any, data: Any, message: Any) -> None:
        self.messages.append((message.topic, message.payload.decode(), message.retain))

    def of(self, name: str) -> list[str]:
        return [payload for where, payload, _ in self.messages if where == name]

    def last(self, name: str) -> str | None:
        return self.of(name)[-1] if self.of(name) else None

    def send(self, name: str, payload: str, *, retain: bool = False) -> None:
        self._client.publish(name, payload, 1, retain=retain).wait_for_publish(WAIT_SECONDS)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
