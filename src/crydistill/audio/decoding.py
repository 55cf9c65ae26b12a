"""Open a recording, choosing the decoder by its content.

libsndfile reads files of plain samples, and Ogg link by link; FFmpeg's libraries read MP3, FLAC and
everything else. libsndfile's MP3 and FLAC stop at a wrong length in the header, its Ogg at the end
of the first link, and it repeats sound where Ogg pages are lost.
"""

import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Protocol

import soundfile

from crydistill.audio.ffmpeg import FfmpegSound, NoSoundError
from crydistill.audio.file_slice import Block, FileSlice, file_size
from crydistill.audio.ogg_links import Link, read_links
from crydistill.audio.wave_headers import read_layout
from crydistill.deferred_signals import deferred_signals
from crydistill.errors import AudioError
from crydistill.members import open_binary

LOWEST_RATE, HIGHEST_RATE = 4_000, 192_000
"""Hertz; a header that claims another rate is damaged, or the recording is none of sound."""

_BLOCK_SECONDS = 30
_BLOCK_VALUES = 1 << 24
"""Limits a block of many channels to 64 MB."""

_HEADERLESS = frozenset({".raw", ".pcm", ".s16", ".s16le", ".sw", ".snd", ".dat", ".bin", ""})
_HOW_TO_CONVERT = "convert it to wav or flac, for instance with `ffmpeg -i IN OUT.wav`"


class _Sound(Protocol):
    """What a decoder offers.

    seconds : by the header or by an estimate, for a progress bar; 0 if there is none
    """

    rate: int
    seconds: float
    channels: int
    remarks: list[str]

    def blocks(self, frames: int) -> Iterator[tuple[int, Block]]: ...

    def close(self) -> None: ...


class _InOrder(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read from its beginning to its end.

    For one that can seek, soundfile seeks after each read to where it already is, which takes a
    tenth of the time that decoding a clip of Ogg Opus does.
    """

    def seekable(self) -> bool:
        return False


class SoundfileSound:
    """A recording that libsndfile decodes."""

    def __init__(self, window: FileSlice) -> None:
        """Open it.

        Raises
        ------
        ValueError
            if libsndfile does not know the format.
        """
        self.remarks: list[str] = []
        self._window = window
        self._file: soundfile.SoundFile | None = _libsndfile_file(window)
        self.rate, self.channels = int(self._file.samplerate), int(self._file.channels)
        self.seconds = self._file.frames / self.rate

    def close(self) -> None:
        with deferred_signals():
            if self._file is not None:
                self._file.close()
            self._file = None  # its finalizer runs here

    def blocks(self, frames: int) -> Iterator[tuple[int, Block]]:
        """Yield sample rate and exactly the samples that arrived."""
        while self._file is not None:
            try:
                block = self._file.read(frames, dtype="float32", always_2d=True)
            except (soundfile.SoundFileError, RuntimeError) as error:
                self._window.check()
                reason = _libsndfile_reason(error)
                self.remarks.append(f"damaged: what follows cannot be read ({reason})")
                return
            self._window.check()
            if len(block):
                yield self.rate, block
            if len(block) < frames:  # another read would seek, which costs as much as decoding
                return


class OggSound:
    """An Ogg file, read link by link."""

    def __init__(self, file: BinaryIO, links: list[Link]) -> None:
        """Open the first link."""
        self._file = file
        self._links = links
        self._first = self._opened(links[0])
        self.rate, self.channels = self._first.rate, self._first.channels
        self.seconds = self._first.seconds if len(links) == 1 else 0.0
        self.remarks: list[str] = []
        if len(links) > 1:
            self.remarks.append(f"{len(links)} streams one after the other: all are read")
        if not all(link.whole for link in links):
            self.remarks.append("damaged: parts are missing")

    def close(self) -> None:
        self._first.close()

    def _opened(self, link: Link) -> _Sound:
        window = FileSlice(self._file, link.start, link.stop)
        if link.whole:
            try:
                return SoundfileSound(window)
            except ValueError:
                window.seek(0)  # Speex, FLAC, or the sound track of a video
        return FfmpegSound(window)

    def blocks(self, frames: int) -> Iterator[tuple[int, Block]]:
        """Yield sample rate and samples of one link after the other."""
        for link in self._links:
            first = link is self._links[0]
            try:
                sound = self._first if first else self._opened(link)
            except ValueError as error:
                self.remarks.append(f"a stream of it cannot be read ({error})")
                continue
            try:
                yield from sound.blocks(frames)
                self.remarks.extend(sound.remarks)
            finally:
                sound.close()


class Recording:
    """An open recording, to be used in a `with` statement.

    rate : its sample rate in hertz, by the header
    seconds : its length by the header or by an estimate, for a progress bar; 0 if there is none
    remarks : what a user should know of file and header; complete once the blocks have been read
    """

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises
        ------
        AudioError
            if it cannot be opened, is no recording, or claims a rate that no sound has.
        """
        self._path = path
        self._stack = ExitStack()
        try:
            file = self._stack.enter_context(_opened(path))
            self._remark = ""
            self._sound = self._with_decoder(file)
            self._stack.callback(self._sound.close)
            self.rate, self.seconds = self._sound.rate, self._sound.seconds
            self._check_rate(self.rate)
        except OSError as error:
            self._stack.close()
            raise AudioError(f"{path}: cannot be read ({error.strerror or error})") from error
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def remarks(self) -> list[str]:
        return [*([self._remark] if self._remark else []), *self._sound.remarks]

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Yield sample rate and samples `[n, channels]` of at most half a minute.

        Raises
        ------
        AudioError
            if the file can no longer be read.
        """
        try:
            for rate, block in _undisturbed(self._sound.blocks(self._frames())):
                self._check_rate(rate)
                yield rate, block
        except OSError as error:
            reason = error.strerror or error
            raise AudioError(f"{self._path}: cannot be read ({reason})") from error

    def _frames(self) -> int:
        return max(1, min(_BLOCK_SECONDS * self.rate, _BLOCK_VALUES // self._sound.channels))

    def _with_decoder(self, file: BinaryIO) -> _Sound:
        if file_size(file) == 0:
            raise AudioError(
                f"{self._path}: the file is empty; copy it again from where it is from"
            )
        links = read_links(file) if _starts_with(file, b"OggS") else []
        try:
            if links:
                return OggSound(file, links)
            if (layout := read_layout(file)) is not None:
                self._remark = layout.remark
                window = layout.opened(file)
                return _first_that_opens(window, (SoundfileSound, FfmpegSound))
            if _is_mpeg(file):
                return FfmpegSound(FileSlice(file))  # libsndfile's MP3 talks on standard error
            return _first_that_opens(FileSlice(file), (FfmpegSound, SoundfileSound))
        except NoSoundError as error:
            raise AudioError(f"{self._path}: {error}") from error
        except ValueError as error:
            raise AudioError(f"{self._path}: {self._advice(str(error), file)}") from error

    def _advice(self, reason: str, file: BinaryIO) -> str:
        if _starts_with(file, b"ftyp", at=4):
            return (
                "its index, which a recorder writes last, is missing or damaged: copy it again, or "
                "repair it with `untrunc` and another recording of the same device"
            )
        if self._path.suffix.lower() in _HEADERLESS:
            return (
                "has no header that says rate and format; if it is 16-bit mono, "
                "`crydistill listen - --rate 16000 < FILE` hears it, and "
                "`ffmpeg -f s16le -ar 16000 -ac 1 -i FILE OUT.wav` gives it a header"
            )
        return f"cannot be decoded ({reason}); {_HOW_TO_CONVERT}"

    def _check_rate(self, rate: int) -> None:
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise AudioError(
                f"{self._path}: its header claims a sample rate of {rate:,} Hz, which is not "
                "between 4 and 192 kHz; "
                "`ffmpeg -i IN -af asetrate=16000 OUT.wav` gives it the true one, here 16 kHz"
            )


def _undisturbed(blocks: Iterator[tuple[int, Block]]) -> Iterator[tuple[int, Block]]:
    """The blocks; signals wait while one is decoded, as decoders call Python for the bytes."""
    while True:
        with deferred_signals():
            found = next(blocks, None)
        if found is None:
            return
        yield found


def _libsndfile_file(window: FileSlice) -> soundfile.SoundFile:
    with deferred_signals():
        try:
            return _InOrder(window)
        except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError) as error:
            reason = _libsndfile_reason(error)
    window.check()
    raise ValueError(reason)


def _first_that_opens(
    window: FileSlice, decoders: tuple[type[SoundfileSound] | type[FfmpegSound], ...]
) -> _Sound:
    reasons = []
    for decoder in decoders:
        window.seek(0)
        try:
            return decoder(window)
        except NoSoundError:
            raise
        except ValueError as error:
            reasons.append(str(error))
    raise ValueError(reasons[0])


def _opened(path: Path) -> BinaryIO:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError):
            return _opened_inside(path)
        raise
    if stat.S_ISDIR(mode):
        raise AudioError(f"{path}: is a folder; name the recordings in it")
    if not stat.S_ISREG(mode):
        raise AudioError(
            f"{path}: is a pipe or a device, not a file; save the recording first, or pipe live "
            "sound into `crydistill listen -`"
        )
    return path.open("rb")


def _opened_inside(path: Path) -> BinaryIO:
    """Open what is in a tar or parquet file."""
    try:
        return open_binary(path)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise AudioError(f"{path}: no such file") from error


def _starts_with(file: BinaryIO, magic: bytes, at: int = 0) -> bool:
    file.seek(at)
    return file.read(len(magic)) == magic


def _is_mpeg(file: BinaryIO) -> bool:
    file.seek(0)
    head = file.read(3)
    return head == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] >= 0xE0)


def _libsndfile_reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).rstrip(".")
