"""Run yt-dlp and ffmpeg to download a section of a video, and classify their errors.

YouTube's player has to be run to get at its audio: yt-dlp needs a JavaScript runtime and its own
package `yt-dlp-ejs` (https://github.com/yt-dlp/yt-dlp/wiki/EJS). Without them YouTube answers as
if the video were the problem. `check_tools` therefore asks yt-dlp what it has before the first
download, and an attempt that fails for lack of something on this machine says nothing about its
video.
"""

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
from crydistill.errors import AudioError, MissingExtraError, SetupError

YOUTUBE_URL = "https://www.youtube.com/watch?v={id}"

SHORTFALL_SECONDS = 0.5
"""A recording shorter than its segment by more than this is truncated, or its video ends early."""


_EXTRA = "pip install 'crydistill[audioset]'"
_UPGRADE = "pip install --upgrade 'crydistill[audioset]'"

_CHECK_SECONDS = 60.0
"""Time for yt-dlp to say what it has; it takes about one second."""


@dataclass(frozen=True)
class Tools:
    """The programs that a download needs.

    yt_dlp : command of yt-dlp
    ffmpeg : path of the ffmpeg executable
    deno : path of the Deno executable, a JavaScript runtime; None: yt-dlp looks for one itself
    """

    yt_dlp: tuple[str, ...]
    ffmpeg: Path
    deno: Path | None = None

    def options(self) -> list[str]:
        """Options of yt-dlp that name the other programs."""
        deno = f"deno:{self.deno}" if self.deno else "deno"
        return [
            f"--ffmpeg-location={self.ffmpeg}",
            f"--js-runtimes={deno}",
            # For platforms that Deno is not built for. yt-dlp prefers Deno, and denies both of them
            # access to files.
            "--js-runtimes=node",
        ]


def find_tools() -> Tools:
    """Find yt-dlp, ffmpeg and Deno: the packages of the extra, else programs on the PATH.

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
        raise MissingExtraError(f"yt-dlp is not installed: {_EXTRA}")
    return Tools(yt_dlp, find_ffmpeg(), _find_deno())


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
    raise MissingExtraError(f"ffmpeg is not installed: {_EXTRA}")


def _find_deno() -> Path | None:
    """Find the Deno of the extra. yt-dlp, possibly in another Python, would not look there."""
    if importlib.util.find_spec("deno"):
        with suppress(FileNotFoundError):
            return Path(importlib.import_module("deno").find_deno_bin())
    return None


def check_tools(tools: Tools) -> None:
    """Ask yt-dlp whether it has all that a download from YouTube needs; sends nothing.

    Raises
    ------
    SetupError
        naming what is missing on this machine, and how to install it.
    """
    # Without a URL, yt-dlp lists what it has and exits with a usage error.
    command = [*tools.yt_dlp, "--ignore-config", "--color=never", "--verbose", *tools.options()]
    try:
        asked = subprocess.run(
            command,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_CHECK_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{tools.yt_dlp[0]}: yt-dlp cannot be run ({error})") from error
    said = asked.stderr.decode("utf-8", "replace")
    fault = _fault_of(said, tools)
    if fault:
        raise SetupError(f"{fault}; nothing was downloaded")


def _fault_of(said: str, tools: Tools) -> str:
    """What is missing, by yt-dlp's verbose header; empty if nothing is, or it does not say."""
    if "no such option: --js-runtimes" in said:
        return f"yt-dlp is too old for today's YouTube: {_UPGRADE}"
    found = dict(re.findall(r"^\[debug\] ([\w ]+): (.*?)\r?$", said, re.MULTILINE))
    if not found:
        last = (said.strip().splitlines() or ["no message"])[-1]
        return f"yt-dlp cannot be run ({last}): {_UPGRADE}"
    if "ffmpeg" not in found.get("exe versions", "ffmpeg"):
        return f"{tools.ffmpeg}: ffmpeg cannot be run: {_EXTRA}"
    runtimes = found.get("JS runtimes", "deno").split(", ")
    unusable = [name for name in runtimes if name.endswith("(unsupported)")]
    if not [name for name in runtimes if name not in unusable and not name.startswith("none")]:
        old = f" ({unusable[0].removesuffix(' (unsupported)')} is too old)" if unusable else ""
        broken = f" ({tools.deno} does not run here)" if tools.deno else ""
        return f"yt-dlp has no JavaScript runtime, which YouTube needs{old or broken}: {_EXTRA}"
    if "ejs" not in found.get("Optional libraries", "ejs"):
        return f"yt-dlp lacks its package yt-dlp-ejs, which YouTube needs: {_EXTRA}"
    return ""


_LIMIT = (
    r"HTTP Error (402|429)|Too Many Requests|not a bot|rate.?limited|try again later"
    r"|captcha challenge|IP is likely being blocked"
    # A request to sign in without a reason. With one ("to confirm your age") it is about the video.
    r"|please sign in(?! to (confirm|verify))"
)

_SETUP: Sequence[tuple[str, str]] = (
    (r"No supported JavaScript runtime", f"yt-dlp has no JavaScript runtime: {_EXTRA}"),
    (
        r"[Cc]hallenge solver \w+ script (version \S+ is not supported|\(source: .*?hash)"
        r"|Remote components? .*(was|were) skipped",
        f"yt-dlp lacks the yt-dlp-ejs that belongs to its version: {_UPGRADE}",
    ),
    (r"ffmpeg is not installed", f"yt-dlp finds no ffmpeg: {_EXTRA}"),
    (r"No space left on device|Disk quota exceeded", "the disk is full; free some space"),
)
"""What yt-dlp says of faults of this machine, and what to do; they concern every video alike."""

_UNSOLVED = r"(n challenge|Signature) solving failed"

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
        SetupError
            if the fault is this machine's, not the video's.
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
            *self._tools.options(),
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
        raise SetupError(f"{command[0]}: cannot be run ({error.strerror})") from error


def _failure(stderr: str) -> FetchFailedError | SetupError:
    """Build the error from yt-dlp's standard error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    message = (errors or lines or ["no message"])[-1]
    state = classify(message)
    if state in GONE:
        return FetchFailedError(state, message)
    # ffmpeg's messages and yt-dlp's warnings are in the preceding lines.
    for pattern, fault in _SETUP:
        if re.search(pattern, stderr):
            return SetupError(f"{fault}, then run the same command again to resume")
    if re.search(_LIMIT, stderr, re.IGNORECASE):
        return FetchFailedError(State.RATE_LIMITED, message)
    if state is State.BAD_MEDIA and re.search(_UNSOLVED, stderr):
        # The formats are missing because yt-dlp could not read the player, not on YouTube.
        reason = f"yt-dlp could not solve YouTube's challenge ({_UPGRADE}): {message}"
        return FetchFailedError(State.NOT_UNDERSTOOD, reason)
    return FetchFailedError(state, message)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a running process and its children."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
