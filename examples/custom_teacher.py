"""Distil a teacher of your own: python custom_teacher.py FOLDER

A teacher is anything with a name, a fingerprint of its weights, and 521 logits for each window.
This one is a logistic regression on the mean and the spread of each mel band, fitted to the labels
of the synthetic nursery. It is no good teacher; put your network in its place. A student learns its
opinion for two epochs and becomes an INT8 `.tflite` that `crydistill detect --model` takes.

Needs the full install (`pip install '.[train]'`).
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from sklearn.linear_model import LogisticRegression

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import windows
from crydistill.corpora.clip import Label
from crydistill.download import sha256_of
from crydistill.experiment.load import load_config
from crydistill.run_directory import RunDirectory
from crydistill.stages.context import Context
from crydistill.stages.quantize import quantize
from crydistill.stages.score import score
from crydistill.stages.select import select
from crydistill.stages.train import train
from crydistill.synthesis.nursery import write_nursery
from crydistill.taxonomy import BABY_CRY, CLASSES, index_of
from crydistill.teacher.base import Logits, Recording
from crydistill.teacher.scoring import score_corpus

SURELY_NOT = -8.0
"""Logit of the classes that this teacher knows nothing of."""


def features(patches: np.ndarray) -> np.ndarray:
    """Mean and spread of each band: `[windows, 96, 64]` to `[windows, 128]`."""
    return np.concatenate([patches.mean(axis=1), patches.std(axis=1)], axis=1)


class BandTeacher:
    """`crydistill.teacher.base.Teacher`, from a file of weights."""

    name = "bands"

    def __init__(self, path: Path) -> None:
        self.fingerprint = sha256_of(path)
        with np.load(path) as weights:
            self._weights, self._bias = weights["weights"], weights["bias"]

    def logits(self, recordings: Sequence[Recording]) -> list[Logits]:
        return [self._of(recording) for recording in recordings]

    def _of(self, recording: Recording) -> Logits:
        patches = windows(recording.frames)
        found = np.full((len(patches), CLASSES), SURELY_NOT, dtype=np.float32)
        if len(patches):
            found[:, index_of(BABY_CRY)] = features(patches) @ self._weights + self._bias
        return found


def fit(context: Context, path: Path) -> None:
    """Fit the teacher to the labels of the training clips; every window counts as its clip."""
    rows, labels = [], []
    for _, clips in context.splits.train:
        for clip in clips:
            samples, _ = soundfile.read(clip.path, dtype="float32")
            rows.append(features(windows(log_mel(samples))))
            labels += [clip.label is Label.CRY] * len(rows[-1])
    fitted = LogisticRegression(max_iter=1000).fit(np.concatenate(rows), labels)
    np.savez(path, weights=fitted.coef_[0], bias=fitted.intercept_[0])


def main(folder: Path) -> None:
    nursery, weights = folder / "nursery", folder / "bands.npz"
    write_nursery(nursery)
    splits = {s: f"[{{path: {nursery}, where: {{split: {s}}}}}]" for s in ("train", "test")}
    config = load_config(
        None,
        [
            "name=bands",
            f"stores={folder / 'stores'}",
            "teacher.recorded=false",
            f"teacher.path={weights}",
            f"data.train={splits['train']}",
            f"data.validation.corpora=[{{path: {nursery}, where: {{split: validation}}}}]",
            f"data.test={splits['test']}",
            "training.epochs=2",
        ],
    )
    run = RunDirectory(folder / "runs" / config.name)
    run.start(config)
    context = Context(config, run, say=print)
    fit(context, weights)
    # Whatever has a score in the store is not asked of the teacher again, so the stages need not
    # know how to open it.
    teacher, splits_of = BandTeacher(weights), context.splits
    for corpus, clips in (*splits_of.train, *splits_of.validation, *splits_of.test):
        score_corpus(clips, teacher, context.store_directory(corpus))
    for stage in (score, select, train, quantize):
        stage(context)
    print(f"to use it: crydistill detect --model {run.path} RECORDING")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
