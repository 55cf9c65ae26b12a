"""The official YAMNet weights: where they are, and that it is really they."""

from dataclasses import dataclass
from pathlib import Path

from crydistill.download import download
from crydistill.progress import Progress, silent


@dataclass(frozen=True)
class Pin:
    """A file on the web that must not change: its address, size in bytes and sha256."""

    url: str
    size: int
    sha256: str


YAMNET = Pin(
    url="https://storage.googleapis.com/audioset/yamnet.h5",
    size=15_296_092,
    sha256="13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744",
)
"""The FP32 ReLU network, as published with `tensorflow/models` and as TF-Hub google/yamnet/1."""


def teacher_path(cache_dir: str | Path) -> Path:
    """Where `fetch_teacher` puts the weights below a cache directory."""
    return Path(cache_dir) / "teacher" / "yamnet.h5"


def fetch_teacher(cache_dir: str | Path, *, progress: Progress = silent) -> Path:
    """Download the official YAMNet weights, unless they are there already; return their path.

    Raises
    ------
    DownloadError
        if they cannot be had, or what arrived is not the pinned file.
    """
    return download(
        YAMNET.url,
        teacher_path(cache_dir),
        size=YAMNET.size,
        sha256=YAMNET.sha256,
        progress=progress,
    )
