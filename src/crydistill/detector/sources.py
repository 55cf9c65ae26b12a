"""Read live audio from a microphone, a recording, or a stream such as standard input.

Sources are iterators that block; `in_background` gives a source a thread of its own, so that time
goes on for the one who listens while a source has nothing.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soxr

from crydistill.audio.files import AUDIO_SUFFIXES, AudioReader
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.detector.byte_stream import RAW_PIPE, ByteStream, decoding_pipe
from crydistill.detector.containers import container, is_wav, text_start
from crydistill.detector.wav_stream import wav_blocks
from crydistill.errors import AudioError, ConfigError, MissingExtraError

PATIENCE_SECONDS = 10.0
"""Without a sound for this long, a source counts as dead."""

TICK_SECONDS = 0.25
"""Time after which a source that has nothing yet is reported as such."""

BLOCK_SECONDS = 0.24
"""Length of a microphone block: half a window hop."""

MAX_BACKLOG_SECONDS = 30.0
"""Largest backlog of audio to be scored. If the machine falls behind further, audio is dropped
until there is no backlog, so that it is missing in one piece."""

REOPEN_SECONDS = 30.0
"""A microphone that gives nothing but zeros is opened again after this time: the sound server may
have put a device in its place that is always silent."""


@dataclass(frozen=True)
class Dropped:
    """Audio that is missing between the block before and the block after."""

    seconds: float


Source = Callable[[], Generator[Samples | Dropped]]
"""Opens a source and yields blocks of 16 kHz mono audio."""

NOTHING: Samples = np.empty(0, dtype=np.float32)

_BYTES_PER_SAMPLE = 2
_FULL_SCALE = 32_768
_WAITING_BLOCKS = 16
_ENDING_SECONDS = 0.5
_MICROPHONE_BLOCKS = int(MAX_BACKLOG_SECONDS / BLOCK_SECONDS)


class SourceLost(AudioError):  # noqa: N818 - an event more than an error
    """Raised when a microphone or stream is missing, fails or stops; reopening it may work."""


def in_background(source: Source, *, tick: float = TICK_SECONDS) -> Generator[Samples | Dropped]:
    """Yield a source's blocks, and an empty block whenever none has arrived for a tick.

    The source runs in a thread of its own and may block. It is some blocks ahead at most: a source
    that is faster than its listener waits, so nothing is lost and memory stays bounded. Errors of
    the source are raised here.

    Parameters
    ----------
    tick : seconds
    """
    waiting: queue.Queue[Samples | Dropped | Exception | None] = queue.Queue(_WAITING_BLOCKS)
    stopping = threading.Event()

    def pass_on(item: Samples | Dropped | Exception | None) -> None:
        while not stopping.is_set():
            try:
                return waiting.put(item, timeout=tick)
            except queue.Full:
                continue

    def read() -> None:
        try:
            with closing(source()) as blocks:
                for block in blocks:
                    if isinstance(block, Dropped) or len(block):
                        pass_on(block)
                    if stopping.is_set():
                        return
        except Exception as error:
            pass_on(error)
        else:
            pass_on(None)

    reader = threading.Thread(target=read, name="sound", daemon=True)
    reader.start()
    try:
        while True:
            try:
                item = waiting.get(timeout=tick)
            except queue.Empty:
                yield NOTHING
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stopping.set()
        # A microphone closes in time; a read of a pipe may block for ever and is left to itself.
        reader.join(_ENDING_SECONDS)


def pcm_blocks(
    stream: BinaryIO,
    *,
    rate: int = SAMPLE_RATE,
    say: Callable[[str], None] = lambda line: None,
) -> Generator[Samples]:
    """Audio that arrives in a stream: raw signed 16-bit little-endian mono PCM, or a WAV file.

    Blocks arrive as the stream delivers them, a few seconds at most; rates other than 16 kHz are
    resampled. A WAV file (`arecord -f S16_LE`) may have any number of channels and be of unknown
    length; its header decides, not `rate`.

    Parameters
    ----------
    rate : of raw PCM, in hertz
    say : called with a message about what was found in the stream or left out

    Raises
    ------
    AudioError
        if the stream cannot be read, ends before any sound, or is a file of another format.
    ConfigError
        if the rate is not between 4 and 192 kHz.
    """
    _check_rate(rate)
    source = ByteStream(stream)
    if name := container(source):
        raise AudioError(f"standard input is {name}, not PCM; decode it first: {decoding_pipe()}")
    if text := text_start(source):
        raise AudioError(
            f"standard input is text ('{text}'), not sound; see what the program before it says"
        )
    silent = True
    for block in _wav(source, say) if is_wav(source) else _raw(source, rate, say):
        if len(block):
            silent = False
            yield block
    if silent:
        raise AudioError(f"standard input ended before any sound; pipe some into it: {RAW_PIPE}")


def is_recording(name: str) -> bool:
    """Whether a source's name is a path, or would be a file, and no microphone."""
    path = Path(name)
    is_path = path.is_file() or path.is_fifo() or (path.name != name and path.exists())
    return bool(name) and (is_path or path.suffix.lower() in AUDIO_SUFFIXES)


def file_blocks(
    path: str | Path, *, say: Callable[[str], None] = lambda line: None
) -> Generator[Samples]:
    """Sound of a recording, as fast as it can be heard.

    Parameters
    ----------
    say : called with remarks about the recording, at its end

    Raises
    ------
    AudioError
        as `AudioReader.blocks`.
    """
    reader = AudioReader(path)
    yield from reader.blocks()
    for note in reader.notes:
        say(f"{path}: {note}")


def microphone_blocks(
    device: str | int | None = None,
    *,
    patience: float = PATIENCE_SECONDS,
    say: Callable[[str], None] = lambda line: None,
) -> Generator[Samples | Dropped]:
    """Endless audio from a microphone: 16 kHz mono; an empty block while it delivers nothing.

    Parameters
    ----------
    device : sounddevice's index or (part of a) name; the system's default if None
    patience : seconds without a block after which it counts as lost
    say : called with a message when audio is dropped because its listener is too slow

    Raises
    ------
    SourceLost
        if there is no such microphone, it fails to open, or it delivers nothing any more.
    MissingExtraError
        if sounddevice is not installed.
    """
    sounddevice = _sounddevice()
    try:
        while True:
            yield from _opened(sounddevice, device, patience, say)
    except (sounddevice.PortAudioError, ValueError) as error:  # ValueError: no such device
        raise SourceLost(f"the microphone cannot be used ({_one_line(error)})") from error


class _Backlog:
    """Blocks of a microphone that wait to be scored."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[bytes | Dropped] = queue.Queue()
        self._dropped = 0  # blocks since the last that was kept

    @property
    def dropping(self) -> bool:
        return self._dropped > 0

    def put(self, data: bytes) -> None:
        """Keep a block or drop it; never waits."""
        if self._dropped and self._waiting.empty():
            self._waiting.put_nowait(Dropped(self._dropped * BLOCK_SECONDS))
            self._dropped = 0
        if self._dropped or self._waiting.qsize() >= _MICROPHONE_BLOCKS:
            self._dropped += 1
        else:
            self._waiting.put_nowait(data)

    def get(self, timeout: float) -> bytes | Dropped:
        """The next block; raises queue.Empty if there is none for so long."""
        return self._waiting.get(timeout=timeout)


def _opened(
    sounddevice: Any, device: str | int | None, patience: float, say: Callable[[str], None]
) -> Generator[Samples | Dropped]:
    """Blocks of a microphone from opening it until it has been silent for long."""
    backlog, said = _Backlog(), False

    def arrived(data: Any, frames: int, when: Any, status: Any) -> None:
        # Called from PortAudio's thread, which must never block.
        backlog.put(bytes(data))

    # PortAudio lists devices only when it starts; restart it to find one plugged in since.
    sounddevice._terminate()
    sounddevice._initialize()
    rate = _rate(sounddevice, device)
    with sounddevice.RawInputStream(
        samplerate=rate,
        blocksize=int(rate * BLOCK_SECONDS),
        device=device,
        channels=1,
        dtype="int16",
        callback=arrived,
    ):
        convert, silent, missing = Converter(rate), 0.0, 0.0
        while silent < REOPEN_SECONDS:
            try:
                data = backlog.get(min(TICK_SECONDS, patience))
            except queue.Empty:
                missing += min(TICK_SECONDS, patience)
                if missing >= patience:
                    raise SourceLost(
                        f"the microphone delivered no audio for {patience:g} s"
                    ) from None
                yield NOTHING
                continue
            if backlog.dropping and not said:
                said = True
                say("this machine is too slow to score all audio; some is dropped")
            missing = 0.0
            if isinstance(data, Dropped):
                convert, said = Converter(rate), False
                yield data
                continue
            silent = 0.0 if any(data) else silent + BLOCK_SECONDS
            yield convert(_to_float(data))


def _raw(stream: ByteStream, rate: int, say: Callable[[str], None]) -> Iterator[Samples]:
    convert = Converter(rate)
    for data in stream.whole(_BYTES_PER_SAMPLE, say):
        yield convert(_to_float(data))
    yield convert.rest()


def _wav(stream: ByteStream, say: Callable[[str], None]) -> Iterator[Samples]:
    convert = Converter(SAMPLE_RATE)
    for found, samples in wav_blocks(stream, say):
        if found.rate != convert.rate:
            _check_rate(found.rate)
            yield convert.rest()
            convert = Converter(found.rate)
        yield convert(samples)
    yield convert.rest()


def _check_rate(rate: int) -> None:
    if not 4_000 <= rate <= 192_000:
        raise ConfigError(
            f"{rate} Hz is not a supported sample rate; choose one between 4000 and 192000"
        )


def _sounddevice() -> Any:
    try:
        sounddevice = import_module("sounddevice")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "listening to a microphone needs sounddevice: pip install 'crydistill[live]'; "
            f"or pipe raw PCM in: {RAW_PIPE}"
        ) from error
    except OSError as error:  # the package is installed, its C library is not
        raise MissingExtraError(
            "listening to a microphone needs the PortAudio library (Debian: libportaudio2); "
            f"or pipe raw PCM in: {RAW_PIPE}"
        ) from error
    return sounddevice


def _rate(sounddevice: Any, device: str | int | None) -> int:
    """16 kHz if the microphone supports it, else its default rate."""
    try:
        sounddevice.check_input_settings(
            device=device, channels=1, dtype="int16", samplerate=SAMPLE_RATE
        )
    except sounddevice.PortAudioError:
        return int(sounddevice.query_devices(device, "input")["default_samplerate"])
    return SAMPLE_RATE


def _to_float(data: bytes) -> Samples:
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(_FULL_SCALE)


class Converter:
    """Resamples a stream of `rate` hertz to 16 kHz, block by block, behind by up to a tenth second.

    rate : hertz
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._resampler = (
            None
            if rate == SAMPLE_RATE
            else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        )

    def __call__(self, samples: Samples) -> Samples:
        """What is ready once these samples, `[n]`, have arrived."""
        return self._resampled(samples, last=False)

    def rest(self) -> Samples:
        """What was held back, at the stream's end."""
        return self._resampled(NOTHING, last=True)

    def _resampled(self, samples: Samples, *, last: bool) -> Samples:
        if self._resampler is None:
            return samples
        return np.asarray(self._resampler.resample_chunk(samples, last=last), dtype=np.float32)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
