"""A common interface to teacher, FP32 student and INT8 student.

A scorer gives each window of a piece of audio one cry score. The meaning of a student's outputs and
how to form its cry score come from its manifest, so that softmax students with YAMNet's 521 outputs
and sigmoid students with a handful are treated alike.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from crydistill.audio.windows import windows
from crydistill.detector.settings import vote_settings
from crydistill.detector.vote import Scores, VoteSettings
from crydistill.download import sha256_of
from crydistill.errors import MissingExtraError, ModelError
from crydistill.roles import Role
from crydistill.student.activation import activate
from crydistill.student.manifest import MANIFEST_NAME, StudentManifest
from crydistill.student.runtime import TfliteStudent
from crydistill.taxonomy import cry_indices, cry_score
from crydistill.teacher.base import Recording
from crydistill.teacher.load import load_teacher
from crydistill.tflite.interpreters import Kernels

Patches = npt.NDArray[np.float32]
"""Log-mel patches, `[n, 96, 64]`."""


@dataclass(frozen=True)
class StudentNetwork:
    """One of a student's networks, run on log-mel patches.

    fingerprint : sha256 of the file with its weights
    outputs : computes activated outputs, `[n, outputs]`, of patches `[n, 96, 64]`
    """

    role: Role
    fingerprint: str
    manifest: StudentManifest
    manifest_path: Path
    outputs: Callable[[Patches], Scores]

    def cry_scores(self, patches: Patches) -> Scores:
        """One cry score per patch, `[n]`."""
        return cry_score(self.outputs(patches), self.manifest.cry_outputs)


@dataclass(frozen=True)
class Scorer:
    """A network that computes cry scores of windows.

    name : for display; unique among scorers that run together
    fingerprint : sha256 of the file with its weights
    score : computes the cry score of each window of a piece of audio, `[windows]`
    manifest_path : of a student's `student.json`; None for a teacher
    presets : detector settings from a student's manifest
    """

    name: str
    role: Role
    fingerprint: str
    score: Callable[[Recording], Scores]
    manifest_path: Path | None
    presets: Mapping[str, VoteSettings]


def teacher_scorer(path: str | Path) -> Scorer:
    """Open a teacher; its cry score is the sum of the scores of AudioSet's cry classes.

    Raises
    ------
    TeacherError, MissingExtraError
        as `crydistill.teacher.load.load_teacher`.
    """
    teacher = load_teacher(path)

    def score(recording: Recording) -> Scores:
        (logits,) = teacher.logits([recording])
        return cry_score(expit(logits), cry_indices())

    return Scorer(teacher.name, Role.TEACHER, teacher.fingerprint, score, None, {})


def student_networks(
    path: str | Path, *, kernels: Kernels = Kernels.REFERENCE, fp32: bool = True
) -> list[StudentNetwork]:
    """Open a student's networks: FP32 first if there is one, then INT8.

    Parameters
    ----------
    path : a `.tflite` with its manifest beside it, or a directory (such as a run's) with both
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
    sha256 = manifest.tflite.sha256
    networks = [StudentNetwork(Role.INT8, sha256, manifest, manifest_path, student.probabilities)]
    fp32_path = manifest_path.with_suffix(".keras")
    if fp32 and fp32_path.is_file():
        outputs = _keras_outputs(fp32_path, manifest)
        sha256 = sha256_of(fp32_path)
        networks.insert(0, StudentNetwork(Role.FP32, sha256, manifest, manifest_path, outputs))
    return networks


def student_scorers(
    path: str | Path, *, kernels: Kernels = Kernels.REFERENCE, fp32: bool = True
) -> list[Scorer]:
    """Open a student's networks, as `student_networks` does, as scorers."""
    return [_scorer(network) for network in student_networks(path, kernels=kernels, fp32=fp32)]


def with_unique_names(scorers: Sequence[Scorer]) -> list[Scorer]:
    """Make names unique by numbering duplicates."""
    seen: Counter[str] = Counter()
    unique = []
    for scorer in scorers:
        seen[scorer.name] += 1
        number = seen[scorer.name]
        unique.append(replace(scorer, name=f"{scorer.name} {number}") if number > 1 else scorer)
    return unique


def _scorer(network: StudentNetwork) -> Scorer:
    manifest = network.manifest

    def score(recording: Recording) -> Scores:
        return network.cry_scores(windows(recording.frames))

    return Scorer(
        f"{manifest.name} {'FP32' if network.role is Role.FP32 else 'INT8'}",
        network.role,
        network.fingerprint,
        score,
        network.manifest_path,
        {name: vote_settings(manifest, name) for name in manifest.presets},
    )


def _keras_outputs(path: Path, manifest: StudentManifest) -> Callable[[Patches], Scores]:
    try:
        from crydistill.student.keras_model import load_student, logits_of
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{path}: the FP32 student needs {error.name}: pip install 'crydistill[train]', or "
            "skip it with --no-fp32"
        ) from error
    model = load_student(path)
    outputs = model.output_shape[-1]
    if outputs != manifest.output.shape[-1]:
        raise ModelError(
            f"{path}: has {outputs} outputs, but {MANIFEST_NAME} beside it says "
            f"{manifest.output.shape[-1]}; the files must come from the same run"
        )
    return lambda patches: activate(logits_of(model, patches), manifest.activation)
