from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import expit, softmax
from tests.student_fixtures import (  # noqa: F401 - fixtures
    manifest_for,
    memory_dir,
    memory_model,
    memory_tflite,
    reference_model,
    reference_tflite,
    residual_model,
    residual_tflite,
    seeded_model,
    student_dir,
)
from tests.teacher.checkpoints import tiny_mn, write_checkpoint

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import window_count, windows
from crydistill.errors import ModelError
from crydistill.evaluation.scorers import student_scorers, teacher_scorer, with_unique_names
from crydistill.roles import Role
from crydistill.student.layers import plain
from crydistill.student.manifest import save_manifest
from crydistill.teacher.base import Recording
from crydistill.tflite.interpreters import Kernels


@pytest.fixture(scope="module")
def recording() -> Recording:
    audio = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)
    return Recording("", audio, log_mel(audio))


def test_a_softmax_student_sums_its_cry_outputs(
    student_dir: Path,  # noqa: F811
    reference_model: keras.Model,  # noqa: F811
    recording: Recording,
) -> None:
    plain(reference_model).save(student_dir / "student.keras")
    fp32, int8 = student_scorers(student_dir)
    assert (fp32.name, fp32.role) == ("test FP32", Role.FP32)
    assert (int8.name, int8.role) == ("test INT8", Role.INT8)
    assert int8.manifest_path == student_dir / "student.json"
    assert int8.presets["default"].threshold == 0.1
    logits = np.asarray(reference_model(windows(recording.frames)[..., None]))
    expected = softmax(logits, axis=1)[:, [19, 20]].sum(axis=1)
    assert fp32.score(recording) == pytest.approx(expected, rel=1e-3)
    assert int8.score(recording) == pytest.approx(expected, rel=0.5)
    assert len(student_scorers(student_dir, fp32=False)) == 1


def test_a_sigmoid_student_with_named_outputs(
    tmp_path: Path,
    residual_model: keras.Model,  # noqa: F811
    residual_tflite: bytes,  # noqa: F811
    recording: Recording,
) -> None:
    (tmp_path / "student.tflite").write_bytes(residual_tflite)
    named = manifest_for(
        residual_tflite,
        activation="sigmoid",
        outputs=("cry", "speech", "cat", "music"),
        cry_outputs=(0,),
    )
    save_manifest(tmp_path / "student.json", named)
    plain(residual_model).save(tmp_path / "student.keras")
    fp32, int8 = student_scorers(tmp_path / "student.tflite", kernels=Kernels.OPTIMIZED)
    logits = np.asarray(residual_model(windows(recording.frames)[..., None]))
    assert fp32.score(recording) == pytest.approx(expit(logits[:, 0]), abs=1e-4)
    assert int8.score(recording) == pytest.approx(expit(logits[:, 0]), abs=0.1)


def pieces(recording: Recording, windows_each: int) -> Iterator[Recording]:
    """The recording as a night hands it over: pieces that overlap by half a window."""
    count = window_count(len(recording.frames))
    for first in range(0, count, windows_each):
        last = min(first + windows_each, count) - 1
        samples = recording.samples[7_680 * first : 7_680 * last + 15_600]
        yield Recording("", samples, recording.frames[48 * first : 48 * last + 96])


def test_a_student_with_memory_hears_streams(
    memory_dir: Path,  # noqa: F811
    memory_model: keras.Model,  # noqa: F811
    recording: Recording,
) -> None:
    memory_model.save(memory_dir / "student.keras")
    fp32, int8 = student_scorers(memory_dir)
    for scorer in (fp32, int8):
        whole = scorer.score(recording)
        one, other = scorer.listen(), scorer.listen()
        heard = []
        for piece in pieces(recording, 3):
            heard.append(one(piece))
            other(replace(piece, frames=-piece.frames))
        np.testing.assert_allclose(np.concatenate(heard), whole, rtol=1e-5)
        np.testing.assert_allclose(scorer.score(recording), whole, rtol=1e-5)
        assert np.abs(one(recording)[0] - whole[0]) > 1e-3 * whole[0]
    assert fp32.score(recording) == pytest.approx(int8.score(recording), rel=0.5)


def test_a_teacher_with_context_hears_streams(tmp_path: Path, recording: Recording) -> None:
    write_checkpoint(tmp_path / "mn01_as.pt", tiny_mn())
    scorer = teacher_scorer(tmp_path / "mn01_as.pt")
    assert (scorer.role, scorer.name) == (Role.TEACHER, "efficientat mn01 (unpinned)")
    whole = scorer.score(recording)
    hear = scorer.listen()
    heard = [hear(piece) for piece in pieces(recording, 3)]
    np.testing.assert_allclose(np.concatenate(heard), whole, atol=1e-3)
    assert len(whole) == window_count(len(recording.frames))
    assert whole[2] != whole[0]


def test_a_keras_file_without_the_memory_is_refused(
    memory_dir: Path,  # noqa: F811
) -> None:
    plain(seeded_model(outputs=1)).save(memory_dir / "student.keras")
    with pytest.raises(ModelError, match=r"student\.keras: is a network without memory, but"):
        student_scorers(memory_dir)


def test_a_keras_file_of_another_student_is_refused(
    student_dir: Path,  # noqa: F811
    residual_model: keras.Model,  # noqa: F811
) -> None:
    plain(residual_model).save(student_dir / "student.keras")
    with pytest.raises(ModelError, match=r"student\.keras: has 4 outputs.*521"):
        student_scorers(student_dir)
    (student_dir / "student.keras").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="not a Keras model"):
        student_scorers(student_dir)


def test_names_are_told_apart(student_dir: Path) -> None:  # noqa: F811
    (int8,) = student_scorers(student_dir)
    other = replace(int8, name="other")
    names = [scorer.name for scorer in with_unique_names([int8, other, int8, int8])]
    assert names == ["test INT8", "other", "test INT8 2", "test INT8 3"]


@pytest.mark.shared
@pytest.mark.parametrize("name", ["yamnet_rebuilt.h5", "yamnet_relu6_int8.tflite"])
def test_teachers_of_either_kind(shared: Path, recording: Recording, name: str) -> None:
    teacher = teacher_scorer(shared / "teacher" / name)
    scores = teacher.score(recording)
    assert teacher.role is Role.TEACHER and len(teacher.fingerprint) == 64
    assert scores.shape == (len(windows(recording.frames)),)
    assert np.all((scores >= 0) & (scores < 0.2))  # noise is no cry
