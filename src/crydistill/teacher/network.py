"""The FP32 YAMNet as a teacher, with windows of many recordings batched together."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import keras
import numpy as np

from crydistill.audio.mel import LogMel
from crydistill.audio.windows import windows
from crydistill.download import sha256_of
from crydistill.taxonomy import CLASSES
from crydistill.teacher.base import Logits, Recording
from crydistill.teacher.fetch import YAMNET
from crydistill.teacher.yamnet import load_yamnet

WINDOWS_PER_CALL = 64
"""Batch size; larger batches are no faster on two cores."""

_REBUILT_SHA256 = "186a869498d2d9fb2d38ea7bb0f3706373a56a37cac04b2d715d9015412a1c1b"
"""A reconstruction used if the official file is unavailable; its scores correlate > 0.9995."""

_NAMES = {YAMNET.sha256: "yamnet", _REBUILT_SHA256: "yamnet (rebuilt)"}


class KerasYamnet:
    """The FP32 ReLU network with weights from an HDF5 file."""

    def __init__(self, path: str | Path) -> None:
        """Load the weights.

        Raises
        ------
        TeacherError
            as `crydistill.teacher.yamnet.load_yamnet`.
        """
        self._model = load_yamnet(path)
        # On a CPU, XLA is many times slower than a plain graph for depthwise convolutions.
        plain = keras.backend.backend() == "tensorflow"
        self._model.compile(jit_compile=False if plain else "auto")
        self.fingerprint = sha256_of(path)
        self.name = _NAMES.get(self.fingerprint, "yamnet (unofficial)")

    def logits(self, recordings: Sequence[Recording]) -> list[Logits]:
        """Logits `[windows, 521]` of each recording."""
        views = [windows(recording.frames) for recording in recordings]
        ends = np.cumsum([len(view) for view in views])
        rows = [np.empty((0, CLASSES), dtype=np.float32)]
        rows.extend(self._model.predict_on_batch(batch) for batch in _batches(views))
        return np.split(np.concatenate(rows), ends[:-1]) if recordings else []


def _batches(views: Sequence[LogMel]) -> Iterator[LogMel]:
    """Yield `[at most 64, 96, 64]` batches over the windows of all recordings, in order."""
    left = chain.from_iterable(views)
    while batch := list(islice(left, WINDOWS_PER_CALL)):
        yield np.stack(batch)
