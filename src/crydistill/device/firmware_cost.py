"""Measure the C library's instructions and memory with emulators and the linker.

The figures are for `docs/firmware.md`, and for `crydistill profile` of other students
(`device.cost_record`). `measure` counts on every core in `CORES`; sizes come from the linker's map.
`update_document` writes the figures into the blocks of a document:

    <!-- firmware: instructions -->
    ... replaced ...
    <!-- end -->
"""

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crydistill import __version__, atomic
from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.device import emulator
from crydistill.device.emulator import CORTEX_M4, CORTEX_M4_INTEGERS, CORTEX_M7, LX106, Core
from crydistill.device.export import export_c
from crydistill.device.tools import run
from crydistill.student.manifest import StudentManifest
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.cost import LayerWork, layer_work
from crydistill.tflite.file import read_tflite

CORES = (CORTEX_M4, CORTEX_M4_INTEGERS, CORTEX_M7, LX106)

_COUNTED = {
    "front_end_per_second": "front end, instructions per second of audio",
    "network_per_window": "network, instructions per window",
    "score_per_window": "score, instructions per window",
    "vote_per_window": "vote, instructions per window",
}
_MEMORY = {
    "code": "code of the library with this student's kernels",
    "libm": "libm's part of that work",
    "tables": "tables of the front end",
    "student": "student",
    "arena": "arena (RAM)",
    "state": "`struct crydistill` (RAM)",
    "stack": "stack (RAM)",
}

_LIBRARY = ("crydistill", "crydistill_detector", "crydistill_kernels", "crydistill_mel")
_SECTION = re.compile(
    r"^ \.(?P<kind>text|rodata|bss)(?:\.(?P<name>\S+))?\s+0x[0-9a-f]+\s+0x(?P<size>[0-9a-f]+) "
    r"(?P<file>\S+)$",
    re.MULTILINE,
)
_WRAPPED = re.compile(r"^( \.\S+)\n\s+(0x)", re.MULTILINE)
_BLOCK = re.compile(r"<!-- firmware: ([a-z]+) -->\n.*?<!-- end -->", re.DOTALL)

Record = dict[str, Any]


def measure(tflite: bytes, manifest: StudentManifest, firmware: str | Path) -> Record:
    """Measure a student's cost on every core in `CORES`.

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
    return {owner: found[owner] for owner in _MEMORY if owner != "stack"}


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


def update_document(path: str | Path, record: Record) -> bool:
    """Regenerate the tables of a document; return whether anything changed."""
    text = Path(path).read_text(encoding="utf-8")
    tables: dict[str, Callable[[Record], str]] = {
        "instructions": _instruction_table,
        "memory": _memory_table,
    }

    def block(match: re.Match[str]) -> str:
        return f"<!-- firmware: {match[1]} -->\n{tables[match[1]](record)}\n<!-- end -->"

    updated = _BLOCK.sub(block, text)
    if updated == text:
        return False
    atomic.write_text(path, updated)
    return True


def _instruction_table(record: Record) -> str:
    rows = {
        title: [core["instructions"][part] for core in record["cores"].values()]
        for part, title in _COUNTED.items()
    }
    lines = _table(list(record["cores"]), {t: [f"{n:,}" for n in r] for t, r in rows.items()})
    per_second = [_million_per_second(core["instructions"]) for core in record["cores"].values()]
    lines.append(_row(["all, million instructions per second of audio", *per_second]))
    student = record["student"]
    lines.append(
        f"\nStudent {student['sha256'][:10]}, {student['macs']:,} multiply-accumulates per window."
    )
    return "\n".join(lines)


def _million_per_second(counts: dict[str, int]) -> str:
    windows = sum(count for part, count in counts.items() if part.endswith("_per_window"))
    return f"{(counts['front_end_per_second'] + windows / WINDOW_HOP_SECONDS) / 1e6:.1f}"


def _memory_table(record: Record) -> str:
    cores = record["cores"]
    rows = {
        title: [f"{core['bytes'][part]:,}" for core in cores.values()]
        for part, title in _MEMORY.items()
    }
    return "\n".join(_table(list(cores), rows))


def _table(columns: list[str], rows: dict[str, list[str]]) -> list[str]:
    head = [_row(["", *columns]), _row(["---", *["---:"] * len(columns)])]
    return head + [_row([title, *cells]) for title, cells in rows.items()]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
