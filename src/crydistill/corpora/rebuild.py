"""Rebuild a folder of audio from a public manifest and local copies of the public files.

Layout of a rebuilt folder:

    PATH        16 kHz mono, in the format of its suffix; written atomically after verification
    clips.csv   written last: the rows whose audio exists, those of several manifests combined

A file is searched in the folders given by the user, then in the corpora installed by
`crydistill fetch NAME`. A copy matches if its duration and native rate are those of the manifest.
Existing files are kept, so the command is resumable.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import soundfile

from crydistill.audio.encoding import write_sound
from crydistill.audio.files import AudioReader
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.corpora.catalogue import corpora_with, find_origin
from crydistill.corpora.public_names import (
    Origin,
    PublicRecording,
    read_recordings,
    write_recordings,
)
from crydistill.errors import AudioError, CorpusError
from crydistill.lock import exclusive
from crydistill.progress import Progress, silent

DURATION_TOLERANCE = 0.1
"""Seconds: decoders differ in codec delay and padding."""

BEGINNINGS_SECONDS = (30.0, 120.0)
"""A recording that lasts exactly so long is the beginning of a public file that may be longer."""

_FORMATS = MappingProxyType(
    {".opus": ("OGG", "OPUS"), ".flac": ("FLAC", "PCM_16"), ".wav": ("WAV", "PCM_16")}
)


@dataclass(frozen=True)
class Missing:
    """A recording that could not be rebuilt.

    corpus : name of the catalogue's corpus that contains the file; empty if there is none
    reason : what was not found, or does not match the manifest
    """

    recording: PublicRecording
    corpus: str
    reason: str

    def __str__(self) -> str:
        return f"{self.recording.path}: {self.reason}"


@dataclass(frozen=True)
class Rebuilt:
    """Result of a run: number of recordings made and kept, and the missing ones."""

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
    """Make the recordings of a manifest whose public files are available locally.

    Parameters
    ----------
    cache_dir : cache directory of `crydistill fetch`
    copies : checkouts of public repositories, or folders that contain some by name

    Raises
    ------
    CorpusError
        if the manifest or the folder's own clips.csv is malformed, or the folder cannot be written.
    BusyError
        if another process is rebuilding into the same folder.
    """
    recordings = read_recordings(manifest)
    _check_formats(recordings, manifest)
    folder = Path(folder)
    with exclusive(folder / ".lock"):
        table = folder / "clips.csv"
        rows_by_path = {
            row.path: row for row in (read_recordings(table) if table.is_file() else ())
        }
        kept, missing = 0, []
        with progress("rebuild", len(recordings), "recordings") as advance:
            for recording in recordings:
                if _exists(folder / recording.path, recording):
                    kept += 1
                elif failure := _rebuild_one(recording, folder, copies, cache_dir):
                    missing.append(failure)
                advance(1)
        failed = {failure.recording.path for failure in missing}
        rows_by_path |= {row.path: row for row in recordings}
        rows = [row for path, row in rows_by_path.items() if path not in failed]
        if rows or table.is_file():
            write_recordings(table, rows)
    return Rebuilt(len(recordings) - kept - len(missing), kept, tuple(missing))


def _check_formats(recordings: Sequence[PublicRecording], manifest: str | Path) -> None:
    for recording in recordings:
        if Path(recording.path).suffix not in _FORMATS:
            raise CorpusError(
                f"{manifest}: {recording.path} does not end in one of {', '.join(_FORMATS)}"
            )


def _exists(path: Path, recording: PublicRecording) -> bool:
    if not path.is_file():
        return False
    try:
        seconds: float = soundfile.info(path).duration
    except soundfile.LibsndfileError:
        return False
    return abs(seconds - recording.duration_s) <= DURATION_TOLERANCE


def _rebuild_one(
    recording: PublicRecording, folder: Path, copies: Sequence[Path], cache_dir: str | Path
) -> Missing | None:
    """Make a recording from the first matching copy of its public file, or return why not."""
    reason = ""
    for copy in _candidates(Origin.parse(recording.origin), copies, cache_dir):
        try:
            samples = _decode_matching(copy, recording)
        except AudioError as error:
            reason = str(error)
        else:
            _write(folder / recording.path, samples)
            return None
    corpus = next(iter(corpora_with(Origin.parse(recording.origin).name)), "")
    where = f"run `crydistill fetch {corpus}`" if corpus else "the catalogue has no such repository"
    return Missing(recording, corpus, reason or f"{recording.origin} not found; {where}")


def _candidates(origin: Origin, copies: Sequence[Path], cache_dir: str | Path) -> Iterator[Path]:
    for folder in copies:
        for root in (folder, folder / origin.repository, folder / origin.owner / origin.repository):
            if (root / origin.path).is_file():
                yield root / origin.path
    yield from find_origin(origin.name, cache_dir)


def _decode_matching(path: Path, recording: PublicRecording) -> Samples:
    """Decode a public file and check that it matches the manifest."""
    samples, rate = _decoded(path)
    if recording.duration_s in BEGINNINGS_SECONDS:
        samples = samples[: round(recording.duration_s * SAMPLE_RATE)]
    seconds = len(samples) / SAMPLE_RATE
    if abs(seconds - recording.duration_s) > DURATION_TOLERANCE:
        raise AudioError(
            f"{path}: {seconds:.2f} s instead of {recording.duration_s:.2f} s, another version"
        )
    # Native rates from 16 kHz up are equivalent at 16 kHz; 8 kHz leaves the upper half band empty.
    if min(rate, SAMPLE_RATE) != min(recording.native_rate_hz, SAMPLE_RATE):
        raise AudioError(
            f"{path}: {rate} Hz instead of {recording.native_rate_hz} Hz, another version"
        )
    return samples


def _decoded(path: Path) -> tuple[Samples, int]:
    """Decode to 16 kHz mono without padding; return the samples and the native rate."""
    reader = AudioReader(path)
    samples = np.concatenate(list(reader.blocks()))
    return samples[: reader.samples], reader.native_rate


def _write(path: Path, samples: Samples) -> None:
    form, subtype = _FORMATS[path.suffix]
    try:
        write_sound(path, samples, form=form, subtype=subtype)
    except OSError as error:
        raise CorpusError(f"{path}: cannot be written ({error.strerror})") from error
