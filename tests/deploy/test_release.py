"""`make release`: what it refuses, and the whole of it where the package index can be reached."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "release.py"
OFFLINE = (
    "No matching distribution",
    "Could not find a version",
    "Max retries",
    "Temporary failure",
)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pack(folder: Path, names: list[str]) -> Path:
    """A source archive of some files."""
    path = folder / "crydistill-1.2.3.tar.gz"
    (folder / "empty").touch()
    with tarfile.open(path, "w:gz") as packed:
        for name in names:
            packed.add(folder / "empty", f"crydistill-1.2.3/{name}")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A commit, unpacked."""
    folder = tmp_path / "source"
    for name in ("src/a.py", "firmware/src/a.c", "LICENSE", "README.md", "tests/test_a.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    forced = 'wheel.force-include]\n"firmware/src" = "x"\n\n[tool.mypy]\n'
    (folder / "pyproject.toml").write_text(forced)
    return folder


NEEDED = ["src/a.py", "firmware/src/a.c", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO"]


def test_an_archive_of_what_the_wheel_needs_passes(
    script: ModuleType, source: Path, tmp_path: Path
) -> None:
    wheel = tmp_path / "a.whl"
    wheel.touch()
    script.check_contents(source, pack(tmp_path, NEEDED), wheel)


@pytest.mark.parametrize(
    ("names", "bytes_", "fault"),
    [
        ([*NEEDED, "secrets.txt"], 0, "not in the commit: secrets.txt"),
        ([name for name in NEEDED if name != "firmware/src/a.c"], 0, "lacks firmware/src/a.c"),
        (NEEDED, 3_000_000, "3,000,000 bytes, not below"),
    ],
)
def test_others_do_not(
    script: ModuleType, source: Path, tmp_path: Path, names: list[str], bytes_: int, fault: str
) -> None:
    wheel = tmp_path / "a.whl"
    wheel.write_bytes(b"0" * bytes_)
    with pytest.raises(script.CheckError, match=fault):
        script.check_contents(source, pack(tmp_path, names), wheel)


def test_builds_that_differ_are_no_release(script: ModuleType, tmp_path: Path) -> None:
    one, other = tmp_path / "a.whl", tmp_path / "b.whl"
    one.write_text("1")
    other.write_text("2")
    with pytest.raises(script.CheckError, match=r"a\.whl: two builds differ"):
        script.check_same([one], [other])


def test_pins_hold_without_hashes_but_with_their_platforms(
    script: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "lock.txt").write_text(
        "numpy==2.4.6 \\\n    --hash=sha256:ab\n"
        "colorama==0.4.6 ; os_name == 'nt' \\\n    --hash=sha256:cd\n"
    )
    path = script.constraints(tmp_path, tmp_path)
    assert path.read_text() == "numpy==2.4.6\ncolorama==0.4.6 ; os_name == 'nt'\n"


def test_it_says_what_is_left_to_do(script: ModuleType, tmp_path: Path) -> None:
    changes = tmp_path / "CHANGELOG.md"
    changes.write_text("## Unreleased\n\n- a\n\n## 1.2.3 - 2026-01-01\n")
    assert script.next_step(tmp_path, "1.2.3", Path("dist")).startswith("a rehearsal")
    changes.write_text("## Unreleased\n\n## 1.2.3 - 2026-01-01\n")
    assert "git tag v1.2.3 && build/release-venv/bin/twine upload dist/" in script.next_step(
        tmp_path, "1.2.3", Path("dist")
    )
    assert script.next_step(tmp_path, "1.2.4", Path("dist")).startswith("a rehearsal")


def test_outside_a_repository_it_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    shutil.copyfile(SCRIPT, tmp_path / "deploy" / "release.py")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "deploy" / "release.py"), "dist"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and done.stderr.startswith("cannot release: git archive")


@pytest.mark.slow
def test_the_last_commit_can_be_released(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone of the repository")
    done = subprocess.run(
        ["make", "release", f"DIST={tmp_path / 'dist'}", f"PYTHON={sys.executable}"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=3600,
    )  # fmt: skip
    if done.returncode and any(sign in done.stdout + done.stderr for sign in OFFLINE):
        pytest.skip("offline: pip cannot reach the package index")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was uploaded" in done.stdout
    (wheel,), (sdist,) = (tmp_path / "dist").glob("*.whl"), (tmp_path / "dist").glob("*.tar.gz")
    (bill,) = (tmp_path / "dist").glob("*.cdx.json")
    for line in (tmp_path / "dist" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "dist" / name).read_bytes()).hexdigest() == digest
    assert wheel.stat().st_size < 3_000_000
    assert "crydistill/firmware/src/crydistill.c" in zipfile.ZipFile(wheel).namelist()
    with tarfile.open(sdist) as packed:
        tops = {name.split("/")[1] for name in packed.getnames() if "/" in name}
    assert {"src", "firmware", "integrations", "pyproject.toml"} <= tops
    assert not tops & {"tests", "build", "runs", "stores", ".github"}
    listed = json.loads(bill.read_text())
    assert listed["metadata"]["component"]["version"] == wheel.name.split("-")[1]
    components = {each["name"].lower() for each in listed["components"]}
    assert {"numpy", "soundfile", "ai-edge-litert"} <= components
    assert not components & {"tensorflow", "keras", "twine", "pip"}
