"""Download, verify and unpack public corpora, and list their clips.

Layout below the cache directory:

    corpora/NAME/archives/FILE          as downloaded
    corpora/NAME/archives/hashes.json   sha256 of each FILE at its first download
    corpora/NAME/data/                  unpacked files
    corpora/NAME/installed.json         written last: clips, minutes; marks the corpus as installed

Published checksums are verified where available. The sha256 of the first download is always
recorded, and later downloads must match it.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import soundfile

from crydistill import atomic
from crydistill.audio.files import recording_seconds
from crydistill.corpora.archives import unpack_archive
from crydistill.corpora.clip import Clip
from crydistill.corpora.public import CATALOGUE, Archive, PublicCorpus
from crydistill.download import DEFAULT_RETRIES, DownloadError, RetryPolicy, download, sha256_of
from crydistill.errors import AudioError, CorpusError
from crydistill.json_file import parse_json
from crydistill.lock import exclusive
from crydistill.progress import Progress, silent


@dataclass(frozen=True)
class Installed:
    """An installed corpus, as shown by `crydistill corpora`.

    clips, cries : number of recordings (or impulse responses), and of those labelled cry
    minutes : total duration
    unreadable : files whose header could not be read, not included in the other numbers
    """

    name: str
    licence: str
    clips: int
    cries: int
    minutes: float
    unreadable: int


def corpus_folder(cache_dir: str | Path, name: str) -> Path:
    """Return the folder of a corpus below the cache directory."""
    return Path(cache_dir) / "corpora" / name


def find_corpus(name: str) -> PublicCorpus:
    """Look up a corpus in the catalogue, ignoring case.

    Raises
    ------
    CorpusError
        if there is none of that name; lists the known names.
    """
    try:
        return CATALOGUE[name.lower()]
    except KeyError:
        raise CorpusError(
            f"{name}: not in the catalogue; choose one of {', '.join(CATALOGUE)}"
        ) from None


def fetch_corpus(
    name: str,
    cache_dir: str | Path,
    *,
    progress: Progress = silent,
    retries: RetryPolicy = DEFAULT_RETRIES,
) -> Installed:
    """Download, verify and unpack a corpus, unless it is installed; resumable after a kill.

    Raises
    ------
    CorpusError
        if there is no such corpus, the disk is too small, or an archive cannot be unpacked.
    DownloadError
        if a file cannot be downloaded or does not match its published or recorded hash.
    BusyError
        if another process is fetching it.
    """
    corpus = find_corpus(name)
    folder = corpus_folder(cache_dir, corpus.name)
    with exclusive(folder / ".lock"):
        found = _read_installed(folder)
        if found is not None:
            return found
        _check_disk(corpus, folder)
        for archive in (archive for group in corpus.archives for archive in group):
            _fetch_archive(archive, folder / "archives", progress, retries)
        _unpack_all(corpus, folder, progress)
        found = _measure(corpus, folder / "data", progress)
        atomic.write_text(_marker(folder), json.dumps(dataclasses.asdict(found), indent=1))
        return found


def corpus_clips(name: str, cache_dir: str | Path) -> list[Clip]:
    """List the recordings of an installed corpus.

    Raises
    ------
    CorpusError
        if it is not installed, has no recordings, or a metadata row is malformed.
    """
    corpus, data = _installed_data(name, cache_dir)
    if corpus.listing is None:
        raise CorpusError(f"{name}: contains room impulse responses, no recordings to train on")
    return list(corpus.listing(data))


def corpora_with(origin: str) -> list[str]:
    """Names of the corpora that contain the file `OWNER/REPOSITORY/PATH`, the original first."""
    return [name for name, _ in _patterns(origin)]


def find_origin(origin: str, cache_dir: str | Path) -> list[Path]:
    """Find copies of the file `OWNER/REPOSITORY/PATH` in the installed corpora."""
    found: list[Path] = []
    for name, pattern in _patterns(origin):
        folder = corpus_folder(cache_dir, name)
        if _marker(folder).is_file():
            found += _glob_all(folder / "data", [pattern])
    return found


def _patterns(origin: str) -> list[tuple[str, str]]:
    """Names of the corpora that contain a file, each with its glob pattern below `data/`."""
    return [
        (corpus.name, pattern)
        for corpus in CATALOGUE.values()
        for place in corpus.places
        if (pattern := place.pattern(origin))
    ]


def installed(cache_dir: str | Path) -> list[Installed]:
    """List the installed corpora, in the catalogue's order."""
    rows = (_read_installed(corpus_folder(cache_dir, name)) for name in CATALOGUE)
    return [row for row in rows if row is not None]


def _installed_data(name: str, cache_dir: str | Path) -> tuple[PublicCorpus, Path]:
    corpus = find_corpus(name)
    folder = corpus_folder(cache_dir, corpus.name)
    if not _marker(folder).is_file():
        raise CorpusError(f"{corpus.name}: not installed; run `crydistill fetch {corpus.name}`")
    return corpus, folder / "data"


def _marker(folder: Path) -> Path:
    return folder / "installed.json"


def _read_installed(folder: Path) -> Installed | None:
    path = _marker(folder)
    if not path.is_file():
        return None
    try:
        return Installed(**parse_json(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CorpusError(f"{path}: damaged; delete it and fetch the corpus again") from error


def _check_disk(corpus: PublicCorpus, folder: Path) -> None:
    """Check the free disk space: twice the archives' size, packed and unpacked."""
    here = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed = 2 * corpus.about_bytes - here
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CorpusError(
            f"{folder}: {corpus.name} needs about {needed / 1e9:.1f} GB more, {free / 1e9:.1f} GB "
            "are free; set CRYDISTILL_CACHE to a folder on a larger disk"
        )


def _fetch_archive(
    archive: Archive, folder: Path, progress: Progress, retries: RetryPolicy
) -> None:
    path, record = folder / archive.file_name, folder / "hashes.json"
    hashes = _read_hashes(record)
    known = hashes.get(archive.file_name)
    try:
        download(
            archive.url,
            path,
            size=archive.size,
            sha256=known,
            progress=progress,
            retries=retries,
        )
    except DownloadError as error:
        hint = f"; delete {record} to accept a new version" if known else ""
        raise DownloadError(f"{error}{hint}") from error
    if known is None:
        _check_published(archive, path)
        atomic.write_text(
            record, json.dumps({**hashes, archive.file_name: sha256_of(path)}, indent=1)
        )


def _read_hashes(record: Path) -> dict[str, str]:
    if not record.is_file():
        return {}
    try:
        return dict(parse_json(record.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CorpusError(f"{record}: damaged; delete it to record new hashes") from error


def _check_published(archive: Archive, path: Path) -> None:
    if archive.md5 is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != archive.md5:
        path.unlink()
        raise DownloadError(
            f"{archive.url}: md5 is {found} instead of {archive.md5}; the file was deleted, try "
            "again"
        )


def _unpack_all(corpus: PublicCorpus, folder: Path, progress: Progress) -> None:
    unfinished, data = folder / "data.unfinished", folder / "data"
    for leftover in (unfinished, data):
        shutil.rmtree(leftover, ignore_errors=True)
    for group in corpus.archives:
        unpack_archive(
            [folder / "archives" / archive.file_name for archive in group],
            unfinished,
            wanted=lambda path: any(path.match(pattern) for pattern in corpus.files),
            progress=progress,
        )
    unfinished.mkdir(exist_ok=True)
    unfinished.rename(data)


def _measure(corpus: PublicCorpus, data: Path, progress: Progress) -> Installed:
    """Count clips and sum durations from the files' headers."""
    if corpus.listing is not None:
        clips = [(clip.path, clip.is_cry) for clip in corpus.listing(data)]
    else:
        clips = [(path, False) for path in _glob_all(data, corpus.impulses)]
    if not clips:
        raise CorpusError(f"{data}: no clips of {corpus.name} in its archives; they have changed")
    seconds, cries, unreadable = 0.0, 0, 0
    with progress(f"measure {corpus.name}", len(clips), "clips") as advance:
        for path, is_cry in clips:
            advance(1)
            try:
                seconds += _seconds(path)
                cries += is_cry
            except AudioError:
                unreadable += 1
    return Installed(
        corpus.name, corpus.licence, len(clips) - unreadable, cries, seconds / 60, unreadable
    )


def _seconds(path: Path) -> float:
    try:
        return float(soundfile.info(path).duration)
    except soundfile.LibsndfileError:
        return recording_seconds(path)


def _glob_all(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern))
