"""The kernels against obvious ones on random layers: `firmware/host/kernels.c`."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.firmware.programs import FIRMWARE, build, make, need, need_machine, under_qemu
from tests.student_fixtures import manifest_for, synthetic_patches

from crydistill.tflite.interpreters import quantize

OWN_INSTRUCTIONS = (".syntax unified\n1:", "smlad", "vmladava.s8")
"""Of the kernels that are not plain C, as they stand in the assembler."""


def compared(target: str, directory: Path, layers: int, seed: int, **variables: str) -> str:
    """Build the comparison and run it; return what it prints."""
    make(target, BUILD=str(directory), **variables)
    if target == "kernels":
        command = [str(directory / target), str(layers), str(seed)]
    else:
        machine = target.removeprefix("kernels-")
        command = under_qemu(machine)(directory / f"{target}.elf", [str(layers), str(seed)])
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_most_layers_compared(printed: str, layers: int) -> None:
    counts = dict(line.split() for line in printed.splitlines())
    assert counts.keys() == {"conv", "depthwise", "dense", "add"}
    assert all(int(count) > layers // 2 for count in counts.values())


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(("seed", "narrow"), [(1, ""), (2, "1")])
def test_random_layers_under_sanitizers(
    compiler: str, seed: int, narrow: str, tmp_path: Path
) -> None:
    need("make", compiler)
    printed = compared("kernels", tmp_path, 400, seed, CC=compiler, NARROW=narrow)
    assert_most_layers_compared(printed, 400)


@pytest.mark.parametrize("plain", ["", "1"])
@pytest.mark.parametrize("optimised", ["-O2", "-Os"])
@pytest.mark.parametrize("core", ["m0", "m4", "m7", "m33", "m55", "rv32imc", "rv32imafc"])
def test_random_layers_under_emulation(
    core: str, optimised: str, plain: str, tmp_path: Path
) -> None:
    need_machine(core)
    printed = compared(f"kernels-{core}", tmp_path, 50, 3, PLAIN=plain, CFLAGS=optimised)
    assert_most_layers_compared(printed, 50)


@pytest.mark.parametrize(
    ("core", "instruction"),
    [("m0", ".syntax unified\n1:"), ("m4", "smlad"), ("m7", "smlad"), ("m33", "smlad"),
     ("m55", "vmladava.s8")],
)  # fmt: skip
def test_instructions_are_those_of_the_core(core: str, instruction: str, tmp_path: Path) -> None:
    """And with PLAIN=1 there is nothing but C."""
    need_machine(core)
    target = f"kernels-{core}"
    for plain in ("", "1"):
        compared(target, tmp_path, 1, 1, PLAIN=plain)
        assembler = (tmp_path / f"{target}.elf-crydistill_conv.s").read_text(encoding="utf-8")
        found = {word for word in OWN_INSTRUCTIONS if word in assembler}
        assert found == (set() if plain else {instruction})
        (tmp_path / f"{target}.elf").unlink()


def test_the_obvious_kernels_of_the_benchmark_give_the_same(
    student_tflite: bytes, tmp_path: Path
) -> None:
    need("make", "gcc")
    patches, manifest = synthetic_patches(20), manifest_for(student_tflite)
    port = manifest.input
    steps, found = quantize(patches, port.scale, port.zero_point), []
    for obvious in ("", "1"):
        directory = tmp_path / f"obvious{obvious}"
        program = build("all", student_tflite, manifest, directory, CC="gcc", OBVIOUS=obvious)
        found.append(program.network(steps, manifest.output.shape[-1]))
    assert len({logits.tobytes() for logits in found}) == 1
    assert found[0].std() > 0


def test_a_wrong_kernel_is_noticed(tmp_path: Path) -> None:
    """The comparison itself: with a kernel that rounds another way it fails."""
    need("gcc")
    sources = FIRMWARE / "src"
    for path in sources.glob("*.[ch]"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    rounding = tmp_path / "crydistill_requantize.h"
    text = rounding.read_text(encoding="utf-8")
    wrong = text.replace("(high + (high >> 31))", "(high)")
    assert wrong != text
    rounding.write_text(wrong, encoding="utf-8")
    program = tmp_path / "wrong"
    files = [tmp_path / "crydistill_conv.c", tmp_path / "crydistill_kernels.c"]
    host = FIRMWARE / "host" / "kernels.c"
    subprocess.run(["gcc", f"-I{tmp_path}", *files, host, "-o", program], check=True, timeout=60)
    command = [program, "400", "1"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"\w+ \d+: output \d+ is -?\d+, not -?\d+\n", done.stdout)
