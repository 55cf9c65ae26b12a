"""A teacher that only repeats what a network once said of known audio.

The synthetic nursery comes with YAMNet's scores for it, so that the default run needs no download.
The file holds, for every clip, the logits and a *signature* of the audio they belong to: each
window's log-mel averaged over time and over groups of four bands. A clip whose signature differs
is refused. (A hash would do the same, but sine functions differ in their last bit between
processors, and one rounded sample would void a whole hash.)
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
from crydistill.teacher.base import Recording
from crydistill.teacher.scores import ScoreStore

SIGNATURE_TOLERANCE = 0.02
"""Largest difference in averaged log-mel taken for the same audio; a rounded sample makes 1e-3."""

_BANDS_PER_GROUP = 4


class RecordedTeacher:
    """Scores for exactly the clips in a recording made by `record`."""

    def __init__(self, path: str | Path) -> None:
        """Read a recording.

        Raises
        ------
        TeacherError
            if the file is not one, or belongs to another front end.
        """
        path = Path(path)
        try:
            with np.load(path) as data:
                self.provenance: dict[str, Any] = json.loads(str(data["provenance"]))
                ids = [str(name) for name in data["ids"]]
                bounds = np.cumsum(data["windows"])[:-1]
                self._logits = dict(zip(ids, np.split(data["logits"], bounds), strict=True))
                self._signatures = dict(zip(ids, np.split(data["signatures"], bounds), strict=True))
        except (OSError, KeyError, ValueError) as error:
            raise TeacherError(f"{path}: not a recording of teacher scores ({error})") from error
        if self.provenance["front_end"] != FRONT_END_VERSION:
            raise TeacherError(
                f"{path}: recorded with front end {self.provenance['front_end']}, this program has "
                f"{FRONT_END_VERSION}; record it again"
            )
        self.name = f"{self.provenance['teacher']}, recorded"
        self.fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()

    def logits(self, recordings: Sequence[Recording]) -> list[npt.NDArray[np.float32]]:
        """Recorded logits `[windows, 521]` of each recording.

        Raises
        ------
        TeacherError
            naming the recording that the scores are not of.
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
        return self._logits[recording.clip_id].astype(np.float32)


_NOT_RECORDED = (
    "the recorded teacher scores are not of this audio; name a real teacher, for instance "
    "`--set teacher.path=yamnet.h5`, or record them again with `crydistill teacher record`"
)


def signature(frames: LogMel) -> npt.NDArray[np.float32]:
    """What a recording sounds like, coarsely: `[windows, 16]` mean log-mel of four bands each."""
    means = windows(frames).mean(axis=1, dtype=np.float64)
    grouped = means.reshape(len(means), MEL_BANDS // _BANDS_PER_GROUP, _BANDS_PER_GROUP)
    return np.asarray(grouped.mean(axis=2), dtype=np.float32)


def record(store: ScoreStore, path: str | Path, *, provenance: dict[str, Any]) -> None:
    """Write every score in a store, with its audio's signature, into one small file."""
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
