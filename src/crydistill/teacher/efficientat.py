"""EfficientAT (`mn04` and other widths): a teacher that hears the last seconds, not one window.

Its 527 classes are AudioSet's, in AudioSet's own order (YAMNet has 521 of them in another order).
Scores are causal: those of window k are of the last seconds up to where the window ends.

The log-mel frames of a stream are computed once and shared by all contexts. So a context begins
with what came before it, where the authors' front end would reflect its first 12.5 ms.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from scipy.special import expit

from crydistill.audio.mel import FRAMES_PER_SECOND, SAMPLE_RATE, Samples, frame_count
from crydistill.audio.windows import (
    WINDOW_FRAMES,
    WINDOW_HOP_FRAMES,
    WINDOW_HOP_SAMPLES,
    WINDOW_SAMPLES,
    window_count,
)
from crydistill.download import sha256_of
from crydistill.errors import TeacherError
from crydistill.teacher.base import Recording
from crydistill.teacher.fetch import EFFICIENTAT_MN04
from crydistill.teacher.mn_mel import MN_FRONT_END_VERSION, MN_MEL_BANDS, MnLogMel, MnMelStream
from crydistill.teacher.mn_network import build_mn
from crydistill.teacher.scores import Kind
from crydistill.teacher.torch_file import read_tensors

BABY_CRY = 23
"""AudioSet's "Baby cry, infant cry"; alone it finds cries better than with 22."""

CRYING = 22
"""AudioSet's "Crying, sobbing"."""

AUDIOSET_CLASSES = 527
WINDOWS_PER_SCORE = 2
"""A score every two windows, 0.96 s; the window in between has the score of the one before it."""

_OTHER_NETWORK = "not a network of EfficientAT's family mn01 to mn40"
_PATCHES_PER_CALL = 16
_BLOCK_SECONDS = 240
_WIDTH_1_CHANNELS = 1280

MnLogits = npt.NDArray[np.float32]


class EfficientAT:
    """A network of the family `mn01` to `mn40`.

    name : "efficientat mn04" and the like, by the width of the file's tensors; marked as unpinned
        unless the file is one that `crydistill teacher fetch` verifies
    fingerprint : sha256 of the weights file
    """

    def __init__(self, path: str | Path) -> None:
        """Load the authors' checkpoint without executing anything in it.

        Raises
        ------
        TeacherError
            if the file is missing, damaged, not of this family, or of a variant with another input.
        """
        path = Path(path)
        if re.search(r"_(hop|mels|im)(_|$)", path.stem):
            raise TeacherError(
                f"{path}: a variant with another input or without AudioSet's classes; use one "
                "named mnNN_as, such as mn04_as_mAP_432.pt"
            )
        tensors = read_tensors(path)
        try:
            self._model = build_mn(tensors)
        except KeyError as error:
            raise TeacherError(f"{path}: has no tensor {error}; {_OTHER_NETWORK}") from error
        except (ValueError, IndexError) as error:
            raise TeacherError(f"{path}: tensors of other shapes; {_OTHER_NETWORK}") from error
        if self._model.output_shape[-1] != AUDIOSET_CLASSES:
            raise TeacherError(f"{path}: {self._model.output_shape[-1]} classes; {_OTHER_NETWORK}")
        # On a CPU, XLA is many times slower than a plain graph for depthwise convolutions.
        plain = keras.backend.backend() == "tensorflow"
        self._model.compile(jit_compile=False if plain else "auto")
        self.fingerprint = sha256_of(path)
        width = tensors["classifier.2.bias"].size / _WIDTH_1_CHANNELS
        unpinned = "" if self.fingerprint == EFFICIENTAT_MN04.sha256 else " (unpinned)"
        self.name = f"efficientat mn{round(10 * width):02d}{unpinned}"

    def logits(self, patches: Sequence[MnLogMel]) -> MnLogits:
        """Logits `[n, 527]` of log-mel patches `[frames, 128]`, each of any length."""
        rows = np.empty((len(patches), AUDIOSET_CLASSES), dtype=np.float32)
        for batch in _batches([len(patch) for patch in patches]):
            rows[batch] = self._model.predict_on_batch(np.stack([patches[i] for i in batch]))
        return rows

    def causal_logits(
        self,
        samples: Samples,
        contexts: Sequence[float] = (5.0,),
        classes: Sequence[int] = (BABY_CRY,),
    ) -> MnLogits:
        """Logits of each window of a recording over the last seconds up to the window's end.

        Parameters
        ----------
        samples : np.ndarray [shape=(n,)], float32, 16 kHz mono in [-1, 1]
        contexts : seconds to hear at once, each from 1
        classes : indices among AudioSet's 527

        Returns
        -------
        np.ndarray [shape=(windows, contexts, classes)], float32; see `CausalEfficientAT`.
        """
        stream = CausalEfficientAT(self, contexts, classes)
        step = _BLOCK_SECONDS * SAMPLE_RATE
        parts = [
            stream.push(samples[at : at + step]) for at in range(0, max(1, len(samples)), step)
        ]
        return np.concatenate(parts)


class CausalEfficientAT:
    """Scores of a stream of audio that arrives in chunks of any size.

    Window k of the grid (`crydistill.audio.windows`) has the logits of the audio from its end back
    to `context` seconds before, or to the stream's start if that is nearer. Only every second
    window is computed; an odd window repeats the one before it. The scores do not depend on the
    chunks, up to rounding. After a gap in the audio, start a new one.
    """

    def __init__(
        self,
        network: EfficientAT,
        contexts: Sequence[float] = (5.0,),
        classes: Sequence[int] = (BABY_CRY,),
    ) -> None:
        """Start a stream.

        Raises
        ------
        ValueError
            if a context is shorter than a window or a class is not among AudioSet's 527.
        """
        self._contexts = [round(seconds * FRAMES_PER_SECOND) for seconds in contexts]
        if min(self._contexts) < WINDOW_FRAMES:
            raise ValueError(f"contexts {list(contexts)}: a context is at least 0.96 seconds")
        if not 0 <= min(classes) <= max(classes) < AUDIOSET_CLASSES:
            raise ValueError(f"classes {list(classes)}: a class is 0 to {AUDIOSET_CLASSES - 1}")
        self._network = network
        self._classes = list(classes)
        self._mel = MnMelStream()
        self._frames = np.empty((0, MN_MEL_BANDS), dtype=np.float32)
        self._first_frame = 0
        self._samples = 0
        self._windows = 0
        self._owed = np.empty((0, len(self._contexts), len(self._classes)), dtype=np.float32)

    def push(self, samples: Samples) -> MnLogits:
        """Add 16 kHz samples; logits of the windows they complete, `[k, contexts, classes]`."""
        (rows,) = _push_together(self._network, [self], [samples])
        return rows

    def _take(self, samples: Samples) -> "_Due":
        """Add samples; the windows they complete, and what the network has to hear for them."""
        self._frames = np.concatenate([self._frames, self._mel.push(samples)])
        self._samples += len(samples)
        windows = np.arange(self._windows, window_count(frame_count(self._samples)))
        self._windows += len(windows)
        computed = windows[windows % WINDOWS_PER_SCORE == 0]
        ends = computed * WINDOW_HOP_FRAMES + WINDOW_FRAMES
        lengths = np.minimum(ends[:, None], self._contexts)
        spans = np.stack([ends[:, None] - lengths, lengths], axis=-1)
        # At a stream's start, contexts of several lengths are the same audio.
        unique, where = np.unique(spans.reshape(-1, 2), axis=0, return_inverse=True)
        starts = unique[:, 0] - self._first_frame
        patches = [self._frames[at : at + n] for at, n in zip(starts, unique[:, 1], strict=True)]
        self._forget()
        return _Due(len(windows), patches, where)

    def _give(self, due: "_Due", logits: MnLogits) -> MnLogits:
        """Logits of all windows that are due, from those of the patches, `[patches, 527]`."""
        shape = (-1, len(self._contexts), len(self._classes))
        rows = logits[:, self._classes][due.where].reshape(shape)
        rows = np.concatenate([self._owed, np.repeat(rows, WINDOWS_PER_SCORE, axis=0)])
        self._owed = rows[due.windows :]
        return rows[: due.windows]

    def _forget(self) -> None:
        """Drop the frames that no later window hears."""
        window = -(-self._windows // WINDOWS_PER_SCORE) * WINDOWS_PER_SCORE
        needed = window * WINDOW_HOP_FRAMES + WINDOW_FRAMES - max(self._contexts)
        drop = max(0, needed - self._first_frame)
        self._frames = self._frames[drop:].copy()
        self._first_frame += drop


class CausalTeacher:
    """EfficientAT as a teacher of memory: scores of the last seconds of a corpus's recordings.

    `crydistill.teacher.scoring.score_corpus` writes them to a store of the teacher's `kind`.

    name, fingerprint : those of the network
    kind : what its stores hold: rows `[contexts, classes]`
    """

    def __init__(
        self, network: EfficientAT, contexts: Sequence[float], classes: Sequence[int]
    ) -> None:
        self.name, self.fingerprint = network.name, network.fingerprint
        self.kind = causal_kind(contexts, classes)
        self._network, self._contexts, self._classes = network, contexts, classes

    def logits(self, recordings: Sequence[Recording]) -> list[MnLogits]:
        """Logits `[windows, contexts, classes]` of each recording; see `CausalEfficientAT`."""
        streams = [
            CausalEfficientAT(self._network, self._contexts, self._classes) for _ in recordings
        ]
        return _push_together(self._network, streams, [each.samples for each in recordings])


def causal_kind(contexts: Sequence[float], classes: Sequence[int]) -> Kind:
    """Kind of store that holds EfficientAT's causal scores over these contexts."""
    about = {
        "contexts": [float(seconds) for seconds in contexts],
        "classes": list(classes),
        "windows_per_score": WINDOWS_PER_SCORE,
    }
    return Kind(MN_FRONT_END_VERSION, (len(contexts), len(classes)), about=about)


def hear_cries(network: EfficientAT) -> Callable[[Recording], MnLogits]:
    """Start to hear a stream in pieces, each of which begins where the next window does.

    Returns
    -------
    a function from the next piece, which repeats half a window of the one before, to the cry scores
    of its windows, `[windows]`: the probability of "Baby cry, infant cry" over the last 5 s.
    """
    stream = CausalEfficientAT(network)
    heard = 0

    def hear(piece: Recording) -> MnLogits:
        nonlocal heard
        scores = expit(stream.push(piece.samples[heard:])[:, 0, 0])
        heard = WINDOW_SAMPLES - WINDOW_HOP_SAMPLES
        return np.asarray(scores, dtype=np.float32)

    return hear


@dataclass(frozen=True)
class _Due:
    """Windows that a push completed, distinct patches to score, and which each score is of."""

    windows: int
    patches: list[MnLogMel]
    where: npt.NDArray[np.int64]


def _push_together(
    network: EfficientAT, streams: Sequence[CausalEfficientAT], sounds: Sequence[Samples]
) -> list[MnLogits]:
    """Push samples to each stream, with the patches of all of them in common batches."""
    dues = [stream._take(samples) for stream, samples in zip(streams, sounds, strict=True)]
    ends = np.cumsum([len(due.patches) for due in dues])
    logits = np.split(network.logits(list(chain.from_iterable(due.patches for due in dues))), ends)
    return [
        stream._give(due, rows)
        for stream, due, rows in zip(streams, dues, logits[: len(dues)], strict=True)
    ]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield indices of at most 16 patches of equal length."""
    of_length: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        of_length.setdefault(length, []).append(index)
    for indices in of_length.values():
        for start in range(0, len(indices), _PATCHES_PER_CALL):
            yield indices[start : start + _PATCHES_PER_CALL]
