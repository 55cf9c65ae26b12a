"""The PlatformIO library, where PlatformIO is installed: packed and built by it.

`pip install platformio scons` in an environment of its own; the variable PLATFORMIO names its
`pio`. The registry is not asked: SCons is the environment's, the platform is this computer.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.firmware.packed import HERE, can_import, changes, export, run, said
from tests.firmware.programs import need

WITHOUT_A_DOWNLOAD = """
import sys
from platformio.package.manifest.schema import ManifestSchema
ManifestSchema.load_spdx_licenses = staticmethod(lambda: {"licenses": [{"licenseId": "MIT"}]})
from platformio.__main__ import main
sys.exit(main(["pio", *sys.argv[1:]]))
"""
"""Runs PlatformIO with the one licence that it would look up in a list on the web."""

VERSION_OF_SCONS = """
from platformio.dependencies import get_core_dependencies
print(get_core_dependencies()["tool-scons"][1:])
"""

STANDIN_INI = f"""
platform = symlink://{HERE / "platformio"}
board = computer
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """PlatformIO's Python."""
    pio = os.environ.get("PLATFORMIO") or shutil.which("pio")
    if pio is None:
        pytest.skip("needs platformio (pip install platformio scons in an environment of its own)")
    return Path(pio).parent / "python"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export("platformio", tmp_path_factory.mktemp("platformio") / "crydistill")


@pytest.fixture
def core(python: Path, tmp_path: Path) -> dict[str, str]:
    """PlatformIO's own folder, with the environment's SCons as its package."""
    package = tmp_path / "core" / "packages" / "tool-scons"
    version = run(python, "-c", VERSION_OF_SCONS).strip()
    owner = {
        "owner": "platformio",
        "id": None,
        "name": "tool-scons",
        "requirements": None,
        "uri": None,
    }
    about = {"name": "tool-scons", "version": version}
    package.mkdir(parents=True)
    (package / "package.json").write_text(json.dumps(about), encoding="utf-8")
    (package / ".piopm").write_text(json.dumps({"type": "tool", **about, "spec": owner}), "utf-8")
    (package / "scons.py").write_text("from SCons.Script.Main import main\nmain()\n", "utf-8")
    return {
        "PLATFORMIO_CORE_DIR": str(tmp_path / "core"),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
        "PLATFORMIO_SETTING_CHECK_PLATFORMIO_INTERVAL": "99999999",
    }


def pack(
    python: Path, library: Path, core: dict[str, str], out: Path
) -> subprocess.CompletedProcess[str]:
    command = [python, "-c", WITHOUT_A_DOWNLOAD, "pkg", "pack", library, "-o", out]
    return subprocess.run(
        command, env=os.environ | core, capture_output=True, text=True, check=False, timeout=120
    )


def test_platformio_packs_the_library(
    python: Path, library: Path, core: dict[str, str], tmp_path: Path
) -> None:
    done = pack(python, library, core, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "crydistill-0.2.0.tar.gz").is_file(), done.stdout


def test_platformio_would_refuse_a_wrong_manifest(
    python: Path, library: Path, core: dict[str, str], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(library, tmp_path / "copy"))
    path = copy / "library.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) | {"frameworks": ["Arduino!"]}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    done = pack(python, copy, core, tmp_path)
    assert done.returncode != 0
    assert "frameworks" in done.stderr + done.stdout


@pytest.mark.parametrize("sketch", ["SelfTest", "ListenPDM", "ListenI2S"])
def test_an_example_is_a_project_that_builds(
    sketch: str, python: Path, library: Path, core: dict[str, str], tmp_path: Path
) -> None:
    need("gcc", "g++")
    if not can_import(python, "SCons"):
        pytest.skip("needs scons beside platformio (pip install scons)")
    copy = Path(shutil.copytree(library, tmp_path / "lib"))
    project = copy / "examples" / sketch
    ini = (project / "platformio.ini").read_text(encoding="utf-8")
    lines = [line for line in ini.splitlines() if not line.startswith(("platform =", "board ="))]
    place = lines.index("framework = arduino")
    lines.insert(place, STANDIN_INI)
    (project / "platformio.ini").write_text("\n".join(lines), encoding="utf-8")
    printed = run(python, "-m", "platformio", "run", "-d", project, **core)
    assert "crydistill @ 0.2.0" in printed
    (program,) = project.glob(".pio/build/*/program")
    printed = run(program, pcm=tmp_path / "sound.pcm")
    if sketch == "SelfTest":
        assert "self-test passed in" in printed
    else:
        assert said(printed) == changes()
