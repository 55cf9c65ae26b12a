"""Live sound from an address, by FFmpeg's libraries (PyAV): cameras and streams.

Imported only when a stream is listened to: it takes a quarter of a second to load.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from crydistill.audio.ffmpeg import CONTAINERS, is_readable, samples_of
from crydistill.audio.file_slice import Block

_PROTOCOLS = "rtsp,rtsps,rtp,udp,http,https,httpproxy,tcp,tls,crypto"
"""None that reads this machine's files, which the address's owner could ask for in a playlist."""

# A camera's picture is received and thrown away: some servers, GStreamer's among them, send nothing
# to a client that sets up the sound alone (`allowed_media_types`).

_OPTIONS = {
    "format_whitelist": f"{CONTAINERS},rtsp,rtp,sdp,hls",
    "protocol_whitelist": _PROTOCOLS,
    # Packets in order and complete; UDP where a camera does not offer TCP.
    "rtsp_flags": "prefer_tcp",
    # A stream has no beginning to go back to.
    "seekable": "0",
    "analyzeduration": "1000000",
}

_CAUGHT_UP_SECONDS = 0.02
"""A frame that had to be waited for this long is live; those before had been kept for us."""

_MOST_AHEAD_SECONDS = 30.0

_SHORTEST_TIMEOUT_SECONDS = 15.0
"""A camera that wakes up takes its time to answer and to send, whatever is expected of it later."""

_RECENT_SECONDS = 1.0

_JUMP_SECONDS = 0.5
"""Frames whose times are further apart than this are not next to each other."""


class LiveSoundError(Exception):
    """Raised when a stream cannot be opened or ends; its message never holds the address."""


@dataclass(frozen=True)
class LiveBlock:
    """The next sound of a stream.

    samples : float32 [n, channels]
    missing : seconds of sound that are missing before it
    """

    rate: int
    samples: Block
    missing: float = 0.0


class LiveSound:
    """A stream that FFmpeg receives.

    Parameters
    ----------
    url : with user name and password
    patience : seconds without a packet after which its listener counts it as lost; it is ended
        after 15 s at the earliest

    Attributes
    ----------
    codec, rate, channels : of the stream when it was opened

    Raises
    ------
    LiveSoundError
        if it cannot be opened or there is no sound in it; from `blocks`, when it ends.
    """

    def __init__(self, url: str, *, patience: float, now: Callable[[], float] = time.monotonic):
        import av

        self._patience, self._now = patience, now
        self._timeout = max(patience, _SHORTEST_TIMEOUT_SECONDS)
        try:
            self._container: Any = av.open(
                url, metadata_errors="replace", options=_OPTIONS, timeout=self._timeout
            )
        except (av.FFmpegError, ValueError, RuntimeError) as error:
            raise LiveSoundError(_reason(error, self._timeout)) from None
        self._stream: Any
        self._stream = self._container.streams.best("audio")
        if self._stream is None or self._stream.codec_context is None:
            self.close()
            raise LiveSoundError("there is no sound in it; turn the camera's microphone on")
        self.codec: str = self._stream.codec_context.name
        self.rate, self.channels = int(self._stream.rate or 0), int(self._stream.channels or 1)

    def close(self) -> None:
        self._container.close()

    def blocks(self, seconds: float) -> Iterator[LiveBlock]:
        """Yield what arrives, about `seconds` at a time.

        The first block is all that was kept for us before it became live, so that its end is now.
        """
        gathered, ahead = _Gathered(), True
        try:
            for block, waited in self._arriving():
                if not gathered.fits(block):
                    yield gathered.take()
                # What comes with a stream's end was sent before the wait for it.
                gathered.add(block, self._now() - waited)
                ahead = ahead and waited < _CAUGHT_UP_SECONDS
                if gathered.seconds >= (_MOST_AHEAD_SECONDS if ahead else seconds):
                    yield gathered.take()
        except LiveSoundError:
            # The rest of a block that is long past would be taken for sound that is back.
            recent = self._now() - gathered.latest < _RECENT_SECONDS
            if gathered.seconds and (recent or gathered.seconds > seconds):
                yield gathered.take()
            raise

    def _arriving(self) -> Iterator[tuple[LiveBlock, float]]:
        """Frames one by one, with the seconds for which each was waited for."""
        import av

        asked, expected = self._now(), None
        try:
            for packet in self._container.demux():
                waited = self._now() - asked
                sound = packet.stream_index == self._stream.index
                for frame in _decoded(packet) if sound else ():
                    missing = self._missing(frame.time, expected, waited)
                    expected = None if frame.time is None else frame.time + _seconds(frame)
                    samples = samples_of(frame, lossy=True)
                    yield LiveBlock(frame.sample_rate, samples, missing), waited
                    asked, waited = self._now(), 0.0
                if waited >= self._timeout:
                    raise LiveSoundError(f"nothing in it could be decoded for {waited:.0f} s")
        except av.error.ExitError:
            raise LiveSoundError(_nothing(self._timeout)) from None
        except (av.FFmpegError, ValueError, IndexError):  # IndexError: another track begins
            pass
        raise LiveSoundError("the stream has ended")

    def _missing(self, at: float | None, expected: float | None, waited: float) -> float:
        """Seconds of sound left out before a frame.

        A jump in its times counts as far as there was nothing for so long: cameras set their clocks
        while they go on sending.
        """
        if at is None or expected is None or at - expected < _JUMP_SECONDS:
            return 0.0
        missing = min(at - expected, waited)
        return missing if _JUMP_SECONDS <= missing < self._patience else 0.0


class _Gathered:
    """Frames that will be one block."""

    def __init__(self) -> None:
        self._frames: list[LiveBlock] = []
        self.seconds = 0.0
        self.latest = 0.0  # when the last frame was sent, at the earliest

    def fits(self, block: LiveBlock) -> bool:
        """Whether a block follows without a gap, in the same form."""
        if not self._frames:
            return True
        last = self._frames[-1]
        form = (last.rate, last.samples.shape[1])
        return not block.missing and form == (block.rate, block.samples.shape[1])

    def add(self, block: LiveBlock, sent: float) -> None:
        self._frames.append(block)
        self.latest = sent
        self.seconds += len(block.samples) / block.rate

    def take(self) -> LiveBlock:
        """All of them, and begin anew."""
        first, samples = self._frames[0], np.concatenate([each.samples for each in self._frames])
        self._frames, self.seconds = [], 0.0
        return LiveBlock(first.rate, samples, first.missing)


def _decoded(packet: Any) -> Iterator[Any]:
    """Readable frames of a packet; none if it is damaged."""
    import av

    try:
        frames = packet.decode()
    except (av.FFmpegError, ValueError):
        return
    yield from (frame for frame in frames if is_readable(frame) and frame.samples)


def _seconds(frame: Any) -> float:
    return float(frame.samples / frame.sample_rate)


def _nothing(patience: float) -> str:
    return f"nothing has arrived for {patience:g} s"


def _reason(error: BaseException, patience: float) -> str:
    """What went wrong, without the address, which FFmpeg's own messages repeat."""
    import av.error

    match error:
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
            return "it refuses the user; check the name and the password in the address"
        case av.error.ExitError():
            return _nothing(patience)
        case av.error.InvalidDataError():
            return (
                "what it sends is no sound that can be read; is it the address of the stream "
                "itself, and not of a page about it?"
            )
        case av.error.HTTPOtherClientError():
            return "it refuses to play; does the camera send sound? Turn its microphone on"
        case av.error.OSError() if error.errno == errno.EIO:
            return "it cannot be reached, or hangs up at once; check the name of its host"
    reason = getattr(error, "strerror", None) or type(error).__name__
    return f"it cannot be used ({reason})"
