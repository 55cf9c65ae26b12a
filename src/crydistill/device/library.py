"""Locate and copy the hand-written C sources of the device library.

In an installed package they are inside (`crydistill/firmware`, included when the wheel is built);
in a checkout, next to `src`.
"""

from importlib.resources import files
from pathlib import Path

from crydistill import atomic
from crydistill.errors import ConfigError


def firmware_directory() -> Path:
    """Directory that contains `src`, `adapters`, `selftest` and `esp-idf`.

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


def copy_tree(source: Path, directory: str | Path) -> tuple[Path, ...]:
    """Copy all files below `source`; return the copies, sorted."""
    copies = []
    for path in sorted(source.rglob("*")):
        if path.is_file():
            copy = Path(directory) / path.relative_to(source)
            atomic.write_bytes(copy, path.read_bytes())
            copies.append(copy)
    return tuple(copies)
