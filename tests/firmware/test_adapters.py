"""The adapters for vendors' kernels, on stand-ins: bit for bit TFLite Micro.

The vendors' sources are not here. `cmsis_nn_stand_in.c` and `esp_nn_stand_in.c` have the signatures
and the arithmetic that the vendors document, and stop the program where the contract is broken.
"""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.firmware.programs import (
    FIRMWARE,
    Program,
    build,
    need,
    need_machine,
    on_this_computer,
    under_qemu,
)
from tests.firmware.test_engine import (
    ARENA,
    assert_equals_tflite_micro,
    int8_patches,
    random_residual_model,
    unusual_model,
)
from tests.student_fixtures import manifest_for, synthetic_patches

from crydistill.device.emulator import MACHINES
from crydistill.device.vendors import VENDORS
from crydistill.quantize.int8 import quantize_ptq
from crydistill.student.manifest import StudentManifest
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.interpreters import TfliteMicro

HERE = Path(__file__).parent
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
BOTH = pytest.mark.parametrize("kernels", VENDORS)

CORTEX_M4_FLAGS = ["-mthumb", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
LX106_FLAGS = ["-ffreestanding", "-nostdlib", f"-I{FIRMWARE / 'emulator/lx106/include'}"]


def stand_in(kernels: str, directory: Path, compiler: str, *flags: str) -> dict[str, str]:
    """Compile a vendor's stand-in; return the variables with which the Makefile uses it."""
    vendor = kernels.replace("-", "_")
    declarations = HERE / "declarations" / vendor
    directory.mkdir(exist_ok=True)
    target = directory / f"{vendor}.o"
    command = [compiler, *WARNINGS, "-O2", f"-I{declarations}", *flags]
    source = HERE / f"{vendor}_stand_in.c"
    subprocess.run([*command, "-c", str(source), "-o", str(target)], check=True, timeout=60)
    return {
        "VENDOR": vendor,
        "VENDOR_INCLUDES": str(declarations),
        "VENDOR_OBJECTS": str(target),
    }


def manifest_of(tflite: bytes) -> StudentManifest:
    facts = inspect_tflite(tflite)
    names = tuple(f"class {i}" for i in range(facts.output.shape[-1]))
    return manifest_for(tflite, outputs=names, cry_outputs=(0,))


def on_host(kernels: str, tflite: bytes, directory: Path, *flags: str) -> Program:
    """The test program on a vendor's stand-in, under sanitizers."""
    need("make", "gcc")
    used = stand_in(kernels, directory, "gcc", *SANITIZERS, *flags)
    manifest = manifest_of(tflite)
    return build("sanitize", tflite, manifest, directory, kernels=kernels, CC="gcc", **used)


@BOTH
def test_residual_network(kernels: str, residual_tflite: bytes, tmp_path: Path) -> None:
    program = on_host(kernels, residual_tflite, tmp_path)
    assert_equals_tflite_micro(program, residual_tflite)


@BOTH
def test_unusual_layers(kernels: str, tmp_path: Path) -> None:
    """Dilations, depth multipliers and pools by fives, which ESP-NN is not given."""
    tflite = quantize_ptq(unusual_model(), synthetic_patches())
    assert_equals_tflite_micro(on_host(kernels, tflite, tmp_path), tflite, 300)


@BOTH
def test_random_residual_network(kernels: str, tmp_path: Path) -> None:
    tflite = quantize_ptq(random_residual_model(3), synthetic_patches())
    assert_equals_tflite_micro(on_host(kernels, tflite, tmp_path), tflite, 300)


@BOTH
def test_packaged_student(kernels: str, tmp_path: Path) -> None:
    """With its memory, which lies beside the scratch memory in the arena."""
    need("make", "gcc")
    student = TfliteStudent.load(packaged_student())
    used = stand_in(kernels, tmp_path, "gcc")
    program = build(
        "all", student.tflite, student.manifest, tmp_path, kernels=kernels, CC="gcc", **used
    )
    patches = int8_patches(student.tflite, 300)
    expected = TfliteMicro(student.tflite, ARENA).run(patches)
    np.testing.assert_array_equal(program.network(patches, 1), expected)
    assert len(np.unique(expected)) > 40


CORES = {
    "cmsis-nn": ("cortex-m4", "m4", CORTEX_M4_FLAGS),
    "esp-nn": ("lx106", "lx106", LX106_FLAGS),
}


@BOTH
def test_under_emulation(kernels: str, residual_tflite: bytes, tmp_path: Path) -> None:
    target, machine, flags = CORES[kernels]
    need_machine(machine)
    used = stand_in(kernels, tmp_path, MACHINES[machine].compiler, *flags)
    manifest, command = manifest_of(residual_tflite), under_qemu(machine)
    program = build(target, residual_tflite, manifest, tmp_path, command, kernels=kernels, **used)
    assert_equals_tflite_micro(program, residual_tflite, 20)


@BOTH
def test_the_vendors_functions_do_the_work(
    kernels: str, residual_tflite: bytes, tmp_path: Path
) -> None:
    """With a stand-in that is off by one the results are others."""
    wrong = on_host(kernels, residual_tflite, tmp_path, "-DSTAND_IN_WRONG")
    patches = int8_patches(residual_tflite, 20)
    right = TfliteMicro(residual_tflite, ARENA).run(patches)
    assert (wrong.network(patches, right.shape[1]) != right).any(axis=1).all()


def test_what_cmsis_nn_refuses_is_computed_by_the_library(
    residual_tflite: bytes, tmp_path: Path
) -> None:
    """A student exported for a vendor has all that the library's own kernels want."""
    program = on_host("cmsis-nn", residual_tflite, tmp_path, "-DSTAND_IN_REFUSES")
    assert_equals_tflite_micro(program, residual_tflite, 100)


@BOTH
def test_too_little_scratch_memory_is_named(
    kernels: str, residual_tflite: bytes, tmp_path: Path
) -> None:
    """A vendor's version that asks for more than was planned: nothing is run."""
    program = on_host(kernels, residual_tflite, tmp_path, "-DSTAND_IN_GREEDY")
    nothing = tmp_path / "nothing"
    nothing.touch()
    command = on_this_computer(program.binary, ["network", str(nothing)])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "vendor's kernels want more scratch memory" in done.stderr


def compiled(*flags: str) -> subprocess.CompletedProcess[str]:
    """Compile the adapter for CMSIS-NN to assembler."""
    need("gcc")
    includes = [f"-I{FIRMWARE / 'src'}", f"-I{HERE / 'declarations/cmsis_nn'}"]
    adapter = str(FIRMWARE / "adapters" / "crydistill_cmsis_nn.c")
    command = ["gcc", *WARNINGS, *includes, *flags, "-S", adapter, "-o", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_single_rounding_does_not_compile() -> None:
    assert compiled().returncode == 0
    done = compiled("-DCMSIS_NN_USE_SINGLE_ROUNDING")
    assert done.returncode != 0
    assert "TensorFlow Lite Micro rounds twice" in done.stderr


def test_with_helium_dense_layers_stay() -> None:
    assert "arm_fully_connected_s8" in compiled().stdout
    assert "arm_fully_connected_s8" not in compiled("-DARM_MATH_MVEI").stdout
    assert "arm_convolve_wrapper_s8" in compiled("-DARM_MATH_MVEI").stdout
