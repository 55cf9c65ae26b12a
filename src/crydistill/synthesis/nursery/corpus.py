"""Write the synthetic nursery to disk as a corpus with a manifest.

    nursery.json                    version and seed; written first
    <split>/<category>/<id>.wav     16 kHz mono 16-bit PCM
    cries.csv                       path,start_s,end_s of every single cry
    clips.csv                       the manifest; written last, so it lists only existing files

Files are written atomically; a killed run resumes where it stopped.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from crydistill.atomic import write_text
from crydistill.audio.encoding import write_sound
from crydistill.audio.mel import SAMPLE_RATE
from crydistill.errors import CorpusError
from crydistill.progress import Progress, silent
from crydistill.synthesis.nursery.clips import NurseryClip, compose, render
from crydistill.synthesis.nursery.synthesis import sample_count

NURSERY_VERSION = 1
"""Incremented with every audible change, so that clips of two versions never mix."""

_WAV_HEADER_BYTES = 44
_CLIP_COLUMNS = (
    "path",
    "split",
    "label",
    "category",
    "group",
    "source",
    "duration_s",
    "native_rate_hz",
    "origin",
    "licence",
    "licence_class",
    "note",
)


def write_nursery(directory: str | Path, *, seed: int = 0, progress: Progress = silent) -> Path:
    """Write the nursery of a seed, skipping existing files, and return its manifest's path.

    Raises
    ------
    CorpusError
        if the directory contains the nursery of another seed or version, or other files.
    """
    directory = Path(directory)
    _claim(directory, seed)
    clips = compose(seed)
    with progress("nursery", len(clips), "clips") as advance:
        for clip in clips:
            path = directory / _clip_path(clip)
            if not _is_complete(path, clip):
                write_sound(path, render(clip))
            advance(1)
    cries = [(_clip_path(clip), *span) for clip in clips for span in clip.cries]
    _write_if_new(directory / "cries.csv", _csv(("path", "start_s", "end_s"), cries))
    manifest = directory / "clips.csv"
    _write_if_new(manifest, _csv(_CLIP_COLUMNS, map(_clip_row, clips)))
    return manifest


def _claim(directory: Path, seed: int) -> None:
    """Check that the directory is empty or holds this nursery; write `nursery.json`."""
    marker = directory / "nursery.json"
    text = json.dumps({"nursery_version": NURSERY_VERSION, "seed": seed}) + "\n"
    if marker.is_file():
        if marker.read_text(encoding="utf-8") != text:
            raise CorpusError(
                f"{marker}: another seed or version of the nursery; delete {directory} or choose "
                "another directory"
            )
    elif directory.is_dir() and any(not name.name.startswith(".") for name in directory.iterdir()):
        raise CorpusError(f"{directory}: contains other files; choose an empty directory")
    else:
        write_text(marker, text)


def _clip_path(clip: NurseryClip) -> str:
    return f"{clip.split}/{clip.category}/{clip.id}.wav"


def _is_complete(path: Path, clip: NurseryClip) -> bool:
    size = _WAV_HEADER_BYTES + 2 * sample_count(clip.duration)
    return path.is_file() and path.stat().st_size == size


def _clip_row(clip: NurseryClip) -> tuple[object, ...]:
    return (
        _clip_path(clip),
        clip.split,
        clip.label,
        clip.category,
        clip.group,
        "nursery",
        clip.duration,
        SAMPLE_RATE,
        f"crydistill nursery {NURSERY_VERSION}, seed {clip.seed}",
        "MIT",
        "open",
        f"over {clip.backdrop} at {clip.snr_db} dB",
    )


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _write_if_new(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
