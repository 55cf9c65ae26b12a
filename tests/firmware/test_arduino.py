"""The Arduino library: built by Arduino's own builder, for a board that is this computer."""

import re
from pathlib import Path

import pytest
from tests.firmware.packed import HERE, WARNINGS, changes, export, run, said
from tests.firmware.programs import need

DOCS = HERE.parents[1] / "docs"
HARDWARE = HERE / "arduino"
HOST = HARDWARE / "standin" / "host"
SKETCHES = ("SelfTest", "ListenPDM", "ListenI2S")
CORES = {
    "cortex-m0plus": ("-mcpu=cortex-m0plus",),
    "cortex-m4": ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
}


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sketchbook's folder `libraries`."""
    folder = tmp_path_factory.mktemp("sketchbook") / "libraries"
    export("arduino", folder / "crydistill")
    return folder


def check(sketch: str, program: Path, folder: Path) -> None:
    """A sketch on this computer says what the Python package says."""
    printed = run(program, pcm=folder / "sound.pcm")
    if sketch == "SelfTest":
        assert "self-test passed in" in printed
    else:
        assert said(printed) == changes()
        assert printed.count("is high") == sum(changes())


@pytest.mark.parametrize("sketch", SKETCHES)
def test_arduinos_builder_finds_the_library_and_the_sketch_listens(
    sketch: str, libraries: Path, tmp_path: Path
) -> None:
    path = libraries / "crydistill" / "examples" / sketch / f"{sketch}.ino"
    check(sketch, built_by_arduino(path, libraries, tmp_path), tmp_path)


def built_by_arduino(sketch: Path, libraries: Path, folder: Path) -> Path:
    """A sketch's program for this computer; warnings are errors."""
    need("arduino-builder", "gcc", "g++")
    build = folder / "build"
    build.mkdir()
    printed = run(
        *("arduino-builder", "-compile", "-ide-version", "10819", "-warnings", "all", "-verbose"),
        *("-tools", "/usr/bin", "-hardware", "/usr/share/arduino-builder", "-hardware", HARDWARE),
        *("-libraries", libraries, "-fqbn", "standin:host:computer", "-build-path", build),
        sketch,
    )
    assert "Using library crydistill at version" in printed
    assert "WARNING" not in printed
    return build / f"{sketch.name}.elf"


def test_the_sketch_in_the_document_is_built_by_it(libraries: Path, tmp_path: Path) -> None:
    text = (DOCS / "libraries.md").read_text(encoding="utf-8")
    (sketch,) = re.findall(r"```cpp\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "Mine" / "Mine.ino"
    path.parent.mkdir()
    path.write_text(sketch, encoding="utf-8")
    run(built_by_arduino(path, libraries, tmp_path))


@pytest.fixture(scope="module")
def objects(libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The library compiled as C99; warnings are errors."""
    need("gcc")
    folder = tmp_path_factory.mktemp("objects")
    sources = (libraries / "crydistill" / "src").glob("*.c")
    run("gcc", "-std=c99", "-pedantic", "-O1", *WARNINGS, "-c", *sources, cwd=folder)
    return sorted(folder.glob("*.o"))


@pytest.mark.parametrize("sketch", SKETCHES)
def test_a_sketch_compiles_without_arduinos_builder_and_listens(
    sketch: str, libraries: Path, objects: list[Path], tmp_path: Path
) -> None:
    need("g++")
    library = libraries / "crydistill"
    board = (*HOST.glob("libraries/*/src"), HOST / "cores" / "host")
    includes = [f"-I{folder}" for folder in (library / "src", *board)]
    run(
        *("g++", "-std=gnu++11", "-O1", "-pthread", *WARNINGS, *includes),
        *(path for folder in board for path in folder.glob("*.cpp")),
        *("-include", "Arduino.h", "-x", "c++", library / "examples" / sketch / f"{sketch}.ino"),
        *("-x", "none", *objects, "-o", tmp_path / sketch),
    )
    check(sketch, tmp_path / sketch, tmp_path)


@pytest.mark.parametrize("core", CORES)
def test_library_and_sketches_compile_for_a_microcontroller(
    core: str, libraries: Path, tmp_path: Path
) -> None:
    need("arm-none-eabi-gcc", "arm-none-eabi-g++", "arm-none-eabi-nm")
    library = libraries / "crydistill"
    usual = ("-mthumb", *CORES[core], "-Os", *WARNINGS, f"-I{library / 'src'}")
    run(
        "arm-none-eabi-gcc",
        "-std=gnu11",
        *usual,
        "-c",
        *(library / "src").glob("*.c"),
        cwd=tmp_path,
    )
    for sketch in ("SelfTest", "ListenPDM"):
        run(
            *("arm-none-eabi-g++", "-std=gnu++14", "-fno-exceptions", *usual),
            *(f"-I{HOST / 'cores' / 'host'}", f"-I{HOST / 'libraries' / 'PDM' / 'src'}"),
            *("-include", "Arduino.h", "-x", "c++", "-c", "-o", tmp_path / f"{sketch}.o"),
            library / "examples" / sketch / f"{sketch}.ino",
        )
    # A ring without locks: no function of a runtime that such a board may lack.
    assert "__atomic" not in run("arm-none-eabi-nm", "-u", tmp_path / "crydistill_ring.o")
