"""Build what is to be uploaded, check it, and stop: `make release`.

    python deploy/release.py dist

A source archive and a wheel of the last commit, not of the working tree: built twice to the same
bytes, checked, installed with the light dependencies alone and tried. Beside them a bill of
materials of that installation (CycloneDX) and checksums. Nothing is uploaded or tagged.

Exit codes: 0 done, 1 a check failed, 2 it could not run. Needs requirements/release.txt.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_WHEEL_BYTES = 3_000_000
SUMS, CHANGES = "SHA256SUMS", "CHANGELOG.md"
BIN = "Scripts" if os.name == "nt" else "bin"
NOT_LIGHT = ("tensorflow", "tensorflow-cpu", "keras", "torch", "matplotlib")


class CheckError(Exception):
    """What was built is not fit to be uploaded."""


class CannotRunError(Exception):
    """Nothing could be built or tried here."""


def run(*command: object, cwd: Path | None = None, **environment: str) -> str:
    """Standard output of a program.

    Raises
    ------
    CannotRunError
        if it fails, with its last lines.
    """
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise CannotRunError(
            f"{' '.join(map(str, command[:4]))} ...: exit {done.returncode}\n{last}"
        )
    return done.stdout


def check(fit: bool, fault: str) -> None:
    if not fit:
        raise CheckError(fault)


def export(folder: Path) -> str:
    """Unpack the last commit into a folder; return its time, in seconds since 1970."""
    archive = folder.with_suffix(".tar")
    run("git", "archive", "--output", archive, "HEAD", cwd=ROOT)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    if run("git", "status", "--porcelain", cwd=ROOT):
        print("there are uncommitted changes: what is built is the last commit, without them")
    return run("git", "log", "-1", "--format=%ct", cwd=ROOT).strip()


def build(source: Path, folder: Path, epoch: str) -> tuple[Path, Path]:
    """Build the source archive, and from it the wheel."""
    run(sys.executable, "-m", "build", "--outdir", folder, source, SOURCE_DATE_EPOCH=epoch)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def check_same(first: Sequence[Path], second: Sequence[Path]) -> None:
    for one, other in zip(first, second, strict=True):
        check(one.read_bytes() == other.read_bytes(), f"{one.name}: two builds differ")


def check_contents(source: Path, sdist: Path, wheel: Path) -> None:
    """The wheel is small, and the archive has what it is made of, and nothing that is not ours."""
    size = wheel.stat().st_size
    check(size < MOST_WHEEL_BYTES, f"{wheel.name}: {size:,} bytes, not below {MOST_WHEEL_BYTES:,}")
    with tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()} - {"", "PKG-INFO"}
    ours = {p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()}
    check(names <= ours, f"{sdist.name}: not in the commit: {', '.join(sorted(names - ours)[:5])}")
    project = (source / "pyproject.toml").read_text(encoding="utf-8")
    forced = project.partition("wheel.force-include]\n")[2].partition("\n\n")[0]
    parts = ("src/", "LICENSE", "README.md", *re.findall(r'^"([^"]+)"', forced, re.MULTILINE))
    needed = {name for name in ours if name.startswith(parts)}
    lost = sorted(needed - names)
    check(not lost, f"{sdist.name}: lacks {', '.join(lost[:5])}")


def constraints(source: Path, folder: Path) -> Path:
    """The locked versions without their hashes, which cannot hold for a wheel just built."""
    lock = (source / "requirements" / "lock.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+==[^\s\\]+(?: ; [^\\\n]+)?)", lock, re.MULTILINE)
    path = folder / "constraints.txt"
    path.write_text("".join(f"{pin.strip()}\n" for pin in pins), encoding="utf-8")
    return path


def install(wheel: Path, pins: Path, folder: Path) -> Path:
    """Install the wheel with the light dependencies into an environment without pip."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / BIN / "python"
    name, version, *_ = wheel.name.split("-")
    # By name: installed from a path, it would bring that path into the bill of materials.
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-input",
        "--disable-pip-version-check", "--only-binary", ":all:", "--find-links", wheel.parent,
        "--constraint", pins, f"{name}=={version}")  # fmt: skip
    return python


def try_out(python: Path, folder: Path) -> None:
    """Detect a cry and export the student, from an empty folder."""
    folder.mkdir()
    program = python.with_name("crydistill")
    version = run(program, "--version", cwd=folder)
    check(re.fullmatch(r"crydistill \d+\.\d+\.\d+\S*\n", version) is not None, f"says {version!r}")
    run(program, "nursery", "nursery", cwd=folder)
    cry = sorted((folder / "nursery" / "test" / "baby_cry").glob("*.wav"))[0]
    heard = json.loads(run(program, "detect", "--json", cry, cwd=folder))
    check("alerts" in json.dumps(heard), f"detect --json said {heard}")
    run(program, "export", "c", "student", cwd=folder)
    check((folder / "student" / "crydistill_model.c").is_file(), "export c wrote no model")
    installed = json.loads(run(sys.executable, "-m", "pip", "--python", python, "list",
                               "--format", "json"))  # fmt: skip
    heavy = [each["name"] for each in installed if each["name"].lower() in NOT_LIGHT]
    check(not heavy, f"the light install brings {', '.join(heavy)}")
    run(sys.executable, "-m", "pip", "--python", python, "check")


def bill_of_materials(python: Path, source: Path, version: str, path: Path) -> None:
    """What the light installation is made of, as CycloneDX JSON."""
    run(sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--pyproject",
        source / "pyproject.toml", "--output-format", "JSON", "--output-file", path,
        python)  # fmt: skip
    bill = json.loads(path.read_text(encoding="utf-8"))
    # It comes from the package when the wheel is built, so that pyproject.toml lacks it.
    bill["metadata"]["component"]["version"] = version
    text = json.dumps(bill, indent=2) + "\n"
    check("file://" not in text and str(ROOT) not in text, f"{path.name}: holds a path")
    check(len(bill["components"]) > 10, f"{path.name}: lists hardly anything")
    path.write_text(text, encoding="utf-8")


def write_sums(folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def next_step(source: Path, version: str, dist: Path) -> str:
    """What is left for a person to do."""
    changes = (source / CHANGES).read_text(encoding="utf-8")
    unreleased = changes.partition("## Unreleased")[2].partition("\n## ")[0].strip()
    if unreleased or not re.search(rf"^## {re.escape(version)} ", changes, re.MULTILINE):
        return (
            f"a rehearsal: {CHANGES} has changes that are not of a release. Next: give them a "
            "version and a date (CONTRIBUTING.md, A release), commit, and run this again"
        )
    upload = f"build/release-venv/bin/twine upload {dist}/*.tar.gz {dist}/*.whl"
    return f"next: git tag v{version} && {upload}"


def release(dist: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        source = work / "source"
        epoch = export(source)
        print("building twice")
        built = build(source, work / "first", epoch)
        check_same(built, build(source, work / "second", epoch))
        check_contents(source, *built)
        run(sys.executable, "-m", "twine", "check", "--strict", *built)
        print("trying the light install")
        wheel = built[1]
        python = install(wheel, constraints(source, work), work / "light")
        try_out(python, work / "empty")
        version = wheel.name.split("-")[1]
        bill = work / "first" / f"crydistill-{version}.cdx.json"
        bill_of_materials(python, source, version, bill)
        write_sums(work / "first")
        shutil.rmtree(dist, ignore_errors=True)
        shutil.copytree(work / "first", dist)
        print((dist / SUMS).read_text(encoding="utf-8"), end="")
        print(f"{dist}: {wheel.stat().st_size:,} bytes of wheel, checked; nothing was uploaded")
        print(next_step(source, version, dist))


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python deploy/release.py FOLDER", file=sys.stderr)
        return 2
    try:
        release(Path(arguments[0]))
    except CheckError as error:
        print(f"not fit for a release: {error}", file=sys.stderr)
        return 1
    except (CannotRunError, OSError) as error:
        print(f"cannot release: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
