"""The ESP-IDF component by the tools that read it: the registry's, and a reader of Kconfig.

`pip install idf-component-manager` in an environment of its own; the variable COMPOTE names its
`compote`.
"""

import os
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml
from tests.firmware.packed import python_with, run

from crydistill.device.component import export_esp_idf
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("esp-idf")
    student = TfliteStudent.load(packaged_student())
    export_esp_idf(student.tflite, student.manifest, folder)
    return folder


@pytest.fixture
def compote() -> str:
    program = os.environ.get("COMPOTE") or shutil.which("compote")
    if program is None:
        pytest.skip("needs idf-component-manager (pip install in an environment of its own)")
    return program


def test_the_component_has_what_the_registry_shows(exported: Path) -> None:
    component = exported / "crydistill"
    manifest = yaml.safe_load((component / "idf_component.yml").read_text(encoding="utf-8"))
    assert {"version", "description", "license", "maintainers", "tags", "dependencies"} == set(
        manifest
    )
    assert (component / "README.md").is_file()
    assert (component / "LICENSE").is_file()


def test_its_manifests_are_valid(exported: Path, compote: str) -> None:
    assert len(list(exported.rglob("idf_component.yml"))) == 3
    run(compote, "manifest", "lint", exported)


def test_the_component_is_packed_whole(exported: Path, compote: str, tmp_path: Path) -> None:
    component = exported / "crydistill"
    run(
        *(compote, "component", "pack", "--name", "crydistill"),
        *("--project-dir", component, "--dest-dir", tmp_path),
    )
    (archive,) = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as packed:
        files = {Path(member.name) for member in packed if member.isfile()}
    written = {path.relative_to(component) for path in component.rglob("*") if path.is_file()}
    assert written <= files


READ_KCONFIG = """
import sys
import kconfiglib
read = kconfiglib.Kconfig(sys.argv[1], warn_to_stderr=False)
read.load_config(sys.argv[2])
print("".join(f"{warning}\\n" for warning in read.warnings), end="")
names = ("CRYDISTILL_FIXED_POINT", "CRYDISTILL_N", "CRYDISTILL_M", "CRYDISTILL_SELFTEST")
print([read.syms[name].str_value for name in names])
"""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", "['y', '', '', 'y']"),
        ("CONFIG_SOC_CPU_HAS_FPU=y\nCONFIG_CRYDISTILL_CUSTOM_SETTINGS=y\n", "['n', '2', '3', 'y']"),
        # A vote of more windows than are looked back on is none.
        (
            "CONFIG_CRYDISTILL_CUSTOM_SETTINGS=y\nCONFIG_CRYDISTILL_M=1\n",
            "['y', '1', '1', 'y']",
        ),
    ],
)
def test_kconfig_reads_its_settings(
    settings: str, expected: str, exported: Path, tmp_path: Path
) -> None:
    python = python_with("kconfiglib")
    menu = exported / "crydistill" / "Kconfig"
    root, chosen = tmp_path / "Kconfig", tmp_path / "sdkconfig"
    root.write_text(f'config SOC_CPU_HAS_FPU\n\tbool "FPU"\n\nsource "{menu}"\n', encoding="utf-8")
    chosen.write_text(settings, encoding="utf-8")
    assert run(python, "-c", READ_KCONFIG, root, chosen) == f"{expected}\n"
