"""Replayed features: what a student remembers of public recordings, for it not to forget them.

A replay is a student's embeddings of one stream composed of openly licensed training clips
(`nights.replay` makes it; `crydistill replay`). It holds no audio, and none can be made from a
dozen steps per half second. It belongs to one student.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.atomic import replacing
from crydistill.detector.vote import Alert, Scores, VoteSettings, alerts, vote_track
from crydistill.errors import ModelError
from crydistill.feedback.cry_head import Int8
from crydistill.npz_file import NOT_NPZ

REPLAY_NAME = "replay.npz"

Spans = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """A detector on a replay: episodes of crying that raised an alert, and false alarms."""

    caught: int
    false_alarms: int


@dataclass(frozen=True, eq=False)
class Replay:
    """Embeddings of a stream of public recordings, with its episodes of crying.

    embeddings : int8 `[windows, size]`
    episodes : first window of each episode and the one after its last, `[k, 2]`
    student_sha256 : of the `.tflite` whose embeddings they are
    origin : what the stream was composed of: corpora, clips, licences, seed, commit
    """

    embeddings: Int8
    episodes: Spans
    student_sha256: str
    origin: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the embeddings and episodes."""
        return hashlib.sha256(self.embeddings.tobytes() + self.episodes.tobytes()).hexdigest()

    @property
    def crying(self) -> npt.NDArray[np.bool_]:
        """Whether each window lies in an episode, `[windows]`."""
        return within(self.episodes, len(self.embeddings))

    def judge(self, scores: Scores, vote: VoteSettings) -> Judged:
        """What a detector does with the stream, by its scores, `[windows]`."""
        caught, false = caught_and_false(scores, vote, self.episodes)
        return Judged(sum(caught), len(false))


def within(episodes: Spans, windows: int) -> npt.NDArray[np.bool_]:
    """Whether each window lies in an episode, `[windows]`; episodes as in a `Replay`."""
    inside = np.zeros(windows, dtype=bool)
    for first, last in episodes:
        inside[first:last] = True
    return inside


def caught_and_false(
    scores: Scores, vote: VoteSettings, episodes: Spans
) -> tuple[list[bool], list[Alert]]:
    """Whether an alert is on in each episode, and the alerts that begin outside all of them.

    Parameters
    ----------
    scores : of a stream's windows, `[windows]`
    episodes : as in a `Replay`
    """
    on, inside = vote_track(scores, vote), within(episodes, len(scores))
    caught = [bool(on[first:last].any()) for first, last in episodes]
    return caught, [one for one in alerts(scores, vote) if not inside[one.start_window]]


def replay_for(student_sha256: str, path: str | Path | None = None) -> Replay | None:
    """A student's replay: from a file, or without one that of the package, as far as it has one.

    Raises
    ------
    ModelError
        as `load_replay`.
    """
    return load_replay(path, student_sha256) if path else packaged_replay(student_sha256)


def load_replay(path: str | Path, student_sha256: str) -> Replay:
    """Read a replay.

    Raises
    ------
    ModelError
        if it cannot be read, is damaged, or belongs to another student.
    """
    replay = _read(Path(path))
    if replay.student_sha256 != student_sha256:
        raise ModelError(
            f"{path}: holds features of another student (sha256 {replay.student_sha256[:12]}); "
            "make this one's with `crydistill replay`"
        )
    return replay


def packaged_replay(student_sha256: str) -> Replay | None:
    """The replay that ships with the package, None if it belongs to another student."""
    replay = _read(Path(str(files("crydistill").joinpath("data", REPLAY_NAME))))
    return replay if replay.student_sha256 == student_sha256 else None


def save_replay(path: str | Path, replay: Replay) -> None:
    """Write a replay atomically."""
    about = json.dumps({"student_sha256": replay.student_sha256, "origin": replay.origin})
    with replacing(path) as temporary:
        np.savez_compressed(
            temporary,
            embeddings=replay.embeddings,
            episodes=replay.episodes,
            about=np.array(about),
        )


def _read(path: Path) -> Replay:
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            embeddings, episodes = stored["embeddings"], stored["episodes"]
            if embeddings.ndim != 2 or embeddings.dtype != np.int8 or episodes.shape[1:] != (2,):
                raise ValueError
            return Replay(embeddings, episodes, about["student_sha256"], about["origin"])
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file; `crydistill replay` makes it") from error
    except NOT_NPZ as error:
        raise ModelError(
            f"{path}: not replayed features; `crydistill replay` makes them"
        ) from error
