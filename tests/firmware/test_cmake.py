"""The CMake project: built, tested, installed and used from other projects by CMake itself."""

import re
from pathlib import Path

import pytest
from tests.firmware.packed import WARNINGS, changes, export, run, said, sound
from tests.firmware.programs import need

FLAGS = (
    f"-DCMAKE_C_FLAGS={' '.join((*WARNINGS, '-Wconversion', '-Wshadow', '-pedantic'))}",
    f"-DCMAKE_CXX_FLAGS={' '.join(WARNINGS)}",
)
CONSUMER = """
cmake_minimum_required(VERSION 3.16)
project(consumer C CXX)
add_executable(app app.cpp)
{how}
"""
PROGRAM = """
#include <cstdio>
#include "crydistill_golden.h"
#include "crydistill_model.h"

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static struct crydistill ear;

int main()
{
    struct crydistill_config config = {};
    config.model = &crydistill_student;
    config.arena = arena;
    config.arena_bytes = sizeof arena;
#ifdef CRYDISTILL_FIXED_POINT
    std::puts("in integers");
#endif
    std::puts(crydistill_selftest_text(
        crydistill_selftest(&ear, &config, &crydistill_golden_vectors)));
}
"""
FIND = """
find_package(crydistill {version} REQUIRED)
target_link_libraries(app PRIVATE crydistill::crydistill)
"""
DOCUMENT = Path(__file__).parents[2] / "docs" / "libraries.md"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("cmake", "ctest", "gcc", "g++")
    return export("cmake", tmp_path_factory.mktemp("cmake") / "crydistill")


@pytest.fixture(scope="module")
def built(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its build folder."""
    return build(project, tmp_path_factory.mktemp("build"))


def build(source: Path, out: Path, *settings: str) -> Path:
    run("cmake", "-S", source, "-B", out, *FLAGS, *settings)
    run("cmake", "--build", out)
    return out


def consume(folder: Path, how: str, *settings: str) -> str:
    """What a C++ program says that gets the library in this way."""
    folder.mkdir(exist_ok=True)
    (folder / "CMakeLists.txt").write_text(CONSUMER.format(how=how), encoding="utf-8")
    (folder / "app.cpp").write_text(PROGRAM, encoding="utf-8")
    return run(build(folder, folder / "build", *settings) / "app")


def test_it_builds_and_passes_its_self_test(built: Path) -> None:
    assert "100% tests passed, 0 tests failed out of 1" in run("ctest", "--test-dir", built)


def test_the_example_says_what_the_python_package_says(built: Path, tmp_path: Path) -> None:
    sound().tofile(tmp_path / "sound.pcm")
    printed = run("sh", "-c", f"{built / 'listen'} < {tmp_path / 'sound.pcm'}")
    assert said(printed) == changes()


@pytest.mark.parametrize(
    ("option", "expected"), [("OFF", "passed\n"), ("ON", "in integers\npassed\n")]
)
def test_an_installed_library_is_found(
    option: str, expected: str, project: Path, tmp_path: Path
) -> None:
    """With the front end that it was built with, which its users need not name."""
    built = build(project, tmp_path / "build", f"-DCRYDISTILL_FIXED_POINT={option}")
    run("cmake", "--install", built, "--prefix", tmp_path / "prefix")
    found = consume(
        tmp_path / "consumer",
        FIND.format(version="0.2"),
        f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}",
    )
    assert found == expected


def test_an_installed_library_of_another_version_is_not_found(built: Path, tmp_path: Path) -> None:
    run("cmake", "--install", built, "--prefix", tmp_path / "prefix")
    with pytest.raises(AssertionError, match="compatible with requested version"):
        consume(
            tmp_path / "consumer",
            FIND.format(version="0.9"),
            f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}",
        )


def test_it_is_fetched_from_a_folder(project: Path, tmp_path: Path) -> None:
    """As the document says, and without its example and tests among the project's own."""
    (fetch,) = re.findall(r"```cmake\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    external = tmp_path / "consumer" / "external"
    external.mkdir(parents=True)
    (external / "crydistill").symlink_to(project)
    assert consume(tmp_path / "consumer", fetch) == "passed\n"
    assert not list((tmp_path / "consumer" / "build").rglob("selftest"))
