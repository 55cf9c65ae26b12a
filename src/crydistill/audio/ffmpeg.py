"""Decoding with FFmpeg's libraries (PyAV): phone recordings, video, MP3, FLAC, damaged Ogg.

Imported only when a recording needs it: it takes a quarter of a second to load.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from crydistill.audio.file_slice import Block, FileSlice
from crydistill.audio.wave_headers import different_lengths
from crydistill.deferred_signals import deferred_signals

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,loas,matroska,webm,mov,mp4,m4a,3gp,"
    "mp3,mpc,mpc8,mpeg,mpegts,ogg,oma,rm,tak,truehd,tta,voc,w64,wav,wv"
)
"""Only what holds sound of its own: a playlist would make FFmpeg open other files and addresses."""

_COUNTED = frozenset({"mp3", "aac"})
"""Streams of bare frames, in which all bytes but tags belong to the sound."""

_XING = (b"Xing", b"Info", b"VBRI")
_WORTH_TELLING = 4096
_AMR_GOOD = 0x04
"""Bit of an AMR frame's first byte; without it zeros in a file would pass for frames."""

_MOST_CHANNELS = 8
"""PyAV reads past its memory in frames of more, which damaged AAC claims."""

_SAMPLE_FORMATS = frozenset({"u8", "s16", "s32", "flt", "dbl"})
"""Those that PyAV gives to NumPy; 64-bit integers are not among them."""

_LOUDEST = 4.0
"""A damaged frame of a lossy codec can be loud beyond measure, or not a number."""


class NoSoundError(ValueError):
    """Raised when a file is what it says, but without sound: a silent film."""


class FfmpegSound:
    """A recording that FFmpeg decodes.

    rate, channels : hertz and number, by the header
    seconds : by the header or FFmpeg's estimate; 0 if there is none
    remarks : what a user should know; complete once the blocks have been read
    """

    def __init__(self, window: FileSlice) -> None:
        """Open it.

        Raises
        ------
        ValueError
            if FFmpeg cannot open it.
        NoSoundError
            if it can, and there is no sound in it.
        """
        import av

        self.remarks: list[str] = []
        self._window = window
        try:
            with deferred_signals():
                self._container: Any = av.open(
                    window, metadata_errors="replace", options={"format_whitelist": CONTAINERS}
                )
        except (av.FFmpegError, ValueError, RuntimeError) as error:
            window.check()
            raise ValueError(_reason(error)) from error
        try:
            self._choose_stream()
        except BaseException:
            self._container.close()
            raise

    def close(self) -> None:
        self._container.close()

    def _choose_stream(self) -> None:
        import av

        tracks = self._container.streams.audio
        stream: Any = self._container.streams.best("audio")
        if stream is None:
            raise NoSoundError("contains no sound, only pictures or text")
        if stream.codec_context is None:
            raise ValueError("its codec is not known")
        self._stream = stream
        self._format = self._container.format.name
        if len(tracks) > 1:
            order = [track.index for track in tracks].index(stream.index) + 1
            self.remarks.append(f"{len(tracks)} tracks of sound: number {order} is read")
        self.rate, self.channels = int(stream.rate or 0), max(1, int(stream.channels or 1))
        self.seconds = (self._container.duration or 0) / av.time_base
        if self.channels > _MOST_CHANNELS:
            raise ValueError(f"it has {self.channels} channels, of which at most 8 can be read")
        self._is_amr = stream.codec_context.name.startswith(("amr", "libopencore_amr"))
        self._lossy = not stream.codec_context.name.startswith("pcm_")
        is_mp4 = "mp4" in self._format and stream.duration
        self._end = (stream.start_time or 0) + stream.duration if is_mp4 else None
        if self._format == "flac":
            # A frame whose checksum is wrong would be noise.
            stream.codec_context.options = {"err_detect": "crccheck+explode"}

    def blocks(self, frames: int) -> Iterator[tuple[int, Block]]:
        """Yield sample rate and samples `[n, channels]`, about `frames` at a time."""
        import av

        fifo: Any = None
        kind = None
        seconds, beyond = 0.0, 0
        for frame in self._frames():
            beyond, frame.pts = self._beyond_end(frame), None  # a queue wants times without gaps
            before, kind = kind, (frame.sample_rate, frame.layout.nb_channels, frame.format.name)
            # The queue does not look, and writes past its memory where channels change.
            if kind == before and fifo.samples < frames:
                fifo.write(frame)
                continue
            if fifo is not None:
                seconds += fifo.samples / fifo.sample_rate
                yield fifo.sample_rate, samples_of(fifo.read(), lossy=self._lossy)
            fifo = av.AudioFifo()
            fifo.write(frame)
        if fifo is not None:
            block = samples_of(fifo.read(), lossy=self._lossy)
            block = block[: len(block) - beyond]
            seconds += len(block) / fifo.sample_rate
            yield fifo.sample_rate, block
        self._compare(seconds)

    def _frames(self) -> Iterator[AudioFrame]:
        """Decoded frames; what is damaged is counted and left out."""
        import av

        self._sound_bytes = damaged = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except IndexError:  # a track that the header did not announce
                packets = self._container.demux(self._stream)
                continue
            except (av.FFmpegError, ValueError) as error:
                self._window.check()
                self.remarks.append(f"damaged: what follows cannot be read ({_reason(error)})")
                break
            self._window.check()
            if packet is None:
                break
            try:
                if self._is_amr and packet.size and not bytes(packet)[0] & _AMR_GOOD:
                    raise ValueError("marked as damaged")
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                damaged += 1
                continue
            self._sound_bytes += packet.size if frames else 0
            for frame in frames:
                if not is_readable(frame):
                    damaged += 1
                elif frame.samples:
                    yield frame
        if damaged:
            self.remarks.append(f"damaged: {damaged} piece{'s'[: damaged > 1]} left out")

    def _beyond_end(self, frame: AudioFrame) -> int:
        """Samples of a frame with which an encoder filled the last one up, where MP4 tells."""
        if self._end is None or frame.pts is None:
            return 0
        left = round((self._end - frame.pts) * self._stream.time_base * frame.sample_rate)
        return frame.samples - left if 0 < left < frame.samples else 0

    def _compare(self, seconds: float) -> None:
        """Remark on what header, file and sound say differently."""
        claimed = self._claimed_seconds()
        if claimed and (remark := different_lengths(claimed, seconds)):
            self.remarks.append(remark)
        if self._format not in _COUNTED:
            return
        size = len(self._window) - self._tag_bytes()
        other = size - self._sound_bytes
        if other > max(_WORTH_TELLING, 0.1 * size):
            self.remarks.append(f"{other:,} of the file's {len(self._window):,} bytes are no sound")

    def _claimed_seconds(self) -> float:
        """The duration by the header; 0 if there is none but what FFmpeg guesses."""
        import av

        if self._format in ("aac", "amr", "ac3", "eac3", "mpegts", "mpeg", "ogg"):
            return 0.0
        if self._format == "mp3" and not self._has_xing():
            return 0.0
        if self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        if self._container.duration and len(self._container.streams) == 1:
            return float(self._container.duration / av.time_base)
        return 0.0

    def _has_xing(self) -> bool:
        self._window.seek(self._tag_bytes())
        start = self._window.read(_WORTH_TELLING)
        return any(mark in start for mark in _XING)

    def _tag_bytes(self) -> int:
        """Bytes of the ID3 tag in front, which often holds a picture."""
        self._window.seek(0)
        head = self._window.read(10)
        if head[:3] != b"ID3" or len(head) < 10:
            return 0
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte & 0x7F
        return 10 + size


def samples_of(frame: AudioFrame, *, lossy: bool) -> Block:
    """Samples, float32 `[n, channels]`, of a readable frame; those of a lossy codec are clipped."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / np.float32(128)
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float64) / 2 ** (8 * samples.dtype.itemsize - 1)
    elif lossy and not -_LOUDEST <= samples.min() <= samples.max() <= _LOUDEST:
        samples = np.nan_to_num(np.clip(samples, -_LOUDEST, _LOUDEST))
    return np.ascontiguousarray(samples.T, dtype=np.float32)


def is_readable(frame: AudioFrame) -> bool:
    """Whether a frame's samples can be read: PyAV reads past its memory in some."""
    return (
        frame.layout.nb_channels <= _MOST_CHANNELS
        and frame.sample_rate > 0
        and frame.format.name.rstrip("p") in _SAMPLE_FORMATS
    )


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
