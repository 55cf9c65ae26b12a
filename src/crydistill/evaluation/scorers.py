"""A common interface to teacher, FP32 student and INT8 student.

A scorer gives each window of a stream of audio one cry score; what it remembers from window to
window belongs to the stream. The meaning of a student's outputs and how to form its cry score come
from its manifest, so that softmax students with YAMNet's 521 outputs and sigmoid students with a
handful are treated alike.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scipy.special import expit

from crydistill.audio.windows import windows
from crydistill.detector.settings import vote_settings
from crydistill.detector.vote import Scores, VoteSettings
from crydistill.download import sha256_of
from crydistill.errors import MissingExtraError, ModelError
from crydistill.roles import Role
from crydistill.student.listening import WindowListener
from crydistill.student.manifest import MANIFEST_NAME, StudentManifest
from crydistill.student.runtime import TfliteStudent
from crydistill.taxonomy import cry_indices, cry_score
from crydistill.teacher.base import Recording
from crydistill.teacher.load import is_efficientat, load_efficientat, load_teacher
from crydistill.tflite.interpreters import Kernels

Hearing = Callable[[Recording], Scores]
"""Hears a stream of audio in pieces; returns the cry scores of each piece's windows, `[windows]`.

A piece begins where the grid's next window does, so it repeats half a window of the one before.
"""


@dataclass(frozen=True)
class StudentNetwork:
    """One of a student's networks, run on log-mel patches.

    fingerprint : sha256 of the file with its weights
    listener : starts to hear a stream of windows; streams share nothing
    """

    role: Role
    fingerprint: str
    manifest: StudentManifest
    manifest_path: Path
    listener: Callable[[], WindowListener]


@dataclass(frozen=True)
class Scorer:
    """A network that computes cry scores of windows.

    name : for display; unique among scorers that run together
    fingerprint : sha256 of the file with its weights
    listen : starts to hear a stream of audio; streams share nothing
    manifest_path : of a student's `student.json`; None for a teacher
    presets : detector settings from a student's manifest
    """

    name: str
    role: Role
    fingerprint: str
    listen: Callable[[], Hearing]
    manifest_path: Path | None
    presets: Mapping[str, VoteSettings]

    def score(self, recording: Recording) -> Scores:
        """Compute the cry score of each window of a recording, `[windows]`."""
        return self.listen()(recording)


def teacher_scorer(path: str | Path) -> Scorer:
    """Open a teacher; its cry score is the sum of the scores of AudioSet's cry classes.

    That of EfficientAT is its score of "Baby cry, infant cry" over the last five seconds.

    Raises
    ------
    TeacherError, MissingExtraError
        as `crydistill.teacher.load.load_teacher` and `load_efficientat`.
    """
    if is_efficientat(path):
        return _context_scorer(path)
    teacher = load_teacher(path)

    def score(recording: Recording) -> Scores:
        (logits,) = teacher.logits([recording])
        return cry_score(expit(logits), cry_indices())

    # Its windows are independent, so one function hears every stream.
    return Scorer(teacher.name, Role.TEACHER, teacher.fingerprint, lambda: score, None, {})


def _context_scorer(path: str | Path) -> Scorer:
    network = load_efficientat(path)
    from crydistill.teacher.efficientat import hear_cries

    return Scorer(
        network.name, Role.TEACHER, network.fingerprint, lambda: hear_cries(network), None, {}
    )


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
    networks = [StudentNetwork(Role.INT8, sha256, manifest, manifest_path, student.listener)]
    fp32_path = manifest_path.with_suffix(".keras")
    if fp32 and fp32_path.is_file():
        listener = _keras_listener(fp32_path, manifest)
        sha256 = sha256_of(fp32_path)
        networks.insert(0, StudentNetwork(Role.FP32, sha256, manifest, manifest_path, listener))
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

    def listen() -> Hearing:
        listener = network.listener()
        return lambda piece: listener.push(windows(piece.frames))

    return Scorer(
        f"{manifest.name} {'FP32' if network.role is Role.FP32 else 'INT8'}",
        network.role,
        network.fingerprint,
        listen,
        network.manifest_path,
        {name: vote_settings(manifest, name) for name in manifest.presets},
    )


def _keras_listener(path: Path, manifest: StudentManifest) -> Callable[[], WindowListener]:
    try:
        from crydistill.student.keras_model import KerasListener, load_student, outputs_of
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{path}: the FP32 student needs {error.name}: pip install 'crydistill[train]', or "
            "skip it with --no-fp32"
        ) from error
    model = load_student(path)
    stated = manifest.output.shape[-1]
    if outputs_of(model) != stated:
        raise ModelError(
            f"{path}: has {outputs_of(model)} outputs, but {MANIFEST_NAME} beside it says "
            f"{stated}; the files must come from the same run"
        )
    has_memory = len(model.inputs) > 1
    if has_memory != (manifest.memory is not None):
        raise ModelError(
            f"{path}: is a network {'with' if has_memory else 'without'} memory, but "
            f"{MANIFEST_NAME} beside it says otherwise; the files must come from the same run"
        )
    return lambda: KerasListener(manifest, model)
