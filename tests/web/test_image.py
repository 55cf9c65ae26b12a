"""Students as data: any that the C export takes, the same bytes each time."""

from pathlib import Path

import numpy as np
import pytest
from tests.firmware.programs import build as build_host
from tests.firmware.programs import need, scene
from tests.student_fixtures import (  # noqa: F401 - fixtures
    manifest_for,
    memory_tflite,
    reference_tflite,
    residual_tflite,
)
from tests.web.node import HEAR, put_engine, read_floats, run_in_node

from crydistill.errors import ModelError
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.check import inspect_tflite
from crydistill.web.engine import engine
from crydistill.web.image import student_image

SCORES = """
const scores = [], result = engine.selftest();
engine.onWindow = (score) => scores.push(score);
engine.start();
engine.push(new Int16Array(new Uint8Array(fs.readFileSync("pcm")).buffer));
fs.writeFileSync("scores", Float32Array.from(scores));
give(result);
"""


def test_the_same_student_gives_the_same_bytes(packaged: TfliteStudent) -> None:
    made = [student_image(packaged.tflite, packaged.manifest) for _ in range(2)]
    assert made[0] == made[1]


@pytest.mark.parametrize("name", ["memory_tflite", "reference_tflite", "residual_tflite"])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_every_kind_of_student_runs_as_on_the_host(
    name: str, activation: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    need("make", "gcc")
    tflite = request.getfixturevalue(name)
    outputs = inspect_tflite(tflite).output.shape[-1]
    named = {"outputs": tuple("abcd"), "cry_outputs": (0, 2)} if outputs == 4 else {}
    manifest = manifest_for(tflite, activation=activation, **named)
    host = build_host("all", tflite, manifest, tmp_path, CC="gcc", FIXED="1")
    pcm = scene(20, seed=5)
    (tmp_path / "pcm").write_bytes(pcm.tobytes())
    put_engine(tmp_path, engine(), student_image(tflite, manifest))
    assert run_in_node(tmp_path, HEAR + SCORES) == "passed"
    expected, _ = host.windows(pcm)
    found = read_floats(tmp_path / "scores")
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))
    assert len(found) > 35


def test_the_self_test_notices_a_student_that_is_not_its_own(
    packaged: TfliteStudent, tmp_path: Path
) -> None:
    image = bytearray(student_image(packaged.tflite, packaged.manifest))
    middle = len(image) // 2  # weights
    image[middle : middle + 2_000] = bytes(2_000)
    put_engine(tmp_path, engine(), bytes(image))
    assert run_in_node(tmp_path, HEAR + "give(engine.selftest());").startswith("failed")


def test_another_version_is_refused_in_a_line(packaged: TfliteStudent, tmp_path: Path) -> None:
    image = bytearray(student_image(packaged.tflite, packaged.manifest))
    image[0] += 1
    put_engine(tmp_path, engine(), bytes(image))
    head, _, opening = HEAR.partition("const engine = ")
    program = f"{head}try {{ {opening.strip()} }} catch (error) {{ give(error.message); }}"
    assert "different versions" in run_in_node(tmp_path, program)


def test_manifest_and_student_that_do_not_belong_together_are_refused(
    packaged: TfliteStudent,
    residual_tflite: bytes,  # noqa: F811 - the fixture
) -> None:
    with pytest.raises(ModelError, match="sha256"):
        student_image(residual_tflite, packaged.manifest)
