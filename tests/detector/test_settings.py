import numpy as np
import pytest

from crydistill.detector.settings import reachable_score, require_reachable
from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError
from crydistill.student.activation import activate
from crydistill.student.manifest import StudentManifest, load_manifest
from crydistill.student.packaged import packaged_student
from crydistill.taxonomy import cry_score
from crydistill.tflite.interpreters import dequantize


@pytest.fixture(scope="module")
def packaged() -> StudentManifest:
    return load_manifest(packaged_student() / "student.json")


def test_the_reachable_score_is_that_of_the_largest_int8_step(packaged: StudentManifest) -> None:
    steps = np.arange(-128, 128, dtype=np.int8)[:, None]
    logits = dequantize(steps, packaged.output.scale, packaged.output.zero_point)
    scores = cry_score(activate(logits, packaged.activation), packaged.cry_outputs)
    assert np.float32(reachable_score(packaged)) == scores.max()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_no_combination_of_outputs_gives_more(packaged: StudentManifest, activation: str) -> None:
    output = packaged.output.model_copy(update={"shape": (1, 4), "scale": 0.02})
    manifest = packaged.model_copy(
        update={"output": output, "cry_outputs": (1, 2), "activation": activation}
    )
    steps = np.random.default_rng(0).choice([-128, 0, 127], (500, 4)).astype(np.int8)
    steps[0] = (-128, 127, 127, -128)
    logits = dequantize(steps, output.scale, output.zero_point)
    scores = cry_score(activate(logits, manifest.activation), manifest.cry_outputs)
    assert reachable_score(manifest) == pytest.approx(scores.max(), rel=1e-6)


def test_a_threshold_is_refused_from_just_above_the_largest_score(
    packaged: StudentManifest,
) -> None:
    largest = np.float32(reachable_score(packaged))
    for fine in (0.0, 0.5, float(largest)):
        require_reachable(VoteSettings(threshold=fine), packaged, source="here")
    for dead in (float(np.nextafter(largest, np.float32(1))), 1.0, 1.3):
        with pytest.raises(ConfigError, match="no score of the student memory-seed0 "):
            require_reachable(VoteSettings(threshold=dead), packaged, source="here")
