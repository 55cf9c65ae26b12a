"""Who listens: teacher, FP32 student and INT8 student behind one face.

A scorer gives each window of a piece of audio one cry score. What a student's outputs mean and how
its cry score is formed comes from its manifest, so that softmax students with YAMNet's 521 outputs
and sigmoid students with a handful are heard alike.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from crydistill.audio.windows import windows
from crydistill.detector.settings import vote_settings
from crydistill.detector.vote import Scores, VoteSettings
from crydistill.download import sha256_of
from crydistill.errors import MissingExtraError, ModelError
from crydistill.student.activation import activate
from crydistill.student.manifest import MANIFEST_NAME, StudentManifest
from crydistill.student.runtime import TfliteStudent
from crydistill.taxonomy import cry_indices
from crydistill.teacher.base import Recording
from crydistill.teacher.load import load_teacher
from crydistill.tflite.interpreters import Kernels

if TYPE_CHECKING:
    import keras


class Kind(StrEnum):
    """What a scorer is."""

    TEACHER = "teacher"
    FP32 = "student FP32"
    INT8 = "student INT8"


@dataclass(frozen=True)
class Scorer:
    """A network that gives windows cry scores.

    name : for people; scorers that listen together have different ones
    fingerprint : sha256 of the file with its weights
    score : cry score of each window of a piece of audio, `[windows]`
    manifest_path : of a student's `student.json`; None for a teacher
    presets : the detector settings of a student's manifest
    """

    name: str
    kind: Kind
    fingerprint: str
    score: Callable[[Recording], Scores]
    manifest_path: Path | None
    presets: Mapping[str, VoteSettings]


def teacher_scorer(path: str | Path) -> Scorer:
    """Open a teacher; its cry score is the sum of the probabilities of AudioSet's cry classes.

    Raises
    ------
    TeacherError, MissingExtraError
        as `crydistill.teacher.base.load_teacher`.
    """
    teacher, cries = load_teacher(path), list(cry_indices())

    def score(recording: Recording) -> Scores:
        (logits,) = teacher.logits([recording])
        return np.asarray(expit(logits[:, cries]).sum(axis=1), dtype=np.float32)

    return Scorer(teacher.name, Kind.TEACHER, teacher.fingerprint, score, None, {})


def student_scorers(
    path: str | Path, *, kernels: Kernels = Kernels.REFERENCE, fp32: bool = True
) -> list[Scorer]:
    """Open a student's INT8 network and, where one lies beside it, its FP32 network before it.

    Parameters
    ----------
    path : a `.tflite` with its manifest beside it, or a directory (a run's) that holds both
    fp32 : whether to look for the FP32 network, a `.keras` file of the same name

    Raises
    ------
    ModelError
        if a file is damaged or does not belong to the others.
    MissingExtraError
        if there is an FP32 network and TensorFlow is not installed.
    """
    path = Path(path)
    student = TfliteStudent.load(path, kernels)
    manifest = student.manifest
    manifest_path = path / MANIFEST_NAME if path.is_dir() else path.with_suffix(".json")
    presets = {name: vote_settings(manifest, name) for name in manifest.presets}
    scorers = []
    fp32_path = manifest_path.with_suffix(".keras")
    if fp32 and fp32_path.is_file():
        fingerprint = sha256_of(fp32_path)
        score = _keras_score(fp32_path, manifest)
        name = f"{manifest.name} FP32"
        scorers.append(Scorer(name, Kind.FP32, fingerprint, score, manifest_path, presets))

    def int8(recording: Recording) -> Scores:
        return student.cry_scores(windows(recording.frames))

    name, fingerprint = f"{manifest.name} INT8", manifest.tflite.sha256
    scorers.append(Scorer(name, Kind.INT8, fingerprint, int8, manifest_path, presets))
    return scorers


def named_apart(scorers: Sequence[Scorer]) -> list[Scorer]:
    """Number the names that more than one scorer bears."""
    seen: Counter[str] = Counter()
    apart = []
    for scorer in scorers:
        seen[scorer.name] += 1
        number = seen[scorer.name]
        apart.append(replace(scorer, name=f"{scorer.name} {number}") if number > 1 else scorer)
    return apart


def _keras_score(path: Path, manifest: StudentManifest) -> Callable[[Recording], Scores]:
    keras, model = _load_keras(path)
    cries, outputs = list(manifest.cry_outputs), model.output_shape[-1]
    if outputs != manifest.output.shape[-1]:
        raise ModelError(
            f"{path}: has {outputs} outputs, {MANIFEST_NAME} beside it says "
            f"{manifest.output.shape[-1]}; the files must come from the same run"
        )

    def score(recording: Recording) -> Scores:
        patches = windows(recording.frames)[..., None]
        if len(patches) == 0:
            return np.empty(0, dtype=np.float32)
        logits = keras.ops.convert_to_numpy(model.predict_on_batch(patches))
        scores = activate(logits, manifest.activation)[:, cries].sum(axis=1)
        return np.asarray(scores, dtype=np.float32)

    return score


def _load_keras(path: Path) -> tuple[Any, "keras.Model"]:
    """Keras itself, which only this needs, and the model."""
    try:
        import keras
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{path}: the FP32 student needs {error.name}: pip install 'crydistill[train]', or "
            "leave it out with --no-fp32"
        ) from error
    try:
        model = keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: not a Keras model that can be loaded ({reason})") from error
    # XLA is many times slower than a plain graph on a CPU's depthwise convolutions.
    model.compile(jit_compile=False)
    return keras, model
