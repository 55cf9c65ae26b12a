import json
from hashlib import sha256
from pathlib import Path

import keras
import numpy as np
import pytest
from tests.student_fixtures import MEMORY_WINDOWS, manifest_for

from crydistill.audio.mel import LogMel
from crydistill.errors import ModelError
from crydistill.student.keras_model import logits_of
from crydistill.student.manifest import load_manifest, save_manifest
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.interpreters import Kernels


@pytest.fixture
def student(student_dir: Path) -> TfliteStudent:
    return TfliteStudent.load(student_dir)


def test_logits_follow_the_float_network(
    student: TfliteStudent, reference_model: keras.Model, patches: LogMel
) -> None:
    logits = student.logits(patches)
    assert logits.shape == (200, 521)
    assert logits.dtype == np.float32
    expected = reference_model.predict(patches, verbose=0)
    # An int8 network is off by a few steps; a wrong layout or zero point is off by hundreds.
    assert np.abs(logits - expected).mean() < 3 * student.facts.output.scale
    assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.99


def test_windows_do_not_depend_on_their_neighbours(student: TfliteStudent, patches: LogMel) -> None:
    together = student.logits(patches[:6])
    apart = np.concatenate([student.logits(patches[i : i + 1]) for i in (5, 3, 1, 0, 2, 4)])
    np.testing.assert_array_equal(together[[5, 3, 1, 0, 2, 4]], apart)


def test_softmax_probabilities_and_cry_scores(student: TfliteStudent, patches: LogMel) -> None:
    logits = student.logits(patches[:20]).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = student.probabilities(patches[:20])
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    scores = student.cry_scores(patches[:20])
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected[:, 19] + expected[:, 20], rtol=1e-5)


def test_sigmoid_probabilities(student_dir: Path, reference_tflite: bytes, patches: LogMel) -> None:
    manifest = manifest_for(reference_tflite, activation="sigmoid", cry_outputs=(3,))
    save_manifest(student_dir / "student.json", manifest)
    student = TfliteStudent.load(student_dir)
    expected = 1 / (1 + np.exp(-student.logits(patches[:20]).astype(np.float64)))
    np.testing.assert_allclose(student.probabilities(patches[:20]), expected, rtol=1e-5)
    np.testing.assert_allclose(student.cry_scores(patches[:20]), expected[:, 3], rtol=1e-5)


def test_no_windows(student: TfliteStudent) -> None:
    none = np.empty((0, 96, 64), dtype=np.float32)
    assert student.probabilities(none).shape == (0, 521)
    assert student.cry_scores(none).shape == (0,)


@pytest.mark.parametrize(
    ("kernels", "steps", "share"), [(Kernels.OPTIMIZED, 1, 0.01), (Kernels.XNNPACK, 2, 0.5)]
)
def test_faster_kernels_stay_near_the_reference(
    student_dir: Path, patches: LogMel, kernels: Kernels, steps: int, share: float
) -> None:
    reference = TfliteStudent.load(student_dir).logits(patches)
    fast = TfliteStudent.load(student_dir, kernels)
    difference = np.abs(fast.logits(patches) - reference) / fast.facts.output.scale
    assert difference.max() < steps + 0.5
    assert (difference > 0.5).mean() < share


def test_opens_a_tflite_with_the_manifest_of_the_same_name(
    student_dir: Path, patches: LogMel
) -> None:
    expected = TfliteStudent.load(student_dir).logits(patches[:2])
    (student_dir / "student.tflite").rename(student_dir / "other.tflite")
    (student_dir / "student.json").rename(student_dir / "other.json")
    found = TfliteStudent.load(student_dir / "other.tflite").logits(patches[:2])
    np.testing.assert_array_equal(found, expected)


def test_refuses_another_file_than_the_manifests(student_dir: Path) -> None:
    path = student_dir / "student.tflite"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match=r"student\.tflite: its sha256 is not the one in student"):
        TfliteStudent.load(student_dir)


def test_refuses_half_a_student(student_dir: Path) -> None:
    (student_dir / "student.json").unlink()
    with pytest.raises(ModelError, match=r"student\.json: cannot be read"):
        TfliteStudent.load(student_dir)
    (student_dir / "student.tflite").unlink()
    with pytest.raises(ModelError, match=f"{student_dir}: holds no student.tflite; name a"):
        TfliteStudent.load(student_dir)


@pytest.mark.parametrize("name", ["nowhere", "nowhere.tflite"])
def test_a_path_that_is_not_there_is_named(student_dir: Path, name: str) -> None:
    with pytest.raises(ModelError, match=f"{name}: no such file or folder; name a student's"):
        TfliteStudent.load(student_dir / name)


def test_refuses_a_manifest_that_belies_the_file(student_dir: Path) -> None:
    path = student_dir / "student.json"
    content = json.loads(path.read_text())
    content["output"]["scale"] *= 2
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"student\.json: output: says"):
        TfliteStudent.load(student_dir)


def test_refuses_another_front_end(student_dir: Path) -> None:
    path = student_dir / "student.json"
    content = json.loads(path.read_text())
    content["front_end"]["frame_hop"] = 200
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"student\.json: front_end\.frame_hop: .* 200, "):
        TfliteStudent.load(student_dir)


def test_refuses_a_foreign_file_whose_manifest_vouches_for_it(
    student_dir: Path, reference_tflite: bytes
) -> None:
    cut = reference_tflite[:50_000]
    (student_dir / "student.tflite").write_bytes(cut)
    path = student_dir / "student.json"
    content = json.loads(path.read_text())
    content["tflite"]["sha256"] = sha256(cut).hexdigest()
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"student\.tflite: .*cut short"):
        TfliteStudent.load(student_dir)


def test_a_student_may_be_as_large_as_its_manifest_says_and_no_larger(student_dir: Path) -> None:
    manifest = load_manifest(student_dir / "student.json")
    less = manifest.tflite.model_copy(update={"size_bytes": manifest.tflite.size_bytes - 1})
    save_manifest(student_dir / "student.json", manifest.model_copy(update={"tflite": less}))
    with pytest.raises(ModelError, match=f"larger than {less.size_bytes:,} bytes"):
        TfliteStudent.load(student_dir)


class TestMemory:
    @pytest.fixture
    def student(self, memory_dir: Path) -> TfliteStudent:
        return TfliteStudent.load(memory_dir)

    def test_scores_do_not_depend_on_how_the_windows_arrive(
        self, student: TfliteStudent, patches: LogMel
    ) -> None:
        whole = student.listener().push(patches)
        for size in (1, 7, 150):
            listener = student.listener()
            pieces = [listener.push(patches[i : i + size]) for i in range(0, len(patches), size)]
            np.testing.assert_array_equal(np.concatenate(pieces), whole)

    def test_logits_follow_the_float_network(
        self, student: TfliteStudent, memory_model: keras.Model, patches: LogMel
    ) -> None:
        logits, expected = student.logits(patches), logits_of(memory_model, patches)
        assert np.abs(logits - expected).mean() < 3 * student.facts.output.scale
        assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.99

    def test_the_past_counts_until_it_is_forgotten(
        self, student: TfliteStudent, patches: LogMel
    ) -> None:
        listener = student.listener()
        fresh = listener.logits(patches[:8])
        assert (listener.logits(patches[:8])[:MEMORY_WINDOWS] != fresh[:MEMORY_WINDOWS]).any()
        listener.reset()
        np.testing.assert_array_equal(listener.logits(patches[:8]), fresh)

    def test_each_call_and_each_listener_is_a_stream_of_its_own(
        self, student: TfliteStudent, patches: LogMel
    ) -> None:
        expected = student.cry_scores(patches[:20])
        one, other = student.listener(), student.listener()
        heard = []
        for patch, foreign in zip(patches[:20, None], patches[20:40, None], strict=True):
            heard.append(one.push(patch))
            other.push(foreign)
        np.testing.assert_array_equal(np.concatenate(heard), expected)
        np.testing.assert_array_equal(student.cry_scores(patches[:20]), expected)

    def test_a_manifest_that_belies_the_memory_is_refused(self, memory_dir: Path) -> None:
        path = memory_dir / "student.json"
        manifest = load_manifest(path)
        assert manifest.memory is not None
        wrong = manifest.memory.model_copy(update={"zero_point": 3})
        for memory in (wrong, None):
            version = 2 if memory else 1
            changes = {"memory": memory, "format_version": version}
            save_manifest(path, manifest.model_copy(update=changes))
            with pytest.raises(ModelError, match=r"student\.json: memory: says"):
                TfliteStudent.load(memory_dir)
