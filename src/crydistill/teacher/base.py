"""What every teacher is: a network that gives a recording's windows 521 logits each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import LogMel, Samples
from crydistill.errors import MissingExtraError, TeacherError

Logits = npt.NDArray[np.float32]
"""A recording's teacher scores before the sigmoid, shape `[windows, 521]`."""

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_TFLITE_MAGIC = b"TFL3"


@dataclass(frozen=True)
class Recording:
    """A clip's audio as teachers take it.

    clip_id : the clip it is
    samples : float32 [n], 16 kHz mono, at least one window long
    frames : float32 [f, 64], the log-mel frames of exactly these samples
    """

    clip_id: str
    samples: Samples
    frames: LogMel


class Teacher(Protocol):
    """A source of soft targets.

    name : the network, for people ("yamnet", "yamnet (rebuilt)", a file name)
    fingerprint : sha256 of the weights file; scores of two fingerprints are never mixed
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def logits(self, recordings: Sequence[Recording]) -> list[Logits]:
        """Logits of every window of each recording, `[windows, 521]`, in the given order."""
        ...


def load_teacher(path: str | Path) -> Teacher:
    """Open a teacher file, whatever it is called: YAMNet's HDF5 weights or a `.tflite`.

    Raises
    ------
    TeacherError
        if there is no such file, or it is neither.
    MissingExtraError
        if it is HDF5 weights and TensorFlow is not installed.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise TeacherError(
            f"{path}: cannot be read ({error.strerror}); run `crydistill teacher fetch` or name a "
            "local file"
        ) from error
    if head == _HDF5_MAGIC:
        return _load_network(path)
    if head[4:] == _TFLITE_MAGIC:
        from crydistill.teacher.tflite import TfliteTeacher

        return TfliteTeacher(path)
    raise TeacherError(
        f"{path}: neither HDF5 weights (yamnet.h5) nor a .tflite model; run `crydistill teacher "
        "fetch` for the official weights"
    )


def _load_network(path: Path) -> Teacher:
    try:
        from crydistill.teacher.network import KerasYamnet
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{path}: the FP32 teacher needs {error.name}: pip install 'crydistill[train]'"
        ) from error
    return KerasYamnet(path)
