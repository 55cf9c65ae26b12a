"""The folders that `export arduino` and the like write, without the tools they are for."""

import json
import re
from pathlib import Path

import pytest
import yaml
from tests.student_fixtures import manifest_for

from crydistill import __version__
from crydistill.detector.vote import VoteSettings
from crydistill.device.library import firmware_directory
from crydistill.device.packages import TREES, export_esphome, export_package
from crydistill.errors import ConfigError, ModelError

ROOT = Path(__file__).parents[2]
ROOM = VoteSettings(threshold=0.4321, n=3, m=5, hold_seconds=7.25)


@pytest.fixture(params=TREES)
def system(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def package(system: str, reference_tflite: bytes, tmp_path: Path) -> Path:
    folder = tmp_path / "crydistill"
    export_package(system, reference_tflite, manifest_for(reference_tflite), folder)
    return folder


def test_the_same_student_gives_the_same_files(
    system: str, package: Path, reference_tflite: bytes, tmp_path: Path
) -> None:
    files = export_package(
        system, reference_tflite, manifest_for(reference_tflite), tmp_path / "again"
    )
    again = {path.relative_to(tmp_path / "again"): path.read_bytes() for path in files}
    written = {
        path.relative_to(package): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file()
    }
    assert again == written
    assert not any(str(tmp_path).encode() in data for data in written.values())


def test_library_student_and_self_test_are_in_it(package: Path) -> None:
    sources = {path.name for path in (package / "src").iterdir()}
    firmware = firmware_directory()
    for folder in ("src", "selftest"):
        assert {path.name for path in (firmware / folder).iterdir()} <= sources
    for name in ("model", "tables", "golden", "port"):
        assert {f"crydistill_{name}.c", f"crydistill_{name}.h"} <= sources
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_nothing_is_left_to_fill_in(package: Path, reference_tflite: bytes) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.*")
             if path.is_file()}  # fmt: skip
    assert [path for path, text in texts.items() if re.search(r"@[A-Z_0-9]+@", text)] == []
    assert manifest_for(reference_tflite).tflite.sha256 in texts[package / "README.md"]


def test_the_version_is_the_packages(system: str, package: Path) -> None:
    stated = {
        "arduino": ("library.properties", f"version={__version__}\n"),
        "platformio": ("library.json", f'"version": "{__version__}"'),
        "cmake": ("CMakeLists.txt", f"project(crydistill VERSION {__version__} "),
        # The documentation of modules knows no version.
        "zephyr": ("zephyr/module.yml", "name: crydistill\n"),
    }
    name, text = stated[system]
    assert text in (package / name).read_text(encoding="utf-8")


def test_examples_have_settings_to_listen_with(
    system: str, reference_tflite: bytes, tmp_path: Path
) -> None:
    manifest = manifest_for(reference_tflite, presets={})
    with pytest.raises(ModelError, match="presets: there are none; give the settings"):
        export_package(system, reference_tflite, manifest, tmp_path)
    assert not list(tmp_path.iterdir())
    export_package(system, reference_tflite, manifest, tmp_path, calibrated=ROOM)
    header = (tmp_path / "src" / "crydistill_model.h").read_text(encoding="utf-8")
    assert "CRYDISTILL_DEFAULT_PRESET crydistill_preset_calibrated" in header


@pytest.mark.parametrize("system", ["arduino"])
def test_library_properties_follow_arduinos_specification(system: str, package: Path) -> None:
    lines = (package / "library.properties").read_text(encoding="utf-8").splitlines()
    fields = dict(line.split("=", 1) for line in lines)
    assert list(fields) == [
        *("name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url"),
        *("architectures", "includes"),
    ]
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.-]{0,62}", fields["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", fields["version"])
    assert fields["category"] in {
        *("Display", "Communication", "Signal Input/Output", "Sensors", "Device Control"),
        *("Timing", "Data Storage", "Data Processing", "Other"),
    }
    # The library's manager has no address for it yet; all else is stated.
    assert [name for name, value in fields.items() if not value] == ["url"]
    assert (package / "src" / fields["includes"]).is_file()


@pytest.mark.parametrize("system", ["arduino"])
def test_sketches_and_keywords_lie_as_arduino_wants_them(system: str, package: Path) -> None:
    sketches = sorted((package / "examples").iterdir())
    assert len(sketches) == 3
    assert all((folder / f"{folder.name}.ino").is_file() for folder in sketches)
    sources = "".join(path.read_text(encoding="utf-8") for path in (package / "src").glob("*.h"))
    for line in (package / "keywords.txt").read_text(encoding="utf-8").splitlines():
        word, kind = line.split("\t")
        assert kind in {"KEYWORD1", "KEYWORD2", "LITERAL1"}
        assert re.search(rf"\b{word}\b", sources), word


@pytest.mark.parametrize("system", ["platformio"])
def test_the_examples_that_library_json_names_are_there(system: str, package: Path) -> None:
    manifest = json.loads((package / "library.json").read_text(encoding="utf-8"))
    assert all((package / "src" / header).is_file() for header in manifest["headers"])
    named = {
        package / example["base"] / name for example in manifest["examples"]
        for name in example["files"]
    }  # fmt: skip
    assert named == {path for path in (package / "examples").rglob("*") if path.is_file()}


def edit(path: Path) -> str:
    text = f"{path.read_text(encoding='utf-8')}\n// my pins\n"
    path.write_text(text, encoding="utf-8")
    return text


def test_examples_stay_as_their_owner_has_them_and_the_library_is_replaced(
    system: str, package: Path, reference_tflite: bytes
) -> None:
    examples = [package / name for name in ("example", "examples", "samples")]
    mine = next(path for top in examples for path in sorted(top.rglob("*.[ci]*")))
    theirs = package / "src" / "crydistill_model.c"
    before, edited, said = theirs.read_bytes(), edit(mine), list[str]()
    edit(theirs)
    export_package(
        system, reference_tflite, manifest_for(reference_tflite), package, say=said.append
    )
    assert mine.read_text(encoding="utf-8") == edited
    assert theirs.read_bytes() == before
    assert said == [f"{mine}: is kept as it is; for a new one delete it and export again"]


@pytest.mark.parametrize("name", ["README.md", "LICENSE"])
def test_a_folder_of_something_else_is_left_alone(
    name: str, system: str, reference_tflite: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("of my project")
    manifest = manifest_for(reference_tflite)
    with pytest.raises(ConfigError, match=f"holds a {name} that would be replaced; name a folder"):
        export_package(system, reference_tflite, manifest, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    export_package(system, reference_tflite, manifest, tmp_path / "crydistill")


def test_esphomes_configuration_stays_as_it_is(reference_tflite: bytes, tmp_path: Path) -> None:
    manifest = manifest_for(reference_tflite)
    (tmp_path / "README.md").write_text("my devices")
    export_esphome(reference_tflite, manifest, tmp_path)
    edited, said = edit(tmp_path / "example.yaml"), list[str]()
    export_esphome(reference_tflite, manifest, tmp_path, calibrated=ROOM, say=said.append)
    assert (tmp_path / "example.yaml").read_text(encoding="utf-8") == edited
    assert (tmp_path / "README.md").read_text() == "my devices"
    assert [Path(line.partition(": is kept")[0]).name for line in said] == [
        "README.md",
        "example.yaml",
    ]


def test_esphomes_component_carries_the_student(reference_tflite: bytes, tmp_path: Path) -> None:
    manifest = manifest_for(reference_tflite)
    files = export_esphome(reference_tflite, manifest, tmp_path, calibrated=ROOM)
    assert set(files) == {path for path in tmp_path.rglob("*") if path.is_file()}
    component = tmp_path / "components" / "crydistill"
    student = {path.name for path in (component / "student").iterdir()}
    assert {path.name for path in (firmware_directory() / "src").iterdir()} <= student
    assert {"crydistill_model.c", "crydistill_tables.c"} <= student
    assert (component / "__init__.py").is_file()
    example = yaml.safe_load((tmp_path / "example.yaml").read_text(encoding="utf-8"))
    assert example["external_components"][0]["source"]["path"] == "components"
    assert "model" not in example["crydistill"]
