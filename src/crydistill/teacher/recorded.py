"""Record a teacher's scores of known audio, and replay them as a teacher.

YAMNet's scores of the synthetic nursery ship with the package, so that the default run needs no
download. The file contains, for every clip, the logits and a *signature* of the audio they belong
to: each window's log-mel averaged over time and over groups of four bands. A clip whose signature
differs is rejected. (A hash is too strict: sine functions differ in the last bit between
processors, and a single differently rounded sample would change it.)
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill import atomic
from crydistill.audio.mel import FRONT_END_VERSION, MEL_BANDS, LogMel
from crydistill.audio.windows import windows
from crydistill.errors import TeacherError
from crydistill.npz_file import NOT_NPZ
from crydistill.teacher.base import Recording
from crydistill.teacher.scores import ScoreStore

SIGNATURE_TOLERANCE = 0.02
"""Maximum difference in averaged log-mel for the same audio; one rounded sample causes 1e-3."""

_BANDS_PER_GROUP = 4


class RecordedTeacher:
    """Replays the scores of the clips in a file written by `record`."""

    def __init__(self, path: str | Path) -> None:
        """Read recorded scores.

        Raises
        ------
        TeacherError
            if the file does not contain recorded scores, or was made with another front end.
        """
        path = Path(path)
        try:
            with np.load(path) as data:
                self.provenance: dict[str, Any] = json.loads(str(data["provenance"]))
                ids = [str(name) for name in data["ids"]]
                bounds = np.cumsum(data["windows"])[:-1]
                self._logits = dict(zip(ids, np.split(data["logits"], bounds), strict=True))
                self._signatures = dict(zip(ids, np.split(data["signatures"], bounds), strict=True))
        except NOT_NPZ as error:
            raise TeacherError(f"{path}: not a recording of teacher scores ({error})") from error
        if self.provenance["front_end"] != FRONT_END_VERSION:
            raise TeacherError(
                f"{path}: recorded with front end {self.provenance['front_end']}, this version "
                f"uses {FRONT_END_VERSION}; record it again"
            )
        self.name = f"{self.provenance['teacher']}, recorded"
        self.fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()

    def logits(self, recordings: Sequence[Recording]) -> list[npt.NDArray[np.float32]]:
        """Recorded logits `[windows, 521]` of each recording.

        Raises
        ------
        TeacherError
            naming the recording whose audio does not match the recorded scores.
        """
        return [self._logits_of(recording) for recording in recordings]

    def _logits_of(self, recording: Recording) -> npt.NDArray[np.float32]:
        known = self._signatures.get(recording.clip_id)
        found = signature(recording.frames)
        if known is None or known.shape != found.shape:
            raise TeacherError(f"{recording.clip_id}: {_NOT_RECORDED}")
        difference = float(np.abs(known.astype(np.float32) - found).max())
        if difference > SIGNATURE_TOLERANCE:
            raise TeacherError(
                f"{recording.clip_id}: {_NOT_RECORDED} (log-mel differs by {difference:.2f})"
            )
        return np.asarray(self._logits[recording.clip_id], dtype=np.float32)


_NOT_RECORDED = (
    "the recorded teacher scores are not of this audio; use a real teacher, for instance "
    "`--set teacher.path=yamnet.h5`, or record them again with `crydistill teacher record`"
)


def signature(frames: LogMel) -> npt.NDArray[np.float32]:
    """Coarse acoustic signature: mean log-mel in groups of four bands, `[windows, 16]`."""
    means = windows(frames).mean(axis=1, dtype=np.float64)
    grouped = means.reshape(len(means), MEL_BANDS // _BANDS_PER_GROUP, _BANDS_PER_GROUP)
    return np.asarray(grouped.mean(axis=2), dtype=np.float32)


def record(store: ScoreStore, path: str | Path, *, provenance: dict[str, Any]) -> None:
    """Write all scores of a store with their audio's signatures to one small `.npz` file."""
    ids = sorted(store.entries)
    facts = {
        **provenance,
        "teacher": store.identity.name,
        "teacher_sha256": store.identity.fingerprint,
        "front_end": FRONT_END_VERSION,
    }
    with atomic.replacing(path) as temporary:
        np.savez_compressed(
            temporary,
            provenance=json.dumps(facts),
            ids=np.array(ids),
            windows=np.array([store.entries[name].windows for name in ids]),
            logits=np.concatenate([store.logits(name) for name in ids]),
            signatures=np.concatenate(
                [signature(store.frames(name).astype(np.float32)) for name in ids]
            ).astype(np.float16),
        )
