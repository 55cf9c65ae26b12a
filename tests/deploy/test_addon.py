"""The Home Assistant add-on: its files as the supervisor reads them, and its run script as it runs.

Source of the schema: Home Assistant's developer documentation, "Add-on configuration" and
"Presenting your add-on".
"""

import json
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field
from tests.detector.soak import episode
from tests.detector.stream_server import Answer, stream_server, wav_header

from crydistill import __version__
from crydistill.cli.service import checked
from crydistill.student.manifest import load_manifest
from crydistill.student.packaged import packaged_student

ADDON = Path(__file__).parents[2] / "deploy" / "home-assistant" / "crydistill"
PYTHON = sys.executable

Kind = Annotated[
    str,
    Field(
        pattern=r"^(str|bool|int|float|email|url|password|port|device)(\([-\d.]*,[-\d.]*\))?\??$"
        r"|^match\(.+\)\??$|^list\([^|]+(\|[^|]+)*\)\??$"
    ),
]


class Mapped(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["addon_config", "share", "media", "ssl", "backup", "homeassistant_config", "data"]
    read_only: bool = True


class AddonConfig(BaseModel):
    """What `config.yaml` may have, as far as this add-on uses it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    version: str
    slug: Annotated[str, Field(pattern=r"^[-_.A-Za-z0-9]+$")]
    description: str
    arch: list[Literal["aarch64", "amd64", "armhf", "armv7", "i386"]]
    startup: Literal["initialize", "system", "services", "application", "once"]
    boot: Literal["auto", "manual", "manual_only"]
    init: bool
    audio: bool
    services: list[Annotated[str, Field(pattern=r"^(mqtt|mysql):(provide|want|need)$")]]
    map: list[Mapped]
    options: dict[str, Any]
    schema_: Annotated[dict[str, Kind], Field(alias="schema")]


def read(name: str) -> Any:
    return yaml.safe_load((ADDON / name).read_text(encoding="utf-8"))


CONFIG = AddonConfig.model_validate(read("config.yaml"))


def fits(value: Any, kind: str) -> bool:
    """Whether the supervisor takes a value for an option of a kind."""
    name, _, inside = kind.rstrip("?").rstrip(")").partition("(")
    if name == "bool":
        return isinstance(value, bool)
    if name in ("int", "float"):
        low, _, high = inside.partition(",")
        return float(low or "-inf") <= value <= float(high or "inf")
    if name == "list":
        return value in inside.split("|")
    return isinstance(value, str) and (name != "match" or re.match(inside, value) is not None)


def test_version_and_machines_are_those_of_the_package() -> None:
    assert CONFIG.version == __version__
    assert set(CONFIG.arch) == set(read("build.yaml")["build_from"]) == {"aarch64", "amd64"}


def test_every_option_has_a_kind_a_fitting_default_and_no_secret_one() -> None:
    schema = CONFIG.schema_
    optional = {name for name, kind in schema.items() if kind.endswith("?")}
    assert set(CONFIG.options) == set(schema) - optional
    for name, value in CONFIG.options.items():
        assert fits(value, schema[name]), name
    assert {name for name, kind in schema.items() if kind.startswith("password")} <= optional
    assert not fits("loud", schema["preset"]) and not fits("a b", schema["mqtt_id"])


def test_the_presets_are_those_of_the_packaged_student() -> None:
    presets = load_manifest(packaged_student() / "student.json").presets
    assert all(fits(name, CONFIG.schema_["preset"]) for name in presets)
    assert CONFIG.schema_["preset"].count("|") == len(presets) - 1


@pytest.mark.parametrize("path", sorted((ADDON / "translations").glob("*.yaml")), ids=str)
def test_every_option_is_translated(path: Path) -> None:
    translated = yaml.safe_load(path.read_text(encoding="utf-8"))["configuration"]
    assert list(translated) == list(dict.fromkeys(translated))
    assert set(translated) == set(CONFIG.schema_)
    for entry in translated.values():
        assert set(entry) == {"name", "description"} and all(entry.values())


@pytest.mark.parametrize("name", ["README.md", "DOCS.md", "Dockerfile", "run.py"])
def test_the_folder_has_what_home_assistant_shows_and_builds(name: str) -> None:
    assert (ADDON / name).read_text(encoding="utf-8").strip()


class Addon:
    """The run script with a stand-in of what the supervisor gives it.

    address, tokens : of the stand-in of the supervisor, and what it was asked with
    """

    def __init__(self, folder: Path, broker: dict[str, Any] | None) -> None:
        self.folder, self.tokens = folder, list[str | None]()
        body = json.dumps({"result": "ok", "data": broker}).encode()
        tokens = self.tokens

        class Supervisor(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                tokens.append(self.headers.get("Authorization"))
                found = broker is not None and self.path == "/services/mqtt"
                self.send_response(200 if found else 400)
                self.end_headers()
                self.wfile.write(body if found else b"Service not enabled")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Supervisor)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def environment(self, options: dict[str, Any]) -> dict[str, str]:
        (self.folder / "options.json").write_text(json.dumps({**CONFIG.options, **options}))
        return {
            **os.environ,
            "ADDON_DATA": str(self.folder), "ADDON_SHARE": str(self.folder / "share"),
            "ADDON_SUPERVISOR": self.address, "SUPERVISOR_TOKEN": "token",
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip

    def program(self, text: str) -> None:
        """Stand in for `crydistill`."""
        path = self.folder / "crydistill"
        path.write_text(f"#!{PYTHON}\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def started(self, **options: Any) -> tuple[list[str], dict[str, str]]:
        """Command line and secrets with which `crydistill` is started."""
        self.program(
            "import json, os, sys\n"
            "print(json.dumps([sys.argv[1:], {k: v for k, v in os.environ.items()"
            " if k.startswith('CRYDISTILL_')}]))\n"
        )
        done = subprocess.run(
            [PYTHON, str(ADDON / "run.py")],
            env=self.environment(options), capture_output=True, text=True, check=True,
        )  # fmt: skip
        words, secrets = json.loads(done.stdout)
        return words, secrets


BROKER = {"host": "core-mosquitto", "port": 1883, "ssl": False, "username": "addons",
          "password": "s3cr", "protocol": "3.1.1"}  # fmt: skip


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("CRYDISTILL_STREAM", "CRYDISTILL_MQTT_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    made: list[Addon] = []

    def addon(broker: dict[str, Any] | None = None) -> Addon:
        made.append(Addon(tmp_path, broker))
        return made[-1]

    yield addon
    for each in made:
        each.server.shutdown()
        each.server.server_close()


def test_without_any_choice_it_listens_to_the_microphone_and_tells_home_assistant(
    make: Any,
) -> None:
    addon = make(BROKER)
    words, secrets = addon.started()
    assert words[0] == "listen"
    given = checked(words[1:])
    assert given["mqtt"] == "mqtt://core-mosquitto:1883" and given["mqtt_user"] == "addons"
    assert given["mqtt_id"] == "nursery" and "source" not in given
    assert secrets == {"CRYDISTILL_MQTT_PASSWORD": "s3cr"}
    assert addon.tokens == ["Bearer token"]


def test_secrets_go_into_the_environment_and_not_into_the_command_line(make: Any) -> None:
    words, secrets = make(BROKER).started(
        stream="rtsp://me:s3cr@camera/live", mqtt="mqtts://other", mqtt_user="me",
        mqtt_password="s3cr2",
    )  # fmt: skip
    assert secrets == {
        "CRYDISTILL_STREAM": "rtsp://me:s3cr@camera/live", "CRYDISTILL_MQTT_PASSWORD": "s3cr2",
    }  # fmt: skip
    assert not any("s3cr" in word for word in words)
    given = checked(words[1:])
    assert (given["mqtt"], given["mqtt_user"]) == ("mqtts://other", "me")


def test_every_option_is_one_of_listen(make: Any) -> None:
    words, _ = make().started(
        source="-USB mic", settings="room.json", threshold=0.4, votes="3/5", hold=20, patience=30,
        night_hours="20:00-06:30", clips=True, preset="quiet",
    )  # fmt: skip
    given = checked(words[1:])
    assert given["source"] == "-USB mic" and given["settings"].name == "room.json"
    assert (given["threshold"], given["votes"], given["hold"]) == (0.4, "3/5", 20.0)
    assert given["patience"] == 30.0 and given["night_hours"] == "20:00-06:30"
    assert given["clips"].parts[-2:] == ("crydistill", "clips")
    assert "preset" not in given and "mqtt" not in given  # neither beside a file, nor without one


def test_a_broker_with_tls_or_an_ipv6_address(make: Any) -> None:
    words, _ = make({**BROKER, "host": "fe80::1", "port": 8883, "ssl": True}).started()
    assert checked(words[1:])["mqtt"] == "mqtts://[fe80::1]:8883"


def test_it_hears_a_cry(make: Any) -> None:
    """The real program behind the run script, and a stream instead of a microphone."""
    addon = make()
    addon.program(
        "import sys\nfrom crydistill.cli import main\nsys.argv[0] = 'crydistill'\nmain()\n"
    )
    with stream_server() as server:
        server.answers = [Answer([wav_header(), episode(), 60.0])]
        process = subprocess.Popen(
            [PYTHON, str(ADDON / "run.py")],
            env=addon.environment({"source": server.address}), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        events = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.terminate()
        assert process.wait(60) == 0
    assert [event["event"] for event in events] == ["on", "off"]
    assert events[0]["operating_point"]["preset"] == "balanced"
