"""Locate and copy the hand-written C sources of the device library.

In an installed package they are inside (`crydistill/firmware`, included when the wheel is built);
in a checkout, next to `src`.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from crydistill import atomic
from crydistill.errors import ConfigError


def firmware_directory() -> Path:
    """Directory that contains `src`, `adapters`, `selftest`, `esp-idf`, `web` and `packages`.

    Raises
    ------
    ConfigError
        if the package was installed without it.
    """
    package = Path(str(files("crydistill")))
    for candidate in (package / "firmware", package.parents[1] / "firmware"):
        if (candidate / "src" / "crydistill.h").is_file():
            return candidate
    raise ConfigError(
        f"{package / 'firmware'}: the C library is missing; install crydistill from its wheel"
    )


def esphome_directory() -> Path:
    """Directory of the ESPHome component, as of its readme."""
    return firmware_directory().parent / "integrations" / "esphome"


def copy_licence(directory: str | Path) -> Path:
    """Copy the library's licence to a directory; return the copy."""
    copy = Path(directory) / "LICENSE"
    atomic.write_bytes(copy, (firmware_directory().parent / "LICENSE").read_bytes())
    return copy


def copy_library(directory: str | Path) -> tuple[Path, ...]:
    """Copy the library's C files to a directory; files of the same names are replaced."""
    return copy_tree(firmware_directory() / "src", directory)


def copy_adapter(adapter: str, directory: str | Path) -> tuple[Path, ...]:
    """Copy a vendor's adapter (`Vendor.adapter`) to a directory; existing files are replaced."""
    source = firmware_directory() / "adapters"
    copies = []
    for name in (f"{adapter}.h", f"{adapter}.c"):
        copies.append(Path(directory) / name)
        atomic.write_bytes(copies[-1], (source / name).read_bytes())
    return tuple(copies)


def copy_tree(
    source: Path, directory: str | Path, values: Mapping[str, str | int] | None = None
) -> tuple[Path, ...]:
    """Copy all files below `source`; return the copies, sorted.

    values : what stands for @NAME@ in the files, by name
    """
    copies = []
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            copy = Path(directory) / path.relative_to(source)
            atomic.write_bytes(copy, _filled_in(path.read_bytes(), values or {}))
            copies.append(copy)
    return tuple(copies)


def _filled_in(template: bytes, values: Mapping[str, str | int]) -> bytes:
    for name, value in values.items():
        template = template.replace(f"@{name}@".encode(), str(value).encode())
    return template
