import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from crydistill.device import library
from crydistill.device.library import copy_library, firmware_directory
from crydistill.errors import ConfigError

ROOT = Path(__file__).parents[2]
EXPORTED = {
    "esp-idf": (
        "crydistill/src/crydistill.c",
        "crydistill/selftest/crydistill_selftest.c",
        "crydistill/LICENSE",
        "listen/main/main.c",
    ),
    "arduino": ("library.properties", "LICENSE", "examples/ListenPDM/ListenPDM.ino"),
    "platformio": ("library.json", "src/crydistill_listener.h"),
    "zephyr": ("zephyr/module.yml", "samples/listen/src/main.c"),
    "cmake": ("CMakeLists.txt", "src/crydistill_model.c", "src/crydistill_golden.c"),
    "esphome": (
        "components/crydistill/__init__.py",
        "components/crydistill/student/crydistill.c",
    ),
}
"""Some of what each verb of `export` writes."""


def test_the_library_is_copied_whole(tmp_path: Path) -> None:
    copies = copy_library(tmp_path / "new")
    source = firmware_directory() / "src"
    assert {path.name for path in copies} == {path.name for path in source.iterdir()}
    for path in copies:
        assert path.read_bytes() == (source / path.name).read_bytes()


def test_a_package_without_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "crydistill"
    monkeypatch.setattr(library, "files", lambda name: package)
    with pytest.raises(ConfigError, match="the C library is missing"):
        firmware_directory()


def test_the_wheel_brings_it(tmp_path: Path) -> None:
    """`export` works in an installed package, here an unpacked wheel."""
    pytest.importorskip("hatchling", reason="needs the build backend")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import crydistill.cli; sys.argv[1:] = ['export', *sys.argv[2:]]\n"
        "crydistill.cli.main()\n"
    )

    def export(*words: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", program, str(installed), *words],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=120,
        )
        return done.stdout.splitlines()

    for verb, files in EXPORTED.items():
        written = {
            Path(line).relative_to(tmp_path / verb) for line in export(verb, str(tmp_path / verb))
        }
        assert {Path(name) for name in files} <= written
    assert export("web", "listen.html") == ["listen.html"]
    assert (tmp_path / "listen.html").stat().st_size > 100_000
    found = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from crydistill.device.library import firmware_directory\n"
            "print(firmware_directory())",
            str(installed),
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert Path(found.stdout.strip()) == installed / "crydistill" / "firmware"
