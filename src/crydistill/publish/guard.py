"""Scan files for audio and private material before they are published.

As in secret scanning, the content decides. Every file is scanned as it is and unpacked (`unpack`)
recursively: archives, compressed streams, base64, hexadecimal, lists of numbers, arrays. In each
part the guard looks for

- audio, in any container, under any name, at any offset, or as an array of samples;
- private recordings, if their fingerprints are given: the file itself, runs of its samples, of its
  log-mel frames or of other arrays derived from it, its name, its checksum, its time;
- names and times in the format of captures, even without fingerprints;
- manifests of students that were adapted to the sound of a home.

What cannot be opened is a finding, too. Not detected: private audio that was altered before it was
stored as bare numbers (resampled, amplified, quantised to 8 bits), plots of it, and encrypted data.
docs/privacy.md has the details.
"""

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from crydistill.deferred_signals import deferred_signals
from crydistill.errors import ConfigError
from crydistill.progress import Progress, silent
from crydistill.publish.containers import Array, Budget, Obstacle, letters_of, runs, unpack_blob
from crydistill.publish.fingerprints import PieceKind, PrivateFingerprints, as_int16
from crydistill.publish.sniff import find_sound

MAX_FILE_BYTES = 512 << 20
MAX_DEPTH = 8
"""Larger files and deeper nested archives are not scanned, which is a finding."""

MIN_SAMPLES = 8_000
"""Half a second at 16 kHz: shorter arrays do not count as audio."""

MIN_CORRELATION = 0.25
"""Correlation of neighbouring samples: lower for weights and noise, higher for recorded sound."""

LOUDEST_BYTE = 255
"""Signed 16-bit integers beyond this count as samples even if they look like noise; smaller ones
may be weights."""

_SAMPLES_DECODED = 20_000_000

_DATE = re.compile(rb"20\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])")
_AFTER_DATE = re.compile(
    # The format of captures' names.
    rb"(?P<compact>(?<=\d{8})T(?:[01]\d|2[0-3])[0-5]\d[0-5]\d(?!\d))"
    # Local time with its UTC offset; programs write UTC.
    rb"|(?P<local>[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s?[+-](?!00:?00)\d\d:?\d\d(?!\d))"
    # Any time, if a word for a recording precedes the date.
    rb"|(?P<clock>[T_. -]{1,3}\d\d[-:_.h]?\d\d(?!\d\d\d))"
)
_BEFORE_DATE = re.compile(rb"(?i:cry|capture|baby|nursery|recording|record|clip|audio)[_.-]?$")
_LONGEST_WORD = len("recording-")

_ADAPTED = re.compile(rb'"adaptation"\s*:\s*\{\s*"original_sha256"')
"""As `student.manifest.Adaptation` is written."""

_ANY_TIME = re.compile(
    rb"(20\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[T_. -]?(\d\d)[-_:.h]?(\d\d)[-_:.m]?(\d\d)"
    rb"(?:[.,]\d+)?\s?(Z|[+-]\d\d:?\d\d)?(?!\d)"
)
_FIRST_SECOND, _LAST_SECOND = 1_262_304_000, 4_102_444_800  # of 2010 and 2100
_DIGITS = letters_of(rb"\d")
_EPOCH_DIGITS = (10, 13, 16, 19)  # seconds, milli-, micro- and nanoseconds
_HEX_DIGITS = letters_of(rb"[0-9a-fA-F]")
_SHA256_DIGITS = 64

_PIECE_OF = {
    PieceKind.SAMPLES: "samples of a private recording",
    PieceKind.FRAMES: "log-mel frames of a private recording",
    PieceKind.ARRAY: "values computed from a private recording",
}


class Rule(StrEnum):
    """Reason why something must not be published."""

    AUDIO = "audio"
    AUDIO_ARRAY = "audio array"
    PRIVATE_FILE = "private file"
    PRIVATE_DATA = "private data"
    PRIVATE_NAME = "private name"
    PRIVATE_TIME = "private time"
    CAPTURE_TIME = "capture time"
    PRIVATE_MODEL = "private model"
    UNEXAMINED = "unexamined"


_MAY_BE_ALLOWED = {Rule.AUDIO, Rule.AUDIO_ARRAY, Rule.CAPTURE_TIME, Rule.UNEXAMINED}


@dataclass(frozen=True)
class Finding:
    """One reason not to publish a file.

    where : the file, then the path inside it: `bundle.zip!data.npz!x.npy`, `a.html@base64:9`
    rule : rule that was violated
    what : description, which never repeats the private name or time
    """

    where: str
    rule: Rule
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def scan(
    path: str | Path,
    *,
    private: PrivateFingerprints | None = None,
    allowed: Collection[str] = (),
    progress: Progress = silent,
) -> list[Finding]:
    """Scan a file, or everything below a folder except `.git`.

    Parameters
    ----------
    path : file or folder to be published
    private : fingerprints of private recordings; without them only the general rules apply
    allowed : allowlist of sha256 (hexadecimal) of contents that may be published although they are
        audio, look like a capture's, or cannot be scanned; private content is never allowed

    Returns
    -------
    Findings in the order of paths; empty if there is no reason against publishing.

    Raises
    ------
    ConfigError
        if `path` does not exist.

    Examples
    --------
    A recording renamed to look like weights:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     weights = Path(folder) / "weights.bin"
    ...     soundfile.write(weights, np.zeros(16_000), 16_000, format="WAV")
    ...     findings = scan(weights)
    >>> [(finding.rule.value, finding.what) for finding in findings]
    [('audio', 'audio (WAV) at byte 0')]
    """
    path = Path(path)
    if not path.exists() and not path.is_symlink():
        raise ConfigError(f"{path}: no such file or folder to scan")
    guard = _Guard(private, frozenset(digest.lower() for digest in allowed))
    # Parent folders of an absolute path are not published; those of a relative one may be.
    root = path.parent if path.is_absolute() else Path()
    findings: dict[Finding, None] = {}
    files = list(files_below(path))
    with progress("scanning", len(files), "files") as advance:
        for file in files:
            findings.update(dict.fromkeys(guard.file(file, file.relative_to(root).as_posix())))
            advance(1)
    return list(findings)


def read_allowed(path: str | Path) -> frozenset[str]:
    """Read an allowlist: one sha256 per line, then a note; `#` starts a comment.

    Raises
    ------
    ConfigError
        if it cannot be read, or naming the line that does not start with a sha256.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a readable allowlist ({error})") from error
    digests: set[str] = set()
    for line, text in enumerate(lines, start=1):
        words = text.split("#")[0].split()
        if words and not re.fullmatch("[0-9a-fA-F]{64}", words[0]):
            raise ConfigError(f"{path}:{line}: '{words[0]}' is not a sha256 of 64 hex digits")
        digests.update(word.lower() for word in words[:1])
    return frozenset(digests)


def looks_like_audio(array: Array) -> bool:
    """Whether an array of numbers could be a recording's samples.

    Such an array is long, mono (or has a few channels, or many clips of one length), oscillates
    around zero, and consists of 16-bit steps or has correlated neighbours. Scores do not oscillate
    around zero; weights and noise have uncorrelated neighbours.
    """
    if array.dtype.kind not in "if" or array.dtype.itemsize < 2:
        return False
    return any(
        _looks_like_samples(np.asarray(series, dtype=np.float64)) for series in _series(array)
    )


def _series(array: Array) -> list[Array]:
    """Long series of values in which a recording could be stored."""
    if array.ndim == 0 or array.size < MIN_SAMPLES:
        return []
    if array.ndim == 2 and array.shape[1] < array.shape[0] and array.shape[1] <= 8:
        return [array[:, 0]]
    rows = array.reshape(-1, array.shape[-1])
    return list(rows[:8]) if array.shape[-1] >= MIN_SAMPLES else []


def _looks_like_samples(values: npt.NDArray[np.float64]) -> bool:
    if not np.isfinite(values).all():
        return False
    mean, deviation = float(values.mean()), float(values.std())
    if deviation == 0 or abs(mean) > 0.2 * deviation or values.min() >= 0:
        return False
    # Decoded 16-bit audio, raw or divided by full scale, is recognised by its steps.
    loudest = float(np.abs(values).max())
    steps = values * 32_768.0 if loudest <= 1.0 else values
    whole = bool((steps == np.rint(steps)).all()) and loudest <= 32_768.0
    if whole and np.abs(steps).max() > LOUDEST_BYTE:
        return True
    centred = values - mean
    correlation = float((centred[1:] * centred[:-1]).mean()) / deviation**2
    return abs(correlation) >= MIN_CORRELATION


class _Guard:
    """Applies all rules to a file and to everything inside it."""

    def __init__(self, private: PrivateFingerprints | None, allowed: frozenset[str]) -> None:
        self._private = private
        self._allowed = allowed

    def file(self, path: Path, name: str) -> Iterator[Finding]:
        yield from self._text(os.fsencode(name), str(path), place=" in its path")
        if path.is_symlink():
            target = os.fsencode(path.readlink())
            yield from self._text(target, str(path), place=" in the link's target")
        if not path.is_file():
            return
        if path.stat().st_size > MAX_FILE_BYTES:
            yield Finding(
                str(path), Rule.UNEXAMINED, "larger than can be scanned; publish smaller files"
            )
            return
        try:
            data = path.read_bytes()
        except OSError as error:
            yield Finding(str(path), Rule.UNEXAMINED, f"cannot be read ({error.strerror})")
            return
        yield from self._blob(data, str(path), Budget(), MAX_DEPTH)

    def _blob(self, data: bytes, where: str, budget: Budget, depth: int) -> Iterator[Finding]:
        digest = hashlib.sha256(data)
        if self._private is not None and self._private.knows_file(digest.digest()):
            yield Finding(where, Rule.PRIVATE_FILE, "a private recording, byte for byte")
        may_pass = digest.hexdigest() in self._allowed
        for finding in self._examined(data, where, budget, depth):
            if not (may_pass and finding.rule in _MAY_BE_ALLOWED):
                yield finding

    def _examined(self, data: bytes, where: str, budget: Budget, depth: int) -> Iterator[Finding]:
        if depth == 0:
            yield Finding(where, Rule.UNEXAMINED, "nested too deep to be scanned; unpack it")
            return
        unpacked = unpack_blob(data, budget)
        yield from self._surface(unpacked.rest, where)
        for found in unpacked.parts:
            if isinstance(found, Obstacle):
                yield Finding(where, Rule.UNEXAMINED, found.why)
            elif isinstance(found.content, bytes):
                yield from self._blob(found.content, where + found.label, budget, depth - 1)
            else:
                yield from self._array(found.content, where + found.label)

    def _surface(self, data: bytes, where: str) -> Iterator[Finding]:
        """Apply the rules to the bytes as they are."""
        sound = find_sound(data)
        if sound is not None:
            yield Finding(where, Rule.AUDIO, f"audio ({sound.kind}) at byte {sound.offset}")
            yield from self._decoded(data[sound.offset :], where)
        yield from self._pieces(data, where)
        yield from self._text(data, where)

    def _decoded(self, data: bytes, where: str) -> Iterator[Finding]:
        """Whether audio is private: lossless copies decode to the same samples."""
        if self._private is None:
            return
        with deferred_signals():
            samples = _decode(data)
        for channel in samples.T:
            yield from self._pieces(as_int16(channel).tobytes(), where, place=" in this audio")

    def _pieces(self, data: bytes, where: str, place: str = "") -> Iterator[Finding]:
        match = None if self._private is None else self._private.find_piece(data)
        if match is not None:
            place = place or f" at byte {match.offset}"
            yield Finding(where, Rule.PRIVATE_DATA, _PIECE_OF[match.kind] + place)

    def _array(self, array: Array, where: str) -> Iterator[Finding]:
        shape = " x ".join(map(str, array.shape))
        if looks_like_audio(array):
            yield Finding(where, Rule.AUDIO_ARRAY, f"an array of {shape} that looks like audio")
        if array.dtype.kind in "USO":
            words = b"\n".join(
                word if isinstance(word, bytes) else str(word).encode(errors="replace")
                for word in array.flat
            )
            yield from self._text(words, where, place=" in an array of text")
        if self._private is None:
            return
        for data in _forms(array):
            yield from self._pieces(data, where, place=f" in an array of {shape}")
        if any(self._private.knows_moment(moment) for moment in _moments_in(array)):
            yield Finding(where, Rule.PRIVATE_TIME, "the time of a private recording in an array")

    def _text(self, data: bytes, where: str, place: str = "") -> Iterator[Finding]:
        times = list(_capture_times(data))
        if times:
            first = place or _position(data, times[0])
            count = "" if len(times) == 1 else f", {len(times)} in all, the first"
            what = f"a name or time like a capture's{count}{first}"
            yield Finding(where, Rule.CAPTURE_TIME, what)
        if adapted := _ADAPTED.search(data):
            at = place or _position(data, adapted.start())
            yield Finding(where, Rule.PRIVATE_MODEL, f"a student adapted to private sound{at}")
        if self._private is None:
            return
        name = self._private.find_name(data)
        if name is not None:
            at = place or _position(data, name)
            yield Finding(where, Rule.PRIVATE_NAME, f"the name of a private recording{at}")
        for start, digest in _digests_in_text(data):
            if self._private.knows_file(digest):
                at = place or _position(data, start)
                yield Finding(where, Rule.PRIVATE_NAME, f"the sha256 of a private recording{at}")
                break
        for start, moment in _moments_in_text(data):
            if self._private.knows_moment(moment):
                at = place or _position(data, start)
                yield Finding(where, Rule.PRIVATE_TIME, f"the time of a private recording{at}")
                break


def files_below(path: Path) -> Iterator[Path]:
    """The files that `scan` looks into: the path itself, or all below it except `.git`."""
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = sorted(set(folders) - set(links) - {".git"})
        yield from (Path(folder) / name for name in sorted(names + links))


def _decode(data: bytes) -> Array:
    """The beginning of a sound, float32 `[n, channels]`; no channels if it cannot be decoded."""
    try:
        with soundfile.SoundFile(BytesIO(data)) as file:
            frames = min(file.frames, _SAMPLES_DECODED // file.channels)
            return np.asarray(file.read(frames, dtype="float32", always_2d=True))
    except (soundfile.LibsndfileError, TypeError, ValueError):
        return np.empty((0, 0), dtype=np.float32)  # that it is audio has been reported


def _forms(array: Array) -> Iterator[bytes]:
    """Bytes of an array's values in the formats in which private arrays are fingerprinted."""
    if array.dtype.kind not in "if" or array.dtype.itemsize < 2:
        return
    layouts = [array] if array.ndim < 2 else [array, np.swapaxes(array, -1, -2)]
    if array.dtype.kind == "i":
        yield from (_bytes_as(layout, "<i2") for layout in layouts)
        return
    for layout in layouts:
        yield _bytes_as(layout, "<f2")
        yield _bytes_as(layout, "<f4")
        if np.abs(layout).max(initial=0) <= 1.0:
            yield as_int16(layout).tobytes()


def _bytes_as(array: Array, dtype: str) -> bytes:
    # A value that does not fit the type cannot be a private one.
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(dtype).tobytes()


def _moments_in(array: Array) -> Iterator[datetime]:
    if array.dtype.kind == "M":
        array = array.astype("datetime64[s]").astype(np.int64)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize < 4:
        return
    with np.errstate(invalid="ignore"):
        values = array.ravel().astype(np.float64)
    for per_second in (1, 1_000, 1_000_000, 1_000_000_000):
        low, high = _FIRST_SECOND * per_second, _LAST_SECOND * per_second
        for value in np.unique(values[(values >= low) & (values <= high)]).tolist():
            yield datetime.fromtimestamp(value // per_second, UTC)


def _capture_times(data: bytes) -> Iterator[int]:
    """Offsets of dates in the format of captures' names."""
    for date in _DATE.finditer(data):
        after = _AFTER_DATE.match(data, date.end())
        if after is None or data[date.start() - 1 : date.start()].isdigit():
            continue
        before = data[max(0, date.start() - _LONGEST_WORD) : date.start()]
        if after.lastgroup != "clock" or _BEFORE_DATE.search(before):
            yield date.start()


def _moments_in_text(data: bytes) -> Iterator[tuple[int, datetime]]:
    for match in _ANY_TIME.finditer(data):
        *parts, offset = match.groups()
        year, month, day, hour, minute, second = map(int, parts)
        try:
            zone = None if offset is None else _zone(offset)
            yield match.start(), datetime(year, month, day, hour, minute, second, tzinfo=zone)
        except ValueError:
            continue
    for start, stop in runs(data, _DIGITS, _EPOCH_DIGITS[0]):
        seconds = int(data[start : start + _EPOCH_DIGITS[0]])
        if stop - start in _EPOCH_DIGITS and _FIRST_SECOND <= seconds <= _LAST_SECOND:
            yield start, datetime.fromtimestamp(seconds, UTC)


def _digests_in_text(data: bytes) -> Iterator[tuple[int, bytes]]:
    for start, stop in runs(data, _HEX_DIGITS, _SHA256_DIGITS):
        if stop - start == _SHA256_DIGITS:
            yield start, bytes.fromhex(data[start:stop].decode())


def _zone(offset: bytes) -> timezone:
    if offset == b"Z":
        return UTC
    digits = offset[1:].replace(b":", b"")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-size if offset[:1] == b"-" else size)


def _position(data: bytes, at: int) -> str:
    if b"\x00" in data[:4096]:
        return f" at byte {at}"
    line = 1 + data.count(b"\n", 0, at)
    return f" in line {line}"
