from pathlib import Path

import numpy as np
import pytest
from tests.feedback.toys import replay as packaged
from tests.feedback.toys import student
from tests.nights.nightly import clips
from tests.npz_files import damaged_npz, npy

from crydistill.detector.settings import vote_settings
from crydistill.errors import CorpusError, ModelError
from crydistill.feedback.cry_head import CryHead
from crydistill.feedback.lessons import Ear
from crydistill.feedback.replay import load_replay, save_replay
from crydistill.nights.replay import ReplayOptions, make_replay
from crydistill.student.packaged import packaged_student

FEW = ReplayOptions(sounds=5, episodes=2)


def test_a_replay_is_the_same_each_time_and_is_read_back(tmp_path: Path) -> None:
    sounds = clips(tmp_path)
    made = make_replay(sounds, student(), {"corpus": "made up"}, options=FEW)
    again = make_replay(sounds, student(), {"corpus": "made up"}, options=FEW)
    assert made.fingerprint == again.fingerprint
    assert len(made.episodes) == 2
    assert made.origin["corpus"] == "made up"
    save_replay(tmp_path / "replay.npz", made)
    read = load_replay(tmp_path / "replay.npz", student().manifest.tflite.sha256)
    assert read.fingerprint == made.fingerprint
    assert read.origin == made.origin


def test_a_replay_of_another_student_is_refused(tmp_path: Path) -> None:
    made = make_replay(clips(tmp_path), student(), {}, options=FEW)
    save_replay(tmp_path / "replay.npz", made)
    with pytest.raises(ModelError, match="features of another student"):
        load_replay(tmp_path / "replay.npz", "0" * 64)


@pytest.mark.parametrize("data", [b"", b"PK\3\4 no archive", b"\x93NUMPY", npy(), *damaged_npz()])
def test_a_damaged_replay_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "replay.npz").write_bytes(data)
    with pytest.raises(ModelError, match=r"replay\.npz: not replayed features"):
        load_replay(tmp_path / "replay.npz", "0" * 64)


def test_a_missing_replay_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"replay\.npz: no such file; `crydistill replay` makes"):
        load_replay(tmp_path / "replay.npz", "0" * 64)


def test_private_clips_are_never_replayed(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is private"):
        make_replay(clips(tmp_path, private=True), student(), {}, options=FEW)


def test_the_packaged_replay_is_the_packaged_students() -> None:
    """If not: make it anew, as docs/adapt.md says."""
    found = packaged()
    size = student().manifest.memory
    assert size is not None
    assert found.embeddings.shape[1] == size.size
    assert len(found.episodes) >= 100
    data = packaged_student().parent / "replay.npz"
    assert data.stat().st_size < 400_000
    assert set(found.origin["licences"]) <= set(student().manifest.training.licences)


def test_the_packaged_student_catches_what_it_learned_from() -> None:
    found = packaged()
    ear = Ear(CryHead.of(student().tflite), student().manifest)
    judged = found.judge(
        ear.scores(found.embeddings), vote_settings(student().manifest, "balanced")
    )
    assert judged.caught > 0.5 * len(found.episodes)
    assert judged.false_alarms < np.ceil(len(found.embeddings) * 0.48 / 360)
