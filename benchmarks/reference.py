"""The reference way of distilling, to compare with: librosa, a graph call a window, an eager loop.

Written from the description of the system that crydistill's reference student follows: librosa's
mel, YAMNet on each window, windows with a confident teacher, three negatives to a positive drawn
afresh each epoch, a DS-CNN trained on the KL divergence. Each step is the obvious one.

As a program it scores, selects and trains:

    python -m benchmarks.reference CLIPS.csv YAMNET.h5 LIBRARIES EPOCHS STUDENT.keras
"""

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import (
    FFT_LENGTH,
    FRAME_HOP,
    FRAME_LENGTH,
    LOG_OFFSET,
    SAMPLE_RATE,
    mel_matrix,
)
from crydistill.audio.windows import WINDOW_FRAMES, WINDOW_HOP_FRAMES, WINDOW_SAMPLES

Floats = npt.NDArray[np.float32]

POSITIVE_ABOVE, NEGATIVE_BELOW, NEGATIVES = 0.30, 0.05, 3
BATCH = 32
LEARNING_RATES = (1e-3, 1e-4)
"""Of the first and the second half of the epochs."""

_CRY_CLASSES = [19, 20]


def load(path: Path) -> Floats:
    """Samples of a recording at 16 kHz, at least one window."""
    import librosa

    samples, _ = librosa.load(path, sr=SAMPLE_RATE)
    return np.pad(samples, (0, max(0, WINDOW_SAMPLES - len(samples))))


def frames(samples: Floats) -> Floats:
    """YAMNet's log-mel frames `[n, 64]` by way of librosa."""
    import librosa

    # librosa puts a short window into the middle of the FFT, YAMNet at its start.
    margin = (FFT_LENGTH - FRAME_LENGTH) // 2
    spectrum = librosa.stft(
        np.pad(samples, (margin, margin)), n_fft=FFT_LENGTH, hop_length=FRAME_HOP,
        win_length=FRAME_LENGTH, window="hann", center=False,
    )  # fmt: skip
    bands = mel_matrix().T.astype(np.float32) @ np.abs(spectrum)
    return np.log(bands + np.float32(LOG_OFFSET)).T


def teacher_call(weights: Path) -> Callable[[Floats], Floats]:
    """YAMNet as a TensorFlow graph that is called for one window `[96, 64]`."""
    import tensorflow as tf

    from crydistill.teacher.yamnet import load_yamnet

    graph = tf.function(load_yamnet(weights), autograph=False)

    def call(patch: Floats) -> Floats:
        return np.asarray(graph(patch[None])[0])

    return call


def score(
    paths: Sequence[Path], teacher: Callable[[Floats], Floats]
) -> tuple[list[Floats], list[Floats]]:
    """Windows and their logits, of one recording after the other."""
    patches, logits = [], []
    for path in paths:
        mel = frames(load(path))
        for start in range(0, len(mel) - WINDOW_FRAMES + 1, WINDOW_HOP_FRAMES):
            patches.append(mel[start : start + WINDOW_FRAMES])
            logits.append(teacher(patches[-1]))
    return patches, logits


def select(logits: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Windows of which the teacher is sure that they are cries, or are none."""
    cry = (1 / (1 + np.exp(-logits[:, _CRY_CLASSES]))).sum(axis=1)
    return np.flatnonzero(cry > POSITIVE_ABOVE), np.flatnonzero(cry < NEGATIVE_BELOW)


class EagerTraining:
    """A loop that runs the network layer by layer in Python, without a graph."""

    def __init__(self) -> None:
        import keras

        from crydistill.student.layers import plain
        from crydistill.student.zoo import build

        self.student = plain(build("dscnn"))
        self._optimizer = keras.optimizers.AdamW(LEARNING_RATES[0], weight_decay=1e-4)

    def set_rate(self, rate: float) -> None:
        self._optimizer.learning_rate = rate

    def batch(self, patches: Floats, logits: Floats) -> float:
        """One step on `[n, 96, 64]` and `[n, 521]`; the loss."""
        import tensorflow as tf

        from crydistill.distill.losses import kl_softmax

        with tf.GradientTape() as tape:
            outputs = self.student(patches[..., None], training=True)
            loss = tf.reduce_mean(kl_softmax(logits, outputs))
        variables = self.student.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return float(loss)

    def validate(self, patches: Floats, logits: Floats) -> float:
        """Mean loss over held-out windows."""
        from crydistill.distill.losses import kl_softmax

        losses: list[Any] = []
        for at in range(0, len(patches), BATCH):
            outputs = self.student(patches[at : at + BATCH, ..., None], training=False)
            losses.append(np.asarray(kl_softmax(logits[at : at + BATCH], outputs)))
        return float(np.concatenate(losses).mean())


def main(clips: Path, weights: Path, libraries: Path, epochs: int, student: Path) -> None:
    """Distil once, from clips with a column `split`, as `benchmarks/end_to_end.py` writes it."""
    from benchmarks.material import Material

    Material(clips.parent, weights, None, libraries).add_librosa()
    with clips.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    teacher = teacher_call(weights)
    sets = {
        split: [
            np.array(each)
            for each in score([Path(r["path"]) for r in rows if r["split"] == split], teacher)
        ]
        for split in ("train", "validation", "test")
    }
    patches, logits = sets["train"]
    positive, negative = select(logits)
    training, rng = EagerTraining(), np.random.default_rng(0)
    for epoch in range(epochs):
        training.set_rate(LEARNING_RATES[epoch >= epochs // 2])
        drawn = rng.choice(negative, min(len(negative), NEGATIVES * len(positive)), replace=False)
        order = rng.permutation(np.concatenate([positive, drawn]))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            which = order[at : at + BATCH]
            training.batch(patches[which], logits[which])
        if (epoch + 1) % 5 == 0 or epoch + 1 == epochs:
            training.validate(*sets["validation"])
    training.student.save(student)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), int(sys.argv[4]), Path(sys.argv[5]))
