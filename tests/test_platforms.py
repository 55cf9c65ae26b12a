"""The light install resolves from wheels, as pinned, on the platforms that it is promised for.

What cannot run there is not part of it: TFLite Micro's interpreter, and with it the comparison in
`quantize`, exists for Linux on x86-64 only; tests that need it skip and say so.
"""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "lock.txt"
UV = shutil.which("uv")

PROMISED = {
    "Linux on 64-bit Arm, such as a Raspberry Pi": "aarch64-manylinux_2_28",
    "Linux on x86-64": "x86_64-manylinux_2_28",
    "macOS 14 on Apple silicon": "aarch64-apple-darwin",
    "Windows on x86-64": "x86_64-pc-windows-msvc",
}
NOT_PROMISED = {"Macs with Intel": "x86_64-apple-darwin", "Alpine": "aarch64-unknown-linux-musl"}
OFFLINE = ("error sending request", "Could not connect", "dns error", "timed out", "tls handshake")

needs_uv = pytest.mark.skipif(UV is None, reason="needs uv (pip install uv)")


def light() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["live"]]


def resolved(platform: str, python: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let uv choose a wheel for everything, at the version that is pinned."""
    wanted = folder / "light.in"
    wanted.write_text("\n".join(light()))
    done = subprocess.run(
        [str(UV), "pip", "compile", "--quiet", "--no-config", "--only-binary", ":all:",
         "--python-platform", platform, "--python-version", python, "--constraint", str(LOCK),
         "--no-header", "--no-annotate", str(wanted)],
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if any(sign in done.stderr for sign in OFFLINE):
        pytest.skip("offline: the package index cannot be reached")
    return done


@needs_uv
@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.11", "3.13"])
@pytest.mark.parametrize("platform", PROMISED)
def test_everything_light_has_a_wheel(platform: str, python: str, tmp_path: Path) -> None:
    done = resolved(PROMISED[platform], python, tmp_path)
    assert done.returncode == 0, done.stderr
    pins = {line.split()[0] for line in LOCK.read_text().splitlines() if "==" in line}
    found = set(done.stdout.split())
    assert len(found) > len(light()) and found <= pins
    assert not any(name.startswith("tflite-micro") for name in found)


@needs_uv
@pytest.mark.slow
@pytest.mark.parametrize("platform", NOT_PROMISED)
def test_where_litert_has_no_wheel_nothing_is_promised(platform: str, tmp_path: Path) -> None:
    done = resolved(NOT_PROMISED[platform], "3.13", tmp_path)
    assert done.returncode != 0 and "ai-edge-litert" in done.stderr


def test_the_interpreter_of_tflite_micro_is_asked_for_only_where_it_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    train = project["optional-dependencies"]["train"]
    (micro,) = [line for line in train if line.startswith("tflite-micro")]
    assert "sys_platform == 'linux' and platform_machine == 'x86_64'" in micro
    assert not any(line.startswith("tflite") for line in light())
