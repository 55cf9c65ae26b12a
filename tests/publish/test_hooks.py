"""The hooks as documented: the shell script in docs/privacy.md is run, not read."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from typer.testing import CliRunner

from crydistill.cli import app
from crydistill.publish.guard import scan

ROOT = Path(__file__).parents[2]

needs_git = pytest.mark.skipif(
    os.name != "posix" or shutil.which("git") is None, reason="needs git and a POSIX shell"
)

STAND_IN = f"""#!{sys.executable}
import sys
from crydistill.publish.guard import scan
findings = scan(sys.argv[2])
print(*findings, sep="\\n")
sys.exit(1 if findings else 0)
"""


def git(folder: Path, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    environment = {**os.environ, **alone, "PATH": path + os.pathsep + os.environ["PATH"]}
    return subprocess.run(
        ["git", *who, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the documented hook, and a stand-in for the command line."""
    script = re.search(r"```sh\n(.*?)```", (ROOT / "docs" / "privacy.md").read_text(), re.DOTALL)
    assert script
    repository = tmp_path / "project"
    repository.mkdir()
    assert git(repository, "init").returncode == 0
    for path, text in (
        (repository / ".git" / "hooks" / "pre-commit", script[1]),
        (tmp_path / "bin" / "crydistill", STAND_IN),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (repository / "README.md").write_text("fine\n")
    git(repository, "add", ".")
    return repository


def commit(repository: Path) -> subprocess.CompletedProcess[str]:
    return git(repository, "commit", "-m", "x", path=str(repository.parent / "bin"))


@needs_git
def test_a_clean_commit_passes(repository: Path) -> None:
    done = commit(repository)
    assert done.returncode == 0, done.stderr


@needs_git
def test_staged_audio_is_stopped_even_if_it_was_deleted_since(repository: Path) -> None:
    audio = repository / "weights.bin"
    soundfile.write(audio, np.zeros(800), 16_000, format="WAV")
    git(repository, "add", ".")
    audio.unlink()
    done = commit(repository)
    assert done.returncode != 0
    assert "weights.bin: audio (WAV)" in done.stdout + done.stderr


@needs_git
def test_audio_that_is_not_staged_does_not_matter(repository: Path) -> None:
    soundfile.write(repository / "mine.wav", np.zeros(800), 16_000)
    assert commit(repository).returncode == 0


def test_hook_for_the_pre_commit_program() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["id"] == "crydistill-guard"
    assert hook["entry"] == "crydistill guard"
    assert hook["language"] == "python"


def own_hooks() -> list[dict[str, str]]:
    """The hooks for commits to this repository."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (repository,) = config["repos"]
    assert repository["repo"] == "local"
    return list(repository["hooks"])


@pytest.mark.parametrize("hook", own_hooks(), ids=lambda hook: hook["id"])
def test_a_hook_of_our_own_is_a_program_that_make_installs(hook: dict[str, str]) -> None:
    program, *_ = hook["entry"].split()
    folder, name = program.rsplit("/", 1)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"VENV   ?= {folder.removesuffix('/bin')}\n" in makefile
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tools = {re.split("[=><]", tool)[0] for tool in project["dependency-groups"]["dev"]}
    assert name in tools | set(project["project"]["scripts"])
    assert hook["language"] == "system"  # so that it needs no network


def test_hooks_of_our_own_ask_what_make_check_asks_and_the_guard() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    asked = {hook["entry"].removeprefix(".venv/bin/") for hook in own_hooks()}
    assert asked == {"ruff format", "ruff check", "mypy", "crydistill guard"}
    for entry in asked - {"crydistill guard"}:
        assert f"\t$(BIN)/{entry}" in makefile
    assert CliRunner().invoke(app, ["guard", str(ROOT / "LICENSE")]).exit_code == 0


@needs_git
def test_the_guard_finds_nothing_in_this_repository() -> None:
    """What is committed here is published."""
    listed = git(ROOT, "ls-files", "-z")
    if listed.returncode != 0:
        pytest.skip("needs a git work tree")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert [str(finding) for file in files if file.is_file() for finding in scan(file)] == []
