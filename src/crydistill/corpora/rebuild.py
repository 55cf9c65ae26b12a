"""From a public manifest back to a folder of audio, with copies of the public files that are here.

Layout of a rebuilt folder:

    PATH        16 kHz mono, in the format its name says; there only when it is whole and checked
    clips.csv   written last: the rows whose audio is here, those of several manifests together

A file is looked for in the folders that the user names, then in the corpora that
`crydistill fetch NAME` brought. A copy counts when its duration and native rate are the manifest's.
What is there already is kept, so that the same command goes on after a kill.
"""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import soundfile

from crydistill import atomic
from crydistill.audio.files import read_audio
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.corpora.catalogue import corpora_with, find_origin
from crydistill.corpora.public_names import Origin, Recording, read_recordings, write_recordings
from crydistill.corpora.ytdlp import find_ffmpeg
from crydistill.errors import AudioError, CorpusError, MissingExtraError
from crydistill.lock import exclusive
from crydistill.progress import Progress, silent

DURATION_TOLERANCE = 0.1
"""Seconds: decoders differ about a codec's delay and padding."""

LONGEST_SECONDS = 120.0
"""Of a longer public file a recording is the beginning."""

_FORMATS = MappingProxyType(
    {".opus": ("OGG", "OPUS"), ".flac": ("FLAC", "PCM_16"), ".wav": ("WAV", "PCM_16")}
)

_FFMPEG_SECONDS = 60.0
"""Time after which a decoder that does not end is given up."""


@dataclass(frozen=True)
class Missing:
    """A recording that could not be rebuilt.

    corpus : the catalogue's name of what has the file; empty if nothing has
    reason : what was not found, or is not as the manifest says
    """

    recording: Recording
    corpus: str
    reason: str

    def __str__(self) -> str:
        return f"{self.recording.path}: {self.reason}"


@dataclass(frozen=True)
class Rebuilt:
    """What a run came to: recordings made, those that were there before, and the missing ones."""

    made: int
    kept: int
    missing: tuple[Missing, ...]


def rebuild(
    manifest: str | Path,
    folder: str | Path,
    cache_dir: str | Path,
    *,
    copies: Sequence[Path] = (),
    progress: Progress = silent,
) -> Rebuilt:
    """Make the recordings of a manifest, as far as their public files are here.

    Parameters
    ----------
    cache_dir : where `crydistill fetch` puts corpora
    copies : folders laid out as a public repository is, or holding some by name

    Raises
    ------
    CorpusError
        if the manifest, or the folder's own clips.csv, is malformed, or the folder cannot be
        written.
    BusyError
        if another process is rebuilding into the same folder.
    """
    recordings = read_recordings(manifest)
    _check_formats(recordings, manifest)
    folder = Path(folder)
    with exclusive(folder / ".lock"):
        table = folder / "clips.csv"
        here = {row.path: row for row in (read_recordings(table) if table.is_file() else ())}
        kept, missing = 0, []
        with progress("rebuild", len(recordings), "recordings") as advance:
            for recording in recordings:
                if _is_there(folder / recording.path, recording):
                    kept += 1
                elif lack := _made(recording, folder, copies, cache_dir):
                    missing.append(lack)
                advance(1)
        lacking = {lack.recording.path for lack in missing}
        here |= {row.path: row for row in recordings}
        rows = [row for path, row in here.items() if path not in lacking]
        if rows or table.is_file():
            write_recordings(table, rows)
    return Rebuilt(len(recordings) - kept - len(missing), kept, tuple(missing))


def _check_formats(recordings: Sequence[Recording], manifest: str | Path) -> None:
    for recording in recordings:
        if Path(recording.path).suffix not in _FORMATS:
            raise CorpusError(
                f"{manifest}: {recording.path} does not end in one of {', '.join(_FORMATS)}"
            )


def _is_there(path: Path, recording: Recording) -> bool:
    if not path.is_file():
        return False
    try:
        seconds: float = soundfile.info(path).duration
    except soundfile.LibsndfileError:
        return False
    return abs(seconds - recording.duration_s) <= DURATION_TOLERANCE


def _made(
    recording: Recording, folder: Path, copies: Sequence[Path], cache_dir: str | Path
) -> Missing | None:
    """Make a recording from the first copy of its public file that fits, or say why not."""
    reason = ""
    for copy in _found(Origin.parse(recording.origin), copies, cache_dir):
        try:
            samples = _fitting(copy, recording)
        except AudioError as error:
            reason = str(error)
        else:
            _write(folder / recording.path, samples)
            return None
    corpus = next(iter(corpora_with(recording.origin)), "")
    where = f"run `crydistill fetch {corpus}`" if corpus else "the catalogue has no such repository"
    return Missing(recording, corpus, reason or f"{recording.origin} is not here; {where}")


def _found(origin: Origin, copies: Sequence[Path], cache_dir: str | Path) -> Iterator[Path]:
    for folder in copies:
        for root in (folder, folder / origin.repository, folder / origin.owner / origin.repository):
            if (root / origin.path).is_file():
                yield root / origin.path
    yield from find_origin(str(origin), cache_dir)


def _fitting(path: Path, recording: Recording) -> Samples:
    """Decode a public file and check that it is the one the manifest means."""
    samples, rate = _decoded(path)
    if recording.duration_s >= LONGEST_SECONDS - DURATION_TOLERANCE:
        samples = samples[: round(LONGEST_SECONDS * SAMPLE_RATE)]
    seconds = len(samples) / SAMPLE_RATE
    if abs(seconds - recording.duration_s) > DURATION_TOLERANCE:
        raise AudioError(
            f"{path}: {seconds:.2f} s instead of {recording.duration_s:.2f} s, another version"
        )
    # Rates from 16 kHz up leave no trace in audio at 16 kHz; 8 kHz leaves an empty upper half.
    if min(rate, SAMPLE_RATE) != min(recording.native_rate_hz, SAMPLE_RATE):
        raise AudioError(
            f"{path}: {rate} Hz instead of {recording.native_rate_hz} Hz, another version"
        )
    return samples


def _decoded(path: Path) -> tuple[Samples, int]:
    """Samples at 16 kHz mono without padding, and the rate they had."""
    try:
        rate = soundfile.info(path).samplerate
    except soundfile.LibsndfileError:
        return _decoded_by_ffmpeg(path)
    return _unpadded(path), rate


def _unpadded(path: Path) -> Samples:
    audio = read_audio(path)
    return audio.samples[: round(audio.duration * SAMPLE_RATE)]


def _decoded_by_ffmpeg(path: Path) -> tuple[Samples, int]:
    """As `_decoded`, for what soundfile does not know: telephones' 3gp, some caf."""
    try:
        ffmpeg = find_ffmpeg()
    except MissingExtraError as error:
        raise AudioError(f"{path}: needs ffmpeg to be decoded; {error}") from error
    with TemporaryDirectory(prefix="crydistill-") as folder:
        wav = Path(folder) / "audio.wav"
        command: list[str | Path] = [
            ffmpeg,
            "-nostdin",
            "-v",
            "error",
            "-i",
            path,
            "-vn",
            "-c:a",
            "pcm_s16le",
            wav,
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=_FFMPEG_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AudioError(f"{path}: ffmpeg did not decode it ({error})") from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
            raise AudioError(f"{path}: cannot be decoded ({said[-1]}); fetch it again")
        return _unpadded(wav), soundfile.info(wav).samplerate


def _write(path: Path, samples: Samples) -> None:
    form, subtype = _FORMATS[path.suffix]
    try:
        with atomic.replacing(path) as temporary:
            soundfile.write(temporary, samples, SAMPLE_RATE, format=form, subtype=subtype)
    except (OSError, soundfile.LibsndfileError) as error:
        raise CorpusError(f"{path}: cannot be written ({error})") from error
