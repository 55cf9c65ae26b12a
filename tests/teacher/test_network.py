import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.teacher.contract import assert_keeps_the_contract, noise

from crydistill import settings
from crydistill.audio.mel import log_mel
from crydistill.audio.windows import windows
from crydistill.download import sha256_of
from crydistill.errors import TeacherError
from crydistill.teacher.base import Recording, Teacher
from crydistill.teacher.fetch import teacher_path
from crydistill.teacher.load import load_teacher

pytest.importorskip("keras", reason="needs the full install")

from crydistill.teacher.network import WINDOWS_PER_CALL

ROOT = Path(__file__).parents[2]

SINE_CLASSES = [383, 387, 388, 382, 512]
SINE_SCORES = np.array([0.990763, 0.985571, 0.972617, 0.929680, 0.147160])
"""Published for yamnet.h5 and half a second of a 440 Hz sine."""

REBUILT_OFFSETS = np.array([-0.029, -0.105, 0.020, -0.080, -0.138])
"""Difference of the rebuilt weights' logits from the published ones."""


def sine() -> Recording:
    """The input of the published check, computed in float32 like the original."""
    t = np.arange(16_000, dtype=np.float32) / 16_000
    samples = (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[:15_600]
    return Recording("sine", samples, log_mel(samples))


def logit(scores: npt.ArrayLike) -> npt.NDArray[np.float64]:
    p = np.asarray(scores, dtype=np.float64)
    return np.asarray(np.log(p / (1 - p)))


@pytest.fixture(scope="module")
def rebuilt(shared: Path) -> Teacher:
    return load_teacher(shared / "teacher" / "yamnet_rebuilt.h5")


@pytest.mark.shared
def test_sine_with_the_rebuilt_weights(rebuilt: Teacher) -> None:
    (found,) = rebuilt.logits([sine()])
    assert found.shape == (1, 521)
    np.testing.assert_allclose(
        found[0, SINE_CLASSES] - logit(SINE_SCORES), REBUILT_OFFSETS, atol=0.002
    )


def test_sine_with_the_official_weights() -> None:
    path = teacher_path(settings.cache_dir())
    if not path.is_file():
        pytest.skip("needs the official weights: crydistill teacher fetch")
    teacher = load_teacher(path)
    assert teacher.name == "yamnet"
    (found,) = teacher.logits([sine()])
    np.testing.assert_allclose(1 / (1 + np.exp(-found[0, SINE_CLASSES])), SINE_SCORES, atol=1e-4)


@pytest.mark.shared
def test_identity(rebuilt: Teacher, shared: Path) -> None:
    assert rebuilt.name == "yamnet (rebuilt)"
    assert rebuilt.fingerprint == sha256_of(shared / "teacher" / "yamnet_rebuilt.h5")


@pytest.mark.shared
def test_it_keeps_the_contract(rebuilt: Teacher) -> None:
    assert_keeps_the_contract(rebuilt)


@pytest.mark.shared
def test_calls_at_the_same_time_give_what_one_after_the_other_does(shared: Path) -> None:
    """Bit for bit: stores do not depend on how the work was divided."""
    from crydistill.teacher.yamnet import load_yamnet

    weights = shared / "teacher" / "yamnet_rebuilt.h5"
    recordings = [noise(seed, count) for seed, count in enumerate((130, 1, 40))]
    found = np.concatenate(load_teacher(weights).logits(recordings))
    plain, patches = load_yamnet(weights), np.concatenate([windows(r.frames) for r in recordings])
    plain.compile(jit_compile=False)
    batches = np.split(patches, range(WINDOWS_PER_CALL, len(patches), WINDOWS_PER_CALL))
    expected = np.concatenate([plain.predict_on_batch(batch) for batch in batches])
    assert found.tobytes() == expected.tobytes()


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "opening", "scoring", "most"),
    [
        ("yamnet_rebuilt.h5", "load_teacher", "logits([recording])[0]", 5e-4),
        ("efficientat_mn04_as.pt", "load_efficientat", "causal_logits(recording.samples)", 1e-4),
    ],
)
def test_pytorch_gives_the_same_scores_but_for_rounding(
    file: str, opening: str, scoring: str, most: float, shared: Path, tmp_path: Path
) -> None:
    """Twenty times what recordings were measured to differ by; a store keeps float16."""
    pytest.importorskip("torch", reason="needs the extra torch")
    program = (
        "import sys, numpy as np\n"
        "from tests.teacher.contract import noise\n"
        f"from crydistill.teacher.load import {opening} as opened\n"
        f"teacher, recording = opened(sys.argv[1]), noise(1, 6)\n"
        f"np.save(sys.argv[2], teacher.{scoring})\n"
    )
    for backend in ("tensorflow", "torch"):
        subprocess.run(
            [sys.executable, "-c", program, shared / "teacher" / file, tmp_path / backend],
            check=True, cwd=ROOT, env={**os.environ, "KERAS_BACKEND": backend},
        )  # fmt: skip
    one, other = (np.load(tmp_path / f"{name}.npy") for name in ("tensorflow", "torch"))
    np.testing.assert_allclose(one, other, atol=most, rtol=0)
    assert one.std() > 0.1


@pytest.mark.shared
def test_changed_weights_are_not_called_by_a_known_name(shared: Path, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "yamnet.h5"
    path.write_bytes((shared / "teacher" / "yamnet_rebuilt.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file["logits/logits/bias:0"][0] += 1.0
    assert load_teacher(path).name == "yamnet (unofficial)"


def test_an_empty_hdf5_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "other.h5"
    h5py.File(path, "w").close()
    with pytest.raises(TeacherError, match=r"other\.h5: has no tensor"):
        load_teacher(path)
