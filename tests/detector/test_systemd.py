"""Units as systemd itself reads them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crydistill.detector.systemd import ListenService
from crydistill.errors import ConfigError

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="needs Debian's systemd")

COMMAND = (sys.executable, "-m", "crydistill", "listen")
NASTY = ("--settings", '/srv/my "room" 100%.json', "--model", "/srv/$HOME\\n/it's")
SERVICES = {
    "user": ListenService("nursery", COMMAND),
    "system": ListenService("nursery", COMMAND, system=True),
    "camera": ListenService("nursery", (*COMMAND, "rtsp://camera/live"), system=True,
                            microphone=False),
    "as user": ListenService("nursery", (*COMMAND, *NASTY), system=True, run_as="root",
                             writable=(Path("/srv/my alerts"),)),
}  # fmt: skip


@needs_systemd
@pytest.mark.parametrize("kind", SERVICES)
def test_systemd_finds_nothing_wrong_with_a_unit(kind: str, tmp_path: Path) -> None:
    unit = tmp_path / "nursery.service"
    unit.write_text(SERVICES[kind].unit())
    whose = [] if SERVICES[kind].system else ["--user"]
    done = subprocess.run(
        [str(ANALYZE), "verify", *whose, "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True, text=True, check=False, env={"XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    about = [line for line in done.stderr.splitlines() if "nursery" in line]
    assert (done.returncode, about) == (0, [])


@needs_systemd
def test_systemd_would_see_what_is_wrong(tmp_path: Path) -> None:
    unit = tmp_path / "nursery.service"
    unit.write_text(SERVICES["system"].unit().replace("ProtectSystem=strict", "ProtectSystem=x"))
    done = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "protect system" in done.stderr


@needs_systemd
@pytest.mark.parametrize(("kind", "most"), [("system", 2.5), ("camera", 2.0)])
def test_a_system_service_is_exposed_to_little(kind: str, most: float, tmp_path: Path) -> None:
    unit = tmp_path / "nursery.service"
    unit.write_text(SERVICES[kind].unit())
    done = subprocess.run(
        [str(ANALYZE), "security", "--offline=yes", "--no-pager", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    (level,) = re.findall(r"exposure level for nursery.service: ([\d.]+)", done.stdout)
    assert float(level) <= most


def test_words_are_quoted_for_systemd() -> None:
    (line,) = [line for line in SERVICES["as user"].unit().splitlines() if "ExecStart" in line]
    assert '"/srv/my \\"room\\" 100%%.json"' in line
    assert '"/srv/$$HOME\\\\n/it\'s"' in line


def test_a_service_may_write_where_it_must_and_nowhere_else() -> None:
    own, user = SERVICES["system"].unit(), SERVICES["as user"].unit()
    assert "DynamicUser=yes\nStateDirectory=nursery\n" in own and "ReadWritePaths" not in own
    assert "User=root\n" in user and 'ReadWritePaths="/srv/my alerts"\n' in user
    below = ListenService("n", COMMAND, system=True, writable=(Path("/var/lib/n/nights"),))
    assert "ReadWritePaths" not in below.unit()


def test_secrets_are_in_a_file_of_their_own() -> None:
    assert "EnvironmentFile=-/etc/crydistill/nursery.env\n" in SERVICES["system"].unit()
    assert "EnvironmentFile=-%h/.config/crydistill/nursery.env\n" in SERVICES["user"].unit()
    first = SERVICES["user"].first_secrets()
    assert all(line.startswith("#") for line in first.splitlines())
    assert "CRYDISTILL_STREAM" in first and "CRYDISTILL_MQTT_PASSWORD" in first


@pytest.mark.parametrize(
    "wrong", [{"name": "a b"}, {"name": "../x"}, {"name": "n", "run_as": "a\nb"}]
)
def test_names_that_are_none_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        ListenService(command=COMMAND, system=True, **wrong)  # type: ignore[arg-type]


def test_a_command_with_a_control_character_is_refused() -> None:
    with pytest.raises(ConfigError, match="control character"):
        ListenService("n", (*COMMAND, "a\nExecStartPre=evil")).unit()
