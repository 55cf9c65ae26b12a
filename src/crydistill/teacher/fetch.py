"""Download published teacher weights and verify their sha256."""

from dataclasses import dataclass
from pathlib import Path

from crydistill.download import download
from crydistill.errors import ConfigError
from crydistill.progress import Progress, silent


@dataclass(frozen=True)
class Pin:
    """A pinned download: URL, size in bytes and sha256.

    name : file name in the cache
    """

    url: str
    size: int
    sha256: str
    name: str


YAMNET = Pin(
    url="https://storage.googleapis.com/audioset/yamnet.h5",
    size=15_296_092,
    sha256="13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744",
    name="yamnet.h5",
)
"""The FP32 ReLU network, as published with `tensorflow/models` and as TF-Hub google/yamnet/1."""

YAMNET_RELU6 = Pin(
    url="https://storage.googleapis.com/download.tensorflow.org/models/tflite/task_library/"
    "audio_classification/android/lite-model_yamnet_classification_tflite_1.tflite",
    size=4_126_810,
    sha256="10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de",
    name="yamnet_relu6_int8.tflite",
)
"""The independently trained ReLU6 network with int8 weights, from TensorFlow's task library."""

EFFICIENTAT_MN04 = Pin(
    url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
    size=4_066_513,
    sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
    name="mn04_as_mAP_432.pt",
)
"""EfficientAT's network of width 0.4, trained on AudioSet: mean average precision .432."""

TEACHERS = {
    "yamnet": YAMNET,
    "yamnet-relu6": YAMNET_RELU6,
    "efficientat-mn04": EFFICIENTAT_MN04,
}
"""The names accepted by `crydistill teacher fetch`."""


def teacher_path(cache_dir: str | Path, pin: Pin = YAMNET) -> Path:
    """Return the path of a network downloaded by `fetch_teacher`."""
    return Path(cache_dir) / "teacher" / pin.name


def fetch_teacher(
    cache_dir: str | Path, name: str = "yamnet", *, progress: Progress = silent
) -> Path:
    """Download a published network, unless it is already there, and return its path.

    Raises
    ------
    ConfigError
        if the name is not one of `TEACHERS`.
    DownloadError
        if it cannot be downloaded or is not the pinned file.
    """
    if name not in TEACHERS:
        raise ConfigError(f"teacher '{name}' is not one of {', '.join(TEACHERS)}")
    pin = TEACHERS[name]
    return download(
        pin.url,
        teacher_path(cache_dir, pin),
        size=pin.size,
        sha256=pin.sha256,
        progress=progress,
    )
