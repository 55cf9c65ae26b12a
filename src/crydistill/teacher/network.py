"""The FP32 YAMNet as a teacher, with windows of many recordings batched together."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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

_CALLS_AT_ONCE = 2
"""TensorFlow's threads wait for each other between the layers of a call; another call at the same
time uses what that leaves idle. Its scores are the same, bit for bit."""

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
        self._model.make_predict_function()  # here, as calls at the same time would each make one
        self._calls_at_once = _CALLS_AT_ONCE if plain else 1
        self.fingerprint = sha256_of(path)
        self.name = _NAMES.get(self.fingerprint, "yamnet (unofficial)")

    def logits(self, recordings: Sequence[Recording]) -> list[Logits]:
        """Logits `[windows, 521]` of each recording."""
        views = [windows(recording.frames) for recording in recordings]
        ends = np.cumsum([len(view) for view in views])
        rows = [np.empty((0, CLASSES), dtype=np.float32)]
        with ThreadPoolExecutor(self._calls_at_once) as pool:
            rows.extend(pool.map(self._predict, _batches(views)))
        return np.split(np.concatenate(rows), ends[:-1]) if recordings else []

    def _predict(self, batch: Sequence[LogMel]) -> Logits:
        return np.asarray(self._model.predict_on_batch(np.stack(batch)))


def _batches(views: Sequence[LogMel]) -> Iterator[list[LogMel]]:
    """Yield views `[96, 64]` of at most 64 windows, over those of all recordings, in order."""
    left = chain.from_iterable(views)
    while batch := list(islice(left, WINDOWS_PER_CALL)):
        yield batch
