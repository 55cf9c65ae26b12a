"""The Zephyr module, with stand-ins for what it uses of Zephyr (zephyr/README.md)."""

from pathlib import Path

import pytest
import yaml
from tests.firmware.packed import HERE, changes, export, python_with, run, said
from tests.firmware.programs import need

BASE = HERE / "zephyr"
SENSE = "xiao_ble/nrf52840/sense"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export("zephyr", tmp_path_factory.mktemp("zephyr") / "crydistill")


@pytest.fixture(scope="module")
def python() -> str:
    """With Zephyr's readers of Kconfig and module.yml."""
    return python_with("kconfiglib", "pykwalify.core", "yaml")


def build(module: Path, board: str, python: str, out: Path) -> Path:
    """The sample for a board, as `west build` makes it; warnings are errors."""
    need("cmake", "gcc")
    sample = module / "samples" / "listen"
    settings = (f"-DBOARD={board}", f"-DPYTHON={python}")
    run("cmake", "-S", sample, "-B", out, *settings, ZEPHYR_BASE=str(BASE))
    run("cmake", "--build", out)
    return out / "app"


def test_the_sample_tests_the_library_where_there_is_no_microphone(
    module: Path, python: str, tmp_path: Path
) -> None:
    assert run(build(module, "native_sim", python, tmp_path)) == "self-test passed\n"


@pytest.fixture(scope="module")
def with_microphone(module: Path, python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(module, SENSE, python, tmp_path_factory.mktemp("sense"))


@pytest.mark.parametrize("stops_after", ["-1", "450"])
def test_the_sample_listens_and_goes_on_when_the_driver_stops(
    stops_after: str, with_microphone: Path, tmp_path: Path
) -> None:
    printed = run(with_microphone, pcm=tmp_path / "sound.pcm", STOPS_AFTER=stops_after)
    assert printed.startswith("self-test passed\n")
    assert said(printed) == changes()


def configured(module: Path, python: str, out: Path, *settings: str) -> dict[str, str]:
    """All of Kconfig's symbols with these settings."""
    (out / "prj.conf").write_text("".join(f"{line}\n" for line in settings), encoding="utf-8")
    printed = run(python, BASE / "configure.py", out, module, "--", out / "prj.conf")
    found: dict[str, str] = yaml.load(printed, yaml.BaseLoader)
    return found


def test_the_front_end_is_the_one_for_the_core(module: Path, python: str, tmp_path: Path) -> None:
    without = configured(module, python, tmp_path, "CONFIG_CRYDISTILL=y")
    assert (without["CRYDISTILL_FIXED_POINT"], without["REQUIRES_FULL_LIBC"]) == ("y", "n")
    # In floats it needs the C library's mathematics.
    with_fpu = configured(module, python, tmp_path, "CONFIG_CRYDISTILL=y", "CONFIG_FPU=y")
    assert (with_fpu["CRYDISTILL_FIXED_POINT"], with_fpu["REQUIRES_FULL_LIBC"]) == ("n", "y")
    off = configured(module, python, tmp_path, "CONFIG_FPU=y")
    assert (off["CRYDISTILL"], off["REQUIRES_FULL_LIBC"]) == ("n", "n")


def test_the_sample_is_listed_where_zephyr_looks(module: Path) -> None:
    meta = yaml.safe_load((module / "zephyr" / "module.yml").read_text(encoding="utf-8"))
    for folder in meta["samples"]:
        assert list((module / folder).rglob("sample.yaml"))
    sample = yaml.safe_load((module / "samples/listen/sample.yaml").read_text(encoding="utf-8"))
    allowed = {name: test["platform_allow"] for name, test in sample["tests"].items()}
    assert set(allowed.values()) == {"native_sim", SENSE}
    (pattern,) = sample["common"]["harness_config"]["regex"]
    assert pattern == "self-test passed"
