"""The packaged student's network with obvious, blocked and vector kernels, counted under emulation.

Needs the compilers and emulators of firmware/install-emulators.sh; counts do not depend on the
machine.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.material import Material
from benchmarks.records import Benchmark, Measured, Table
from benchmarks.sources import ROOT
from crydistill.device import emulator
from crydistill.device.export import export_c
from crydistill.student.manifest import MANIFEST_NAME, TFLITE_NAME, load_manifest
from crydistill.student.packaged import packaged_student

FIRMWARE = ROOT / "firmware"

OWN = {
    emulator.CORTEX_M0_PLUS: "assembler",
    emulator.CORTEX_M4: "SMLAD",
    emulator.CORTEX_M7: "SMLAD",
    emulator.CORTEX_M33: "SMLAD",
    emulator.CORTEX_M55: "Helium",
    emulator.RV32IMC: "",
    emulator.LX106: "",
}
"""Cores, and the instructions of their own that the kernels use."""


BENCHMARK = Benchmark(
    "kernels",
    "Kernels of the C library",
    "Executed instructions of the packaged student's network a window, and how many times fewer "
    "than with the obvious kernels of `firmware/host/obvious.c`. Every output is the same.",
    (
        "benchmarks/kernels.py", "firmware/src/crydistill_conv.c",
        "firmware/src/crydistill_kernels.c", "firmware/host/obvious.c",
        "firmware/emulator/cost.c", "src/crydistill/data/student/*.tflite",
    ),
)  # fmt: skip


def network(core: emulator.Core, model: Path) -> int:
    """Instructions of the network a window."""
    with tempfile.TemporaryDirectory(prefix="crydistill-") as build:
        return emulator.count(core, model, FIRMWARE, Path(build)).counts["network_per_window"]


def row(core: emulator.Core, own: str, model: Path) -> list[str]:
    """A line of the table."""
    obvious = network(replace(core, obvious=True), model)
    blocked = network(replace(core, plain=True), model)
    cells = [core.title, f"{obvious:,}", f"{blocked:,} ({obvious / blocked:.1f}x)"]
    if not own:
        return [*cells, ""]
    best = network(core, model)
    return [*cells, f"{best:,} ({obvious / best:.1f}x), {own}"]


def measure(material: Material) -> Measured:
    """Count."""
    emulator.require_tools(*OWN)
    student = packaged_student()
    tflite, manifest = (student / TFLITE_NAME).read_bytes(), load_manifest(student / MANIFEST_NAME)
    with tempfile.TemporaryDirectory(prefix="crydistill-") as folder:
        model = Path(folder) / "model"
        export_c(tflite, manifest, model)
        rows = [row(core, own, model) for core, own in OWN.items()]
    return Measured(
        tables=(Table(["", "obvious", "blocked, plain C", "with the core's own"], rows),)
    )
