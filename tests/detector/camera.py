"""An RTSP camera that is started, hangs and is killed: GStreamer's server as a process."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

WAIT_SECONDS = 60.0
SERVER = Path(__file__).with_name("rtsp_server.py")
_NEEDS = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
)


def python() -> str | None:
    """A Python that has GStreamer's RTSP server; None if there is none."""
    for name in ("/usr/bin/python3", shutil.which("python3")):
        if name and Path(name).exists():
            done = subprocess.run(
                [name, "-c", _NEEDS], capture_output=True, check=False, env=_environment()
            )
            if done.returncode == 0:
                return name
    return None


class Camera:
    """A camera on a free port of this machine that plays `sound` again and again.

    sound : signed 16-bit, little-endian, mono, 16 kHz; from its beginning after every start
    options : of rtsp_server.py
    """

    def __init__(self, folder: Path, sound: bytes, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._sound = folder / f"camera-{self.port}.raw"
        self._sound.write_bytes(sound)
        self._log = folder / f"camera-{self.port}.log"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cry"

    def start(self) -> None:
        found = python()
        assert found
        arguments = [found, str(SERVER), str(self.port), str(self._sound), *self._options]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, env=_environment())
        end = time.monotonic() + WAIT_SECONDS
        while b"ready" not in self._log.read_bytes():
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.05)

    def hang(self) -> None:
        """Send nothing more, with the connection open."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _environment() -> dict[str, str]:
    """Without what would make the system's Python look for modules of this one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
