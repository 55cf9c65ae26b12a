"""Run yt-dlp and ffmpeg to download a section of a video, and classify their errors."""

import importlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from crydistill.audio.files import read_audio
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.corpora.audioset import Segment
from crydistill.corpora.ledger import GONE, State
from crydistill.errors import AudioError, MissingExtraError

YOUTUBE_URL = "https://www.youtube.com/watch?v={id}"

SHORTFALL_SECONDS = 0.5
"""A recording shorter than its segment by more than this is truncated, or its video ends early."""


@dataclass(frozen=True)
class Tools:
    """Command of yt-dlp and path of the ffmpeg executable."""

    yt_dlp: tuple[str, ...]
    ffmpeg: Path


def find_tools() -> Tools:
    """Find yt-dlp and ffmpeg: the packages of the extra, else programs on the PATH.

    Raises
    ------
    MissingExtraError
        naming what is missing and how to install it.
    """
    if importlib.util.find_spec("yt_dlp"):
        yt_dlp: tuple[str, ...] = (sys.executable, "-m", "yt_dlp")
    elif found := shutil.which("yt-dlp"):
        yt_dlp = (found,)
    else:
        raise MissingExtraError("yt-dlp is not installed: pip install 'crydistill[audioset]'")
    return Tools(yt_dlp, find_ffmpeg())


def find_ffmpeg() -> Path:
    """Find ffmpeg: the package of the extra, else the program on the PATH.

    Raises
    ------
    MissingExtraError
        if there is none.
    """
    # The package's build can cut sections of YouTube's streams; ffmpeg 8.1 cannot (yt-dlp #16546).
    if importlib.util.find_spec("imageio_ffmpeg"):
        with suppress(RuntimeError):  # a platform without a build
            return Path(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    if found := shutil.which("ffmpeg"):
        return Path(found)
    raise MissingExtraError("ffmpeg is not installed: pip install 'crydistill[audioset]'")


_LIMIT = (
    r"HTTP Error (402|429)|Too Many Requests|not a bot|rate.?limited|try again later"
    r"|captcha challenge|IP is likely being blocked"
)

_MEANINGS: Sequence[tuple[State, str]] = (
    # Rate limits first: some of their messages start with "Video unavailable".
    (State.RATE_LIMITED, _LIMIT),
    (State.AGE_RESTRICTED, r"confirm your age|age.restricted|inappropriate for some users"),
    (
        State.PRIVATE,
        r"private video|video is private|granted (you )?access|members.only"
        r"|this channel's members|requires payment|Music Premium members",
    ),
    (State.REGION_BLOCKED, r"in your country|in your region|from your location|geo.?restrict"),
    (
        State.REMOVED,
        r"has been (removed|deleted|terminated)|no longer available|available anymore"
        r"|copyright (claim|grounds)|does not exist|recording is not available"
        r"|Unable to download webpage: HTTP Error (404|410)",
    ),
    (State.UNAVAILABLE, r"Video unavailable|video is (unavailable|not available)"),
    (State.BAD_MEDIA, r"format is not available|No video formats found|DRM protected"),
    (
        State.NETWORK,
        r"HTTP Error \d+|timed? ?out|name resolution|getaddrinfo|Connection|unreachable"
        r"|TransportError|IncompleteRead|SSL|closed connection|bytes read|file is empty"
        r"|Unable to download|ffmpeg exited|extract any player response",
    ),
)


def classify(message: str) -> State:
    """Map an error message of yt-dlp to the video's state.

    The messages are YouTube's own, wrapped by yt-dlp. An unknown message is never classified as a
    takedown.
    """
    for state, pattern in _MEANINGS:
        if re.search(pattern, message, re.IGNORECASE):
            return state
    return State.NOT_UNDERSTOOD


class FetchFailedError(Exception):
    """Raised when an attempt yields no audio, with the segment's new state and the reason."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state = state


class YtDlp:
    """Runs yt-dlp processes until stopped; thread-safe."""

    def __init__(self, tools: Tools, url_template: str, timeout: float) -> None:
        """Set up.

        url_template : URL of a video, with `{id}` for its id
        timeout : seconds after which an attempt is killed
        """
        self._tools = tools
        self._url_template = url_template
        self._timeout = timeout
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = Lock()
        self._stopped = False

    def fetch(self, segment: Segment, folder: Path) -> Samples:
        """Download a segment as 16 kHz mono samples; `folder` is an empty temporary folder.

        Raises
        ------
        FetchFailedError
            with the state and the message.
        """
        self._run(self._command(segment), folder)
        files = sorted(folder.iterdir())
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "no file"
            raise FetchFailedError(State.NETWORK, f"yt-dlp succeeded but left {names}")
        try:
            audio = read_audio(files[0])
        except AudioError as error:
            reason = str(error).removeprefix(f"{files[0]}: ")
            raise FetchFailedError(State.BAD_MEDIA, reason) from error
        if audio.duration < segment.seconds - SHORTFALL_SECONDS:
            raise FetchFailedError(
                State.BAD_MEDIA, f"{audio.duration:.2f} s of {segment.seconds:.2f} s"
            )
        return audio.samples[: round(segment.seconds * SAMPLE_RATE)]

    def stop(self) -> None:
        """Kill all running processes and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)

    def _run(self, command: Sequence[str], folder: Path) -> None:
        with self._lock:
            if self._stopped:
                raise FetchFailedError(State.NETWORK, "interrupted")
            process = _start(command, folder)
            self._running.add(process)
        try:
            _, stderr = process.communicate(timeout=self._timeout)
        except subprocess.TimeoutExpired as error:
            _kill(process)
            process.communicate()
            reason = f"killed after {self._timeout:.0f} s"
            raise FetchFailedError(State.NETWORK, reason) from error
        finally:
            with self._lock:
                self._running.discard(process)
        if process.returncode:
            raise _failure(stderr.decode("utf-8", "replace"))

    def _command(self, segment: Segment) -> list[str]:
        return [
            *self._tools.yt_dlp,
            "--ignore-config",
            "--no-playlist",
            "--no-progress",
            "--color=never",
            "--no-mtime",
            "--no-part",
            "--socket-timeout=20",
            "--retries=2",
            f"--ffmpeg-location={self._tools.ffmpeg}",
            "--format=bestaudio/best",
            f"--download-sections=*{segment.start}-{segment.end}",
            # Decoding makes the section exact; a stream copy starts at a WebM cluster, up to five
            # seconds early.
            "--downloader-args=ffmpeg_o:-vn -sn -dn -c:a pcm_s16le -f wav",
            "--output=audio.%(ext)s",
            "--",
            self._url_template.replace("{id}", segment.youtube_id),
        ]


def _start(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # A process group, so that yt-dlp's child ffmpeg is killed with it.
            start_new_session=True,
        )
    except OSError as error:
        raise MissingExtraError(f"{command[0]}: cannot be run ({error.strerror})") from error


def _failure(stderr: str) -> FetchFailedError:
    """Build the error from yt-dlp's standard error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    message = (errors or lines or ["no message"])[-1]
    state = classify(message)
    # ffmpeg's messages and yt-dlp's warnings are in the preceding lines.
    if state not in GONE and re.search(_LIMIT, stderr, re.IGNORECASE):
        state = State.RATE_LIMITED
    return FetchFailedError(state, message)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a running process and its children."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
