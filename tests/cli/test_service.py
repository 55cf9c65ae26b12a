"""`crydistill service` writes a unit, and starts nothing."""

import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from crydistill.cli import app
from crydistill.detector.calibrate import calibrate
from crydistill.detector.calibrated import CalibratedSettings, save_settings
from crydistill.detector.vote import VoteSettings
from crydistill.student.manifest import MANIFEST_NAME, load_manifest
from crydistill.student.packaged import packaged_student

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own, and no program that could start or enable something."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path / "room.json")
    return tmp_path / "home"


def write_settings(path: Path) -> None:
    student = load_manifest(packaged_student() / MANIFEST_NAME)
    scores = np.random.default_rng(0).random(7_500).astype(np.float32)
    calibrated = calibrate([scores], VoteSettings(threshold=0.0), wanted_per_night=1.0, highest=1.0)
    sha256 = student.tflite.sha256
    save_settings(
        path,
        CalibratedSettings(student=student.name, student_sha256=sha256, calibration=calibrated),
    )


def service(*words: str) -> Result:
    return CliRunner().invoke(app, ["service", *words])


def refused(*words: str) -> str:
    done = service("install", "--print", *words)
    assert done.exit_code != 0 and "ExecStart" not in done.output
    message = str(done.exception) if done.exit_code == 1 else done.output
    assert "Traceback" not in message
    return message


def test_install_show_and_uninstall(home: Path) -> None:
    done = service("install", "--", "USB", "--settings", "room.json", "--votes", "2/3")
    assert done.exit_code == 0, done.output
    unit = home / ".config" / "systemd" / "user" / "crydistill.service"
    assert "  systemctl --user daemon-reload\n" in done.stdout
    assert "  systemctl --user enable --now crydistill\n" in done.stdout
    settings = home.parent / "room.json"
    command = f"-m crydistill listen --settings {settings} --votes 2/3 USB\n"
    assert command in unit.read_text()
    secrets = home / ".config" / "crydistill" / "crydistill.env"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    secrets.write_text("CRYDISTILL_MQTT_PASSWORD=x\n")
    assert service("show").stdout == unit.read_text()
    assert service("install", "--", "--votes", "3/5").exit_code == 0
    assert "listen --votes 3/5\n" in unit.read_text()
    assert secrets.read_text() == "CRYDISTILL_MQTT_PASSWORD=x\n"
    done = service("uninstall")
    assert done.exit_code == 0 and "systemctl --user daemon-reload" in done.stdout
    assert not unit.exists() and secrets.exists()
    assert "there is no such service" in str(service("uninstall").exception)


def test_printing_writes_nothing(home: Path) -> None:
    done = service("install", "--print", "--system", "--run-as", "pi", "--", "rtsp://camera/live")
    assert done.exit_code == 0
    assert "User=pi\n" in done.stdout and "listen rtsp://camera/live\n" in done.stdout
    assert not home.exists()


def test_an_enabled_service_is_disabled_first(home: Path) -> None:
    service("install")
    units = home / ".config" / "systemd" / "user"
    (units / "default.target.wants").mkdir()
    (units / "default.target.wants" / "crydistill.service").symlink_to(units / "crydistill.service")
    done = service("uninstall")
    assert "first: systemctl --user disable --now crydistill" in str(done.exception)
    assert (units / "crydistill.service").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--", "-"], "no standard input"),
        (["--", "evening.wav"], "a recording ends"),
        (["--", "rtsp://me:s3cr@camera/live"], "CRYDISTILL_STREAM"),
        (["--", "http://camera/audio?pwd=s3cr"], "CRYDISTILL_STREAM"),
        (["--", "--mqtt", "mqtt://me:s3cr@broker"], "CRYDISTILL_MQTT_PASSWORD"),
        (["--", "--settings", "none.json"], "no such file"),
        (["--", "--nonsense"], "--nonsense"),
        (["--", "--patience", "0"], "--patience"),
        (["--run-as", "pi"], "--run-as belongs to --system"),
        (["--name", "a b"], "service name 'a b'"),
    ],
)
def test_what_a_service_cannot_do_is_refused_without_showing_secrets(
    words: list[str], reason: str
) -> None:
    message = refused(*words)
    assert reason in message and "s3cr" not in message


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--threshold", "-1"], "threshold: must be a finite number"),
        (["--votes", "9/1"], "9 of 1 is not a vote"),
        (["--preset", "loud"], "no preset 'loud'"),
        (["--settings", "room.json", "--preset", "quiet"], "give --settings or --preset"),
        (["--settings", "damaged.json"], "damaged.json: student: Field required"),
        (["--model", "room.json"], "room.json"),
        (["--night-hours", "25:00-07:00"], "write two times"),
        (["--mqtt", "broker", "--mqtt-id", "a/b"], "MQTT id 'a/b'"),
        (["--mqtt-user", "me"], "give the broker, too"),
        (["--clips", "project/clips"], "must not lie in a git work tree"),
        (["--nights", "project/nights"], "must not lie in a git work tree"),
    ],
)
def test_what_listen_would_refuse_at_every_start_is_refused_before(
    home: Path, words: list[str], reason: str
) -> None:
    (home.parent / "damaged.json").write_text("{}")
    (home.parent / "project" / ".git").mkdir(parents=True)
    assert reason in refused("--", *words)


def test_a_user_made_by_systemd_must_reach_all_files(home: Path) -> None:
    private = home.parent / "private"
    private.mkdir(mode=0o700)
    write_settings(private / "room.json")
    for folder in (*home.parents,):  # made by pytest for their owner
        if folder.stat().st_uid == Path.cwd().stat().st_uid and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o001)
    words = ["--system", "--", "--settings", "private/room.json"]
    assert "other users cannot read it" in refused(*words)
    assert service("install", "--print", "--run-as", "pi", *words).exit_code == 0


def test_a_user_made_by_systemd_writes_to_its_state_only() -> None:
    assert "owns /var/lib/crydistill only" in refused("--system", "--", "--clips", "/srv/alerts")
    done = service("install", "--print", "--system", "--", "--nights", "/var/lib/crydistill/nights")
    assert done.exit_code == 0 and "ReadWritePaths" not in done.stdout
