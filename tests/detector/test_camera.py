"""`crydistill listen` and an RTSP camera: GStreamer's server."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.detector import camera, soak
from tests.detector.sounds import faint, loud
from tests.detector.test_listen import Listening, until

from crydistill.detector.sources import SourceLost
from crydistill.detector.stream_address import StreamAddress
from crydistill.detector.stream_source import StreamSource

pytestmark = pytest.mark.skipif(
    camera.python() is None, reason="needs Debian's gir1.2-gst-rtsp-server-1.0 and plugins"
)

SOUND = np.rint(np.concatenate([faint(2), loud(1)]) * 32_767).astype("<i2").tobytes()
ALWAYS = ["--threshold", "0", "--votes", "1/1", "--hold", "1", "--patience", "3"]


@pytest.fixture
def cameras(tmp_path: Path) -> Iterator[list[camera.Camera]]:
    running: list[camera.Camera] = []
    yield running
    for each in running:
        each.kill()


def heard_seconds(address: str, seconds: float) -> np.ndarray[Any, Any]:
    found: list[Any] = []
    blocks = StreamSource(StreamAddress.parse(address), patience=20, say=lambda line: None)()
    for block in blocks:
        found.append(block)
        if sum(map(len, found)) >= seconds * 16_000:
            break
    blocks.close()
    return np.concatenate(found)


@pytest.mark.parametrize(
    "options",
    [["--codec", "alaw"], ["--codec", "aac"], ["--codec", "opus"], ["--codec", "pcm", "--video"]],
    ids=" ".join,
)
def test_every_codec_is_heard_as_it_was_sent(
    options: list[str], cameras: list[camera.Camera], tmp_path: Path
) -> None:
    cameras.append(camera.Camera(tmp_path, SOUND, *options))
    cameras[0].start()
    heard = heard_seconds(cameras[0].address, 4)
    power = np.abs(heard[: len(heard) // 800 * 800].reshape(-1, 800)).max(axis=1)
    # A second of the tone at half of full scale in every three, and its pitch.
    assert 0.2 < (power > 0.25).mean() < 0.6
    assert power.max() == pytest.approx(0.5, abs=0.15)
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum.argmax() / len(heard) * 16_000 == pytest.approx(1000, abs=5)


def test_a_password_with_special_characters(cameras: list[camera.Camera], tmp_path: Path) -> None:
    cameras.append(camera.Camera(tmp_path, SOUND, "--user", "bob:s/c:r%t"))
    cameras[0].start()
    address = cameras[0].address
    assert len(heard_seconds(address.replace("//", "//bob:s%2Fc%3Ar%25t@"), 1))
    for user in ("", "bob:wrong@"):
        with pytest.raises(SourceLost, match="it refuses the user"):
            heard_seconds(address.replace("//", f"//{user}"), 1)


def test_a_camera_without_sound_is_lost_with_advice(
    cameras: list[camera.Camera], tmp_path: Path
) -> None:
    cameras.append(camera.Camera(tmp_path, SOUND, "--mute"))
    cameras[0].start()
    with pytest.raises(SourceLost, match=r"[Tt]urn (its|the camera's) microphone on"):
        heard_seconds(cameras[0].address, 1)


@pytest.mark.slow
def test_a_camera_that_is_killed_hangs_and_comes_back(
    cameras: list[camera.Camera], tmp_path: Path
) -> None:
    """What is said names each reason once, and never the password or the path."""
    cameras.append(camera.Camera(tmp_path, SOUND, "--video", "--user", "bob:secret"))
    (one,) = cameras
    address = one.address.replace("//", "//bob:secret@")
    listening = Listening(tmp_path, address, *ALWAYS, stdin=subprocess.DEVNULL)
    until(lambda: any("cannot be used (Connection refused)" in line for line in listening.said()))
    one.start()
    until(lambda: len(listening.events()) == 1)
    one.kill()
    until(lambda: len(listening.events()) == 2)
    one.start()
    until(lambda: len(listening.events()) == 3)
    one.hang()
    until(lambda: len(listening.events()) == 4)
    one.go_on()
    until(lambda: len(listening.events()) == 5)
    listening.process.send_signal(signal.SIGTERM)
    assert listening.ended() == 0
    assert listening.kinds() == [
        ("on", None), ("off", "no sound"),
        ("on", None), ("off", "no sound"),
        ("on", None), ("off", "stopped"),
    ]  # fmt: skip
    ends = [event["at_s"] for event in listening.events()]
    assert ends == sorted(ends)
    said = "\n".join(listening.said())
    assert "the stream has ended" in said and "no sound has arrived for 3 s" in said
    assert said.count("sound is back after") == 3
    assert "secret" not in said and "/cry" not in said and "Traceback" not in said


@pytest.mark.slow
def test_minutes_of_a_camera_that_is_killed_after_every_cry() -> None:
    """An hour of it: `python -m tests.detector.soak camera --episodes 52`."""
    soaked = soak.soak_camera(3)
    assert soaked.code == 0
    assert soaked.kinds() == 3 * ["on", "off"]
    assert not any("Traceback" in line for line in soaked.said)
    assert soaked.growth() < 10
    first, *_, last = [event["at_s"] for event in soaked.events if event["event"] == "on"]
    # What was not heard counts, too; what a camera sends after it has hung may count twice.
    assert soak.DEAD_SECONDS + soak.EPISODE_SECONDS < (last - first) / 2 < soaked.seconds / 2
