"""Measure the C library's cost: instructions under emulation, sizes from the linker's map.

The record is for the tables of the firmware document, and for `crydistill profile` of other
students (`device.cost_record`).
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crydistill import __version__
from crydistill.device import emulator
from crydistill.device.emulator import CORES, Core
from crydistill.device.export import export_c
from crydistill.device.tools import run
from crydistill.student.manifest import StudentManifest
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.cost import LayerWork, layer_work
from crydistill.tflite.file import read_tflite

_LINKED = ("code", "libm", "tables", "student", "arena", "state")
"""Owners of bytes in the linker's map."""

_LIBRARY = (
    "crydistill",
    "crydistill_conv",
    "crydistill_detector",
    "crydistill_error",
    "crydistill_kernels",
    "crydistill_mel",
)
_SECTION = re.compile(
    r"^ \.(?P<kind>text|rodata|bss)(?:\.(?P<name>\S+))?\s+0x[0-9a-f]+\s+0x(?P<size>[0-9a-f]+) "
    r"(?P<file>\S+)$",
    re.MULTILINE,
)
_WRAPPED = re.compile(r"^( \.\S+)\n\s+(0x)", re.MULTILINE)

Record = dict[str, Any]


def measure(tflite: bytes, manifest: StudentManifest, firmware: str | Path) -> Record:
    """Measure a student's cost on every core in `emulator.CORES`.

    Parameters
    ----------
    firmware : the project's `firmware` directory

    Raises
    ------
    ConfigError
        naming the missing tools, or a tool's error.
    """
    emulator.require_tools(*CORES)
    facts = inspect_tflite(tflite, size_limit=manifest.tflite.size_bytes, name=manifest.name)
    work = layer_work(read_tflite(tflite))
    with tempfile.TemporaryDirectory(prefix="crydistill-") as name:
        model = Path(name) / "model"
        export_c(tflite, manifest, model)
        cores = {
            core.title: _measure_on(core, work, firmware, model, Path(name) / str(number))
            for number, core in enumerate(CORES)
        }
    return {
        "package_version": __version__,
        "student": {"name": manifest.name, "sha256": facts.sha256, "macs": facts.macs},
        "cores": cores,
    }


def _measure_on(
    core: Core, work: tuple[LayerWork, ...], firmware: str | Path, model: Path, build: Path
) -> Record:
    counted = emulator.count(core, model, firmware, build)
    stack = counted.counts.pop("stack_bytes")
    linker_map = counted.program.with_suffix(".map").read_text(encoding="utf-8")
    return {
        "compiler": run(core.compiler, "--version").splitlines()[0],
        "instructions": counted.counts,
        "bytes": _bytes(linker_map) | {"stack": stack},
        "layers": [
            {**asdict(layer), "instructions": count}
            for layer, count in zip(work, counted.layers, strict=True)
        ],
    }


def _bytes(linker_map: str) -> dict[str, int]:
    """Linked bytes by owner."""
    linked = linker_map.partition("Linker script and memory map")[2]
    found: Counter[str] = Counter()
    for owner, size in _owned(_WRAPPED.sub(r"\1 \2", linked)):
        found[owner] += size
    return {owner: found[owner] for owner in _LINKED}


def _owned(linked: str) -> Iterator[tuple[str, int]]:
    for section in _SECTION.finditer(linked):
        size, file = int(section["size"], 16), Path(section["file"]).name
        source = re.sub(r"^.*elf-|\.o$", "", file)
        if section["kind"] == "bss":
            if source == "cost" and section["name"] in ("arena", "ear"):
                yield ("arena" if section["name"] == "arena" else "state"), size
        elif source in _LIBRARY:
            yield "code", size
        elif source == "crydistill_tables":
            yield "tables", size
        elif source == "crydistill_model":
            yield "student", size
        elif file.startswith("libm.a("):
            yield "libm", size
