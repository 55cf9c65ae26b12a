"""Locate and copy the hand-written C sources of the device library.

In an installed package they are inside (`crydistill/firmware`, included when the wheel is built);
in a checkout, next to `src`.
"""

from collections.abc import Callable, Collection, Mapping
from importlib.resources import files
from pathlib import Path

from crydistill import atomic
from crydistill.errors import ConfigError

EXAMPLES = frozenset({"example", "example.yaml", "examples", "listen", "samples"})
"""What a person goes on from, and sets pins in: files and folders at the top of a tree."""

Say = Callable[[str], None]


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
    source: Path,
    directory: str | Path,
    values: Mapping[str, str | int] | None = None,
    *,
    keep: Collection[str] = (),
    say: Say = lambda line: None,
) -> tuple[Path, ...]:
    """Copy all files below `source`; return the copies, sorted.

    values : what stands for @NAME@ in the files, by name
    keep : files and folders at the top of `source` of which a copy that is there stays as it is
    say : told of copies that are kept and differ
    """
    copies = []
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            name = path.relative_to(source)
            copy = Path(directory) / name
            content = _filled_in(path.read_bytes(), values or {})
            if name.parts[0] not in keep or not copy.exists():
                atomic.write_bytes(copy, content)
            elif copy.read_bytes() != content:
                say(f"{copy}: is kept as it is; for a new one delete it and export again")
            copies.append(copy)
    return tuple(copies)


def _filled_in(template: bytes, values: Mapping[str, str | int]) -> bytes:
    for name, value in values.items():
        template = template.replace(f"@{name}@".encode(), str(value).encode())
    return template
