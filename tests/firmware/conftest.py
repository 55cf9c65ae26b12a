import keras
import pytest
from tests.firmware.programs import Program, build, need, under_qemu
from tests.student_fixtures import (  # noqa: F401 - fixtures
    manifest_for,
    residual_tflite,
    seeded_model,
    synthetic_patches,
)

from crydistill.quantize.int8 import quantize_ptq


@pytest.fixture(scope="session")
def student_tflite() -> bytes:
    """The reference student, not trained, but normalised so that it tells windows apart."""
    model, patches = seeded_model(), synthetic_patches()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(patches[..., None], training=True)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([4 * kernel, bias])
    return quantize_ptq(model, patches)


@pytest.fixture(scope="session", params=["gcc", "clang"])
def program(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    student_tflite: bytes,
) -> Program:
    """The program with the student, by each compiler."""
    need("make", request.param)
    directory = tmp_path_factory.mktemp(request.param)
    manifest = manifest_for(student_tflite)
    return build("all", student_tflite, manifest, directory, CC=request.param)


@pytest.fixture(scope="session", params=["gcc", "clang"])
def sanitized(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    student_tflite: bytes,
) -> Program:
    """The same; it ends with an error at the first access or operation that C leaves undefined."""
    need("make", request.param)
    directory = tmp_path_factory.mktemp(f"{request.param}-sanitized")
    manifest = manifest_for(student_tflite)
    return build("sanitize", student_tflite, manifest, directory, CC=request.param)


BOARDS = {"cortex-m4": "mps2-an386", "cortex-m7": "mps2-an500"}


@pytest.fixture(scope="session", params=BOARDS)
def emulated(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    student_tflite: bytes,
) -> Program:
    """The same on emulated microcontrollers."""
    need("make", "arm-none-eabi-gcc", "qemu-system-arm")
    command = under_qemu(BOARDS[request.param])
    directory = tmp_path_factory.mktemp(request.param)
    manifest = manifest_for(student_tflite)
    return build(request.param, student_tflite, manifest, directory, command)
