"""Adapt a student to reviewed clips, in a folder of its own, and undo it.

The folder holds a student like any other, so that every command that takes `--model` takes it, and
below `before/` the student that it was made from. The original is never touched. To undo is to put
the student from before into its place, so that what listens with this folder need not be told.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crydistill import __version__, atomic
from crydistill.boundary import require_outside_work_tree
from crydistill.deferred_signals import deferred_signals
from crydistill.detector.clip_folder import ClipLabel, kept_clips
from crydistill.detector.settings import reachable_score, vote_settings
from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError, ModelError
from crydistill.feedback.learn import Learned, Means, learn
from crydistill.feedback.lessons import Ear, head_of, read_lessons
from crydistill.feedback.replay import Replay, replay_for
from crydistill.progress import Progress, silent
from crydistill.student.manifest import (
    MANIFEST_NAME,
    TFLITE_NAME,
    Adaptation,
    ModelFile,
    StudentManifest,
    ThresholdPreset,
    save_manifest,
)
from crydistill.student.runtime import TfliteStudent

BEFORE_NAME = "before"

_NO_REPLAY = "there are no replayed features for this student; `crydistill replay` makes them"
_WHAT = "a student adapted to private sound"


@dataclass(frozen=True, eq=False)
class Adapted:
    """What `adapt` did.

    clips : number reviewed, by label
    unreadable : clips that could not be heard, with the reason
    """

    learned: Learned
    clips: dict[ClipLabel, int]
    unreadable: dict[str, str]


def adapt(
    folder: str | Path,
    student: TfliteStudent,
    out: str | Path,
    *,
    preset: str,
    replay: str | Path | None = None,
    progress: Progress = silent,
) -> Adapted:
    """Adapt a student to the reviewed clips of a folder; write it to `out` unless nothing helped.

    Parameters
    ----------
    folder : of clips, reviewed by `crydistill review`
    out : new, or an earlier adaptation's, which it replaces
    preset : operating point at which what is no cry is to raise no alert
    replay : features of public recordings; those of the package if None

    Raises
    ------
    ConfigError
        if `out` holds something else, nothing was reviewed, or the student was adapted before.
    CorpusError
        if `out` is inside a git work tree.
    """
    require_outside_work_tree(out, _WHAT)
    _require_free(Path(out))
    if student.manifest.adaptation is not None:
        raise ConfigError(
            f"{student.manifest.name}: was adapted already; adapt the student that it was made "
            "from, with all clips reviewed so far"
        )
    vote = vote_settings(student.manifest, preset)
    replayed = replay_for(student.manifest.tflite.sha256, replay)
    head, without = head_of(student)
    lessons, unreadable = read_lessons(kept_clips(folder), student, progress=progress)
    learned = learn(
        Ear(head, student.manifest), vote, lessons, replayed if head else None,
        highest=reachable_score(student.manifest), without=without or _NO_REPLAY,
        progress=progress,
    )  # fmt: skip
    counts = {label: sum(one.label is label for one in lessons) for label in ClipLabel}
    if learned.means is not Means.NOTHING:
        write_adapted(Path(out), student, learned, preset, counts, replayed)
    return Adapted(learned, counts, unreadable)


def undo(out: str | Path) -> bool:
    """Put the student from before the adaptation into its place; whether there was one to undo.

    Raises
    ------
    ConfigError
        if `out` was not written by `adapt`.
    """
    out = Path(out)
    before = out / BEFORE_NAME
    try:
        original = TfliteStudent.load(before)
    except ModelError as error:
        raise ConfigError(f"{out}: was not written by `crydistill adapt` ({error})") from error
    try:
        adapted = TfliteStudent.load(out).manifest.adaptation is not None
    except ModelError:  # a run that was killed in between
        adapted = True
    if adapted:
        _write_student(out, original.tflite, original.manifest)
    return adapted


def write_adapted(
    out: Path,
    student: TfliteStudent,
    learned: Learned,
    preset: str,
    clips: Mapping[ClipLabel, int],
    replay: Replay | None,
) -> None:
    """Write the student as it is to be, and the one from before."""
    data = learned.head.written_into(student.tflite) if learned.head else student.tflite
    _write_student(out / BEFORE_NAME, student.tflite, student.manifest)
    manifest = _manifest(student.manifest, data, learned, preset, clips, replay)
    _write_student(out, data, manifest)
    TfliteStudent.load(out)


def _write_student(folder: Path, tflite: bytes, manifest: StudentManifest) -> None:
    # Each file is whole at any time. Only a kill between the two leaves a pair that does not go
    # together, which is refused when it is loaded; the same command, or undo, mends it. The
    # manifest comes first, since a folder is known by that from before.
    with deferred_signals():
        save_manifest(folder / MANIFEST_NAME, manifest)
        atomic.write_bytes(folder / TFLITE_NAME, tflite)


def _manifest(
    manifest: StudentManifest,
    data: bytes,
    learned: Learned,
    preset: str,
    clips: Mapping[ClipLabel, int],
    replay: Replay | None,
) -> StudentManifest:
    presets = {
        name: _preset(one, learned.vote if name == preset else None)
        for name, one in manifest.presets.items()
    }
    training, count = manifest.training, sum(clips.values())
    return manifest.model_copy(
        update={
            "name": f"{manifest.name}-adapted",
            "tflite": ModelFile(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)),
            "presets": presets,
            "training": training.model_copy(
                update={
                    "summary": f"{training.summary}; adapted to {count} private clips",
                    "private": True,
                }
            ),
            "adaptation": Adaptation(
                original_sha256=manifest.tflite.sha256,
                means="refit" if learned.means is Means.REFIT else "threshold and votes",
                preset=preset,
                cries=clips[ClipLabel.CRY],
                not_cries=clips[ClipLabel.NOT_A_CRY],
                replay_windows=0 if replay is None else len(replay.embeddings),
                package_version=__version__,
            ),
        }
    )


def _preset(preset: ThresholdPreset, vote: VoteSettings | None) -> ThresholdPreset:
    """A preset without the figures of the student from before."""
    changed = {} if vote is None else {"threshold": vote.threshold, "n": vote.n, "m": vote.m}
    return preset.model_copy(
        update={
            **changed,
            "recall": None,
            "false_alarms_per_hour": None,
            "measured_on": "not measured since the student was adapted",
        }
    )


def _require_free(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; name a folder for the adapted student")
    if out.is_dir() and any(out.iterdir()) and not (out / BEFORE_NAME / MANIFEST_NAME).is_file():
        raise ConfigError(
            f"{out}: holds something else than an adapted student; name another folder"
        )
