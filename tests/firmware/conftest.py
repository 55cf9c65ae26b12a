import keras
import pytest
from tests.firmware.programs import (
    Emulated,
    Program,
    build,
    need,
    need_machine,
    need_sanitizer,
    under_qemu,
)
from tests.student_fixtures import (  # noqa: F401 - fixtures
    manifest_for,
    memory_tflite,
    residual_tflite,
    seeded_model,
    synthetic_patches,
)

from crydistill.quantize.int8 import quantize_ptq


@pytest.fixture(scope="session")
def student_tflite() -> bytes:
    """The reference student, untrained, but normalised to give different outputs per window."""
    model, patches = seeded_model(), synthetic_patches()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(patches[..., None], training=True)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([4 * kernel, bias])
    return quantize_ptq(model, patches)


HOSTS = {"gcc": {}, "clang": {}, "gcc-fixed": {"FIXED": "1"}}
"""A compiler, and perhaps the front end in integers."""

SANITIZERS = "address,undefined"
"""Of the target `sanitize`."""


def on_host(
    host: str, target: str, student_tflite: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Program:
    compiler = host.removesuffix("-fixed")
    need("make", compiler)
    directory = tmp_path_factory.mktemp(f"{host}-{target}")
    if target == "sanitize":
        need_sanitizer(compiler, SANITIZERS, directory)
    manifest = manifest_for(student_tflite)
    return build(target, student_tflite, manifest, directory, CC=compiler, **HOSTS[host])


@pytest.fixture(scope="session", params=HOSTS)
def program(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    student_tflite: bytes,
) -> Program:
    """The program with the student, for each compiler and either front end."""
    return on_host(request.param, "all", student_tflite, tmp_path_factory)


@pytest.fixture(scope="session", params=HOSTS)
def sanitized(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    student_tflite: bytes,
) -> Program:
    """The same with sanitizers: fails at the first invalid access or undefined operation."""
    return on_host(request.param, "sanitize", student_tflite, tmp_path_factory)


BOARDS = {
    "cortex-m0": ("m0", True),
    "cortex-m4": ("m4", False),
    "cortex-m4-fixed": ("m4", True),
    "cortex-m7": ("m7", False),
    "cortex-m33": ("m33", False),
    "cortex-m55": ("m55", False),
    "rv32imc": ("rv32imc", True),
    "rv32imafc": ("rv32imafc", False),
    "lx106": ("lx106", True),
}
"""The machine, and whether the front end is the one in integers."""


def under_emulation(
    board: str, tflite: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Emulated:
    machine, fixed = BOARDS[board]
    need_machine(machine)
    need("gcc")
    directory = tmp_path_factory.mktemp(board)
    manifest, front_end = manifest_for(tflite), {"FIXED": "1"} if fixed else {}
    host = build("all", tflite, manifest, directory, CC="gcc", **front_end)
    target = board.removesuffix("-fixed")
    made = build(target, tflite, manifest, directory, under_qemu(machine), **front_end)
    return Emulated(made.binary, made.command, fixed, host)


@pytest.fixture(scope="session", params=BOARDS)
def emulated(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    student_tflite: bytes,
) -> Emulated:
    """The same on emulated microcontrollers."""
    return under_emulation(request.param, student_tflite, tmp_path_factory)


@pytest.fixture(scope="session", params=BOARDS)
def emulated_with_memory(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    memory_tflite: bytes,  # noqa: F811 - the fixture
) -> Emulated:
    """The program with a small student with memory on emulated microcontrollers."""
    return under_emulation(request.param, memory_tflite, tmp_path_factory)


@pytest.fixture(scope="session", params=HOSTS)
def sanitized_with_memory(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    memory_tflite: bytes,  # noqa: F811 - the fixture
) -> Program:
    """The program with a small student with memory under sanitizers."""
    return on_host(request.param, "sanitize", memory_tflite, tmp_path_factory)
