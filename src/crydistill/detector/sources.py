"""Read live audio from a microphone, or raw PCM from a stream such as standard input."""

import queue
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np
import soxr

from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.errors import AudioError, ConfigError, MissingExtraError

BLOCK_SECONDS = 0.24
"""Length of a microphone block: half a window hop."""

MICROPHONE_PATIENCE_SECONDS = 5.0
"""A microphone that delivers nothing for this long counts as lost."""

MAX_BACKLOG_SECONDS = 30.0
"""Largest backlog of audio to be scored; if the machine falls behind further, audio is dropped."""

_BYTES_PER_SAMPLE = 2
_FULL_SCALE = 32_768
_READ_BYTES = 65_536


class SourceLost(AudioError):  # noqa: N818 - an event more than an error
    """Raised when a microphone is missing, fails to open or stops; reopening it may work."""


def pcm_blocks(stream: BinaryIO, *, rate: int = SAMPLE_RATE) -> Iterator[Samples]:
    """Raw signed 16-bit little-endian mono PCM, as `arecord -t raw -f S16_LE -c 1` writes it.

    Blocks arrive as the stream delivers them, at most 2 s at 16 kHz; other rates are resampled.

    Raises
    ------
    ConfigError
        if the rate is not between 4 and 192 kHz.
    """
    if not 4_000 <= rate <= 192_000:
        raise ConfigError(
            f"{rate} Hz is not a supported sample rate; choose one between 4000 and 192000"
        )
    convert = _converter(rate)
    # `read` blocks until the buffer is full; `read1` returns what a pipe has.
    read = getattr(stream, "read1", stream.read)
    rest = b""
    while data := read(_READ_BYTES):
        data = rest + data
        whole = len(data) // _BYTES_PER_SAMPLE * _BYTES_PER_SAMPLE
        rest = data[whole:]
        if whole:
            yield convert(_to_float(data[:whole]))


def microphone_blocks(device: str | int | None = None) -> Iterator[Samples]:
    """Endless audio from a microphone: 16 kHz mono.

    Parameters
    ----------
    device : sounddevice's index or (part of a) name; the system's default if None

    Raises
    ------
    SourceLost
        if there is no such microphone, it fails to open, or it delivers nothing for 5 s.
    MissingExtraError
        if sounddevice is not installed.
    """
    sounddevice = _sounddevice()
    waiting: queue.Queue[bytes] = queue.Queue(maxsize=int(MAX_BACKLOG_SECONDS / BLOCK_SECONDS))

    def arrived(data: Any, frames: int, when: Any, status: Any) -> None:
        # Called from PortAudio's thread, which must never block.
        if not waiting.full():
            waiting.put_nowait(bytes(data))

    try:
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
            convert = _converter(rate)
            while True:
                yield convert(_to_float(waiting.get(timeout=MICROPHONE_PATIENCE_SECONDS)))
    except queue.Empty:
        raise SourceLost(
            f"the microphone delivered no audio for {MICROPHONE_PATIENCE_SECONDS:.0f} s"
        ) from None
    except (sounddevice.PortAudioError, ValueError) as error:  # ValueError: no such device
        raise SourceLost(f"the microphone cannot be used ({_one_line(error)})") from error


def _sounddevice() -> Any:
    try:
        sounddevice = import_module("sounddevice")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "listening to a microphone needs sounddevice: pip install 'crydistill[live]'; "
            "or pipe raw PCM in: arecord -t raw -f S16_LE -r 16000 -c 1 | crydistill listen -"
        ) from error
    except OSError as error:  # the package is installed, its C library is not
        raise MissingExtraError(
            "listening to a microphone needs the PortAudio library (Debian: libportaudio2); "
            "or pipe raw PCM in: arecord -t raw -f S16_LE -r 16000 -c 1 | crydistill listen -"
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


def _converter(rate: int) -> Callable[[Samples], Samples]:
    if rate == SAMPLE_RATE:
        return lambda samples: samples
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    return lambda samples: np.asarray(resampler.resample_chunk(samples), dtype=np.float32)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
