"""The C library in WebAssembly, without a student: prebuilt in the package, and how it is built."""

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from crydistill import atomic
from crydistill.device.c_tables import tables_header, tables_source
from crydistill.device.tools import require, run
from crydistill.json_file import read_json

ENGINE_NAME = "engine.wasm"
RECORD_NAME = "engine.json"

_FOLDERS = ("src", "selftest", "web")
"""Of the sources, below the firmware's folder."""


@dataclass(frozen=True)
class EngineRecord:
    """What an engine was built from.

    sources_sha256 : of the C library's sources, its tables included
    compiler : first line of what the compiler says of its version; another may make other bytes
    """

    sources_sha256: str
    compiler: str


def engine() -> bytes:
    """Return the prebuilt engine."""
    return _packaged(ENGINE_NAME).read_bytes()


def engine_record() -> EngineRecord:
    """Return what the prebuilt engine was built from."""
    return EngineRecord(**read_json(_packaged(RECORD_NAME), "install crydistill again"))


def build_engine(firmware: str | Path) -> tuple[bytes, EngineRecord]:
    """Compile the engine.

    Parameters
    ----------
    firmware : the project's `firmware/` folder

    Raises
    ------
    ConfigError
        if `make`, `clang`, `wasm-ld` or the sources are missing, or compiling fails.
    """
    require("make", "clang", "wasm-ld")
    record = EngineRecord(sources_sha256(firmware), run("clang", "--version").splitlines()[0])
    with tempfile.TemporaryDirectory(prefix="crydistill-") as name:
        folder = Path(name)
        atomic.write_text(folder / "crydistill_tables.h", tables_header())
        atomic.write_text(folder / "crydistill_tables.c", tables_source())
        settings = (f"MODEL={folder}", f"BUILD={folder}", "WEB_CC=clang")
        run("make", "-C", str(Path(firmware).resolve()), *settings, "web")
        return (folder / ENGINE_NAME).read_bytes(), record


def write_engine(firmware: str | Path, directory: str | Path) -> tuple[Path, Path]:
    """Compile the engine and write it with its record; return both paths.

    Raises
    ------
    ConfigError
        as `build_engine`.
    """
    made, record = build_engine(firmware)
    paths = Path(directory) / ENGINE_NAME, Path(directory) / RECORD_NAME
    atomic.write_bytes(paths[0], made)
    atomic.write_text(paths[1], json.dumps(asdict(record), indent=2) + "\n")
    return paths


def sources_sha256(firmware: str | Path) -> str:
    """Fingerprint of all that the engine is compiled from."""
    found = hashlib.sha256((tables_header() + tables_source()).encode())
    for folder in _FOLDERS:
        for path in sorted((Path(firmware) / folder).rglob("*.[ch]")):
            content = path.read_bytes()
            found.update(f"{path.relative_to(firmware).as_posix()} {len(content)}\n".encode())
            found.update(content)
    return found.hexdigest()


def _packaged(name: str) -> Path:
    return Path(str(files("crydistill.web").joinpath(name)))
