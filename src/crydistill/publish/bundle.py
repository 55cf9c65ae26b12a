"""Assemble and check a release bundle: all files needed to use a student, in one folder.

    README.md             the model card
    student.tflite        the student
    student.json          its manifest
    student_float.tflite  the same with float32 input and output, for browsers
    c/                    the student as C source
    golden/               golden vectors: audio, patches, logits, votes
    space/                the student as a web page, for a static Space on the hub
    metrics.json          the run's metrics
    check.json            the result of the device check
    config.yaml           the run's configuration
    bundle.json           provenance of the bundle
    SHA256SUMS            checksums of all other files

A bundle is refused if it derives from private recordings, if files do not belong together, if the
code that made it was not committed, or if the card would be incomplete. One from recordings of
which nobody stated licence and privacy is marked, and can be published once somebody has
(`declare`). Absolute paths in the run's records are reduced to their last component.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from crydistill import __version__, atomic
from crydistill.device.export import export_c
from crydistill.download import sha256_of
from crydistill.errors import CheckFailed, ConfigError, ModelError
from crydistill.json_file import read_json, read_text
from crydistill.places import absolute_paths, without_absolute_paths
from crydistill.progress import Progress, silent
from crydistill.publish import card, golden
from crydistill.publish.card import CardSources, check_card, make_card, require_complete
from crydistill.publish.fingerprints import PrivateFingerprints
from crydistill.publish.guard import scan
from crydistill.publish.space import check_space, space_files
from crydistill.run_directory import RunDirectory
from crydistill.student.manifest import (
    MANIFEST_NAME,
    TFLITE_NAME,
    StudentManifest,
    load_manifest,
)
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.check import check_tflite, tflite_bytes
from crydistill.tflite.float_io import float_twin
from crydistill.yaml_text import parse_yaml

FLOAT_NAME = "student_float.tflite"
METRICS_NAME = "metrics.json"
CHECK_NAME = "check.json"
CONFIG_NAME = "config.yaml"
ABOUT_NAME = "bundle.json"
SUMS_NAME = "SHA256SUMS"
C_FOLDER = "c"
GOLDEN_FOLDER = "golden"
SPACE_FOLDER = "space"

DEFAULT_LICENCE = "mit"
UNKNOWN_LICENCE = "unknown"
"""Of a student from undeclared recordings, unless its maker names one; an identifier of the hub."""

NOTES = {
    TFLITE_NAME: "the student with int8 input and output, for TFLite Micro and LiteRT",
    MANIFEST_NAME: "its manifest: front end, quantisation, outputs, thresholds",
    FLOAT_NAME: "the same network with float32 input and output, for LiteRT.js in browsers",
    f"{C_FOLDER}/": "the student and its detector as complete C99 sources",
    f"{GOLDEN_FOLDER}/": "golden vectors (audio, patches, logits, votes) to test an implementation",
    f"{SPACE_FOLDER}/": "the student as a web page that listens, a static Space as it is",
    METRICS_NAME: "the run's metrics, for all models and slices",
    CHECK_NAME: "the result of the check with TFLite Micro",
    CONFIG_NAME: "the configuration of the run",
    ABOUT_NAME: "the provenance of this bundle",
    SUMS_NAME: "checksums of all files",
}

_RECORDS = (METRICS_NAME, CHECK_NAME, CONFIG_NAME)
"""Files of the run that contain paths of corpora, weights and stores."""

_DIRTY = "-dirty"
_SUM_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._][A-Za-z0-9._/-]*)")
_MAX_TEXT_BYTES = 16 << 20
"""Largest text file to read, such as metrics or checksums, in bytes."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that passed all checks.

    files : sha256 by path relative to `directory`, SHA256SUMS included
    draft : made from uncommitted code; cannot be published
    undeclared : recordings of which nobody stated licence and privacy, so that it cannot be
        published; empty if there are none
    """

    directory: Path
    manifest: StudentManifest
    files: dict[str, str]
    draft: bool
    undeclared: str = ""


def make_bundle(
    run: str | Path,
    directory: str | Path,
    *,
    code_commit: str | None,
    licence: str | None = None,
    draft: bool = False,
    library: str | Path | None = None,
    private: PrivateFingerprints | None = None,
    progress: Progress = silent,
) -> Bundle:
    """Assemble a run's bundle.

    The folder is created atomically, after everything in it was checked.

    Parameters
    ----------
    run : an evaluated run directory
    directory : must not exist
    code_commit : commit of the running code (`provenance.git_commit`); None outside a repository
    licence : the student's licence, as an identifier of the hub; by default MIT, or unknown if
        recordings are undeclared
    draft : accept uncommitted code; the bundle is marked and cannot be published
    library : folder of the C library's sources, to copy next to the student's; None to omit them
    private : fingerprints of recordings that must not be in it

    Raises
    ------
    ConfigError
        if the directory exists or the run was not evaluated.
    ModelError
        if student and manifest do not belong together or a file is damaged.
    CheckFailed
        listing every reason against publishing.
    MissingExtraError
        if huggingface_hub or tflite-micro is not installed.
    """
    directory, files = Path(directory), RunDirectory(Path(run))
    if directory.exists():
        raise ConfigError(f"{directory}: already exists; choose a new folder or remove it")
    student = TfliteStudent.load(files.path)
    metrics = _read_json(files.metrics, "evaluate the run first")
    manifest = student.manifest
    _require_publishable(manifest, metrics, code_commit, draft)
    if licence is None:
        licence = UNKNOWN_LICENCE if card.undeclared(manifest, metrics) else DEFAULT_LICENCE
    sources = CardSources(manifest, metrics, licence, NOTES, draft)
    require_complete(sources)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".bundle-") as name:
        made = Path(name) / "bundle"
        _fill(made, files, student, sources, library, code_commit)
        check_bundle(made, private=private, progress=progress)
        made.rename(directory)
    undeclared = card.undeclared(manifest, metrics)
    return Bundle(directory, manifest, _hashes(directory), draft, undeclared)


def declare(directory: str | Path, licence: str) -> None:
    """Record in a bundle what its publisher states of the undeclared recordings behind it.

    That they have this licence, and that none of them is private, goes into `bundle.json` and the
    card. Check the bundle afterwards (`check_bundle`).

    Raises
    ------
    ConfigError
        if the licence is empty, or nothing is undeclared.
    ModelError
        if a file is missing, damaged or does not match SHA256SUMS.
    CheckFailed
        if the card was edited by hand or made by another release.
    """
    directory = Path(directory)
    if not licence.strip():
        raise ConfigError("the declaration needs the recordings' licence, such as 'CC BY 4.0'")
    _verified(directory)
    about = _read_json(directory / ABOUT_NAME, "bundle again")
    sources = _card_sources(directory, about)
    if not card.undeclared(sources.manifest, sources.metrics):
        raise ConfigError(
            f"{directory}: licence and privacy of all recordings are stated; leave out --declare"
        )
    path = directory / card.FILE_NAME
    if _read_text(path, "bundle again") != str(make_card(sources)):
        raise CheckFailed(
            f"{path}: edited, or made by another release, so that the declaration has no place in "
            "it; bundle again"
        )
    declared = replace(sources, declared=licence.strip())
    about["declaration"] = _declaration(declared)
    atomic.write_text(path, str(make_card(declared)))
    atomic.write_text(directory / ABOUT_NAME, json.dumps(about, indent=2) + "\n")
    (directory / SUMS_NAME).unlink()
    atomic.write_text(directory / SUMS_NAME, _sums(directory))


def _fill(
    folder: Path,
    files: RunDirectory,
    student: TfliteStudent,
    sources: CardSources,
    library: str | Path | None,
    code_commit: str | None,
) -> None:
    folder.mkdir(mode=0o755)
    _copy(files, folder)
    _remove_absolute_paths(folder)
    tflite, manifest = student.tflite, student.manifest
    atomic.write_bytes(folder / FLOAT_NAME, float_twin(tflite))
    _write_c(tflite, manifest, folder / C_FOLDER, library)
    for file, content in golden.golden_files(tflite, manifest).items():
        atomic.write_bytes(folder / GOLDEN_FOLDER / file, content)
    for file, content in space_files(tflite, manifest, sources.licence).items():
        atomic.write_bytes(folder / SPACE_FOLDER / file, content)
    about = _about(sources, code_commit)
    atomic.write_text(folder / ABOUT_NAME, json.dumps(about, indent=2) + "\n")
    atomic.write_text(folder / card.FILE_NAME, str(make_card(sources)))
    atomic.write_text(folder / SUMS_NAME, _sums(folder))


def check_bundle(
    directory: str | Path,
    *,
    private: PrivateFingerprints | None = None,
    allowed: Collection[str] = (),
    progress: Progress = silent,
) -> Bundle:
    """Check a bundle without trusting it.

    The files are exactly those in SHA256SUMS; student and manifest belong together; the student
    passes the device check on the golden audio and gives the golden logits; float twin and web page
    are the student's; the card is complete; no record contains an absolute path; the guard finds
    nothing private and no audio but the golden audio, which is rendered again for the comparison.

    Parameters
    ----------
    private : fingerprints of recordings that must not be in it
    allowed : sha256 allowlist for the guard, in addition to the golden audio

    Raises
    ------
    ModelError
        if a file is missing, damaged or does not match SHA256SUMS.
    CheckFailed
        if there is a reason against publishing.
    """
    directory = Path(directory)
    files = _verified(directory)
    student = TfliteStudent.load(directory)
    manifest = student.manifest
    about = _read_json(directory / ABOUT_NAME, "bundle again")
    sources = _card_sources(directory, about)
    metrics, draft = sources.metrics, sources.draft
    commit = about.get("code_commit")
    _require_publishable(manifest, metrics, None if commit is None else str(commit), draft)
    require_complete(sources)
    _require_no_absolute_paths(directory)
    text = _read_text(directory / card.FILE_NAME, "bundle again")
    check_card(text)
    undeclared = _require_stated(directory, sources, about, text)
    tflite, size = student.tflite, manifest.tflite.size_bytes
    name = str(directory / TFLITE_NAME)
    check_tflite(tflite, golden.golden_patches(), size_limit=size, name=name)
    golden.check_golden(directory / GOLDEN_FOLDER, tflite, manifest)
    check_space(directory / SPACE_FOLDER, tflite, manifest, sources.licence)
    if tflite_bytes(directory / FLOAT_NAME, size_limit=2 * size) != float_twin(tflite):
        raise CheckFailed(
            f"{directory / FLOAT_NAME}: not the float twin of the student; bundle again"
        )
    findings = scan(
        directory.resolve(),
        private=private,
        allowed={*allowed, *golden.allowed_audio()},
        progress=progress,
    )
    if findings:
        raise CheckFailed(
            f"{directory}: the guard reports {len(findings)} findings, the first: {findings[0]}"
        )
    return Bundle(directory, manifest, files, draft, undeclared)


def _card_sources(directory: Path, about: dict[str, Any]) -> CardSources:
    """Sources of a bundle's card, from the bundle itself."""
    declaration = about.get("declaration")
    licence = declaration.get("licence") if isinstance(declaration, dict) else None
    return CardSources(
        load_manifest(directory / MANIFEST_NAME),
        _read_json(directory / METRICS_NAME, "bundle again"),
        str(about.get("licence", "")),
        NOTES,
        about.get("draft") is not False,
        str(licence) if licence else None,
    )


def _require_stated(directory: Path, sources: CardSources, about: dict[str, Any], text: str) -> str:
    """Check that card and record agree on undeclared recordings; returns the open ones."""
    if not card.undeclared(sources.manifest, sources.metrics):
        return ""
    if card.privacy(sources) not in text:
        raise CheckFailed(
            f"{directory / card.FILE_NAME}: does not say which recordings are undeclared, or who "
            "declared them; bundle again"
        )
    if sources.declared is None:
        return card.undeclared(sources.manifest, sources.metrics)
    if about["declaration"] != _declaration(sources):
        raise CheckFailed(
            f"{directory / ABOUT_NAME}: declaration: of other recordings; bundle again"
        )
    return ""


def _declaration(sources: CardSources) -> dict[str, Any]:
    return {
        "licence": sources.declared,
        "private": False,
        "recordings": card.undeclared(sources.manifest, sources.metrics),
    }


def parse_sums(text: str, name: str) -> dict[str, str]:
    """Parse a `SHA256SUMS` into a sha256 by path.

    Parameters
    ----------
    name : name of the file, for error messages

    Raises
    ------
    ModelError
        naming the line that `sha256sum` did not write, or whose path leaves the folder.
    """
    stated = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _SUM_LINE.fullmatch(line)
        if match is None or ".." in match[2].split("/"):
            raise ModelError(f"{name}:{number}: not a line of `sha256sum`; bundle again")
        stated[match[2]] = match[1]
    return stated


def _require_publishable(
    manifest: StudentManifest, metrics: Mapping[str, Any], code_commit: str | None, draft: bool
) -> None:
    problems = []
    if manifest.training.private:
        problems.append("student.json: training.private: trained on private recordings")
    if _at(metrics, "clips", "private") is not False:
        problems.append("metrics.json: clips.private: evaluated on private clips")
    if _at(metrics, "provenance", "student", "sha256") != manifest.tflite.sha256:
        problems.append("metrics.json: provenance.student.sha256: metrics of another student")
    if not draft:
        problems += _uncommitted(manifest, _at(metrics, "provenance", "git_commit"), code_commit)
    if problems:
        raise CheckFailed(f"{manifest.name}: cannot be published: {'; '.join(problems)}")


def _uncommitted(manifest: StudentManifest, evaluated: Any, code_commit: str | None) -> list[str]:
    """Artefacts made by code that is not committed."""
    problems = []
    makers = {
        "student.json": manifest.provenance.git_commit,
        "metrics.json": evaluated,
    }
    for name, commit in makers.items():
        if not isinstance(commit, str):
            problems.append(f"{name}: provenance.git_commit: unknown")
        elif commit.endswith(_DIRTY):
            problems.append(f"{name}: provenance.git_commit: made with uncommitted code")
    # Outside a repository, the package version identifies the code.
    if code_commit is not None and code_commit.endswith(_DIRTY):
        problems.append("the bundling code is not committed")
    return problems


def _at(value: Any, *keys: str) -> Any:
    """Value at a path of keys, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _copy(files: RunDirectory, made: Path) -> None:
    named = {
        TFLITE_NAME: files.student,
        MANIFEST_NAME: files.manifest,
        METRICS_NAME: files.metrics,
        CHECK_NAME: files.check,
        CONFIG_NAME: files.config,
    }
    for name, path in named.items():
        try:
            shutil.copyfile(path, made / name)
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be read ({error.strerror}); a bundle needs a complete run"
            ) from error


def _remove_absolute_paths(made: Path) -> None:
    """Rewrite the run's files that contain absolute paths of this machine."""
    for name in _RECORDS:
        found = _record(made / name)
        kept = without_absolute_paths(found)
        if kept != found:
            text = (
                yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
                if name == CONFIG_NAME
                else json.dumps(kept, indent=2) + "\n"
            )
            atomic.write_text(made / name, text)


def _require_no_absolute_paths(directory: Path) -> None:
    for name in (*_RECORDS, MANIFEST_NAME):
        for field in absolute_paths(_record(directory / name)):
            raise CheckFailed(
                f"{directory / name}: {field}: an absolute path of the build machine; bundle again"
            )


def _record(path: Path) -> dict[str, Any]:
    if path.name != CONFIG_NAME:
        return _read_json(path, "bundle again")
    try:
        found = parse_yaml(_read_text(path, "bundle again"))
    except ValueError as error:
        raise ModelError(f"{path}: not valid YAML; bundle again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: not a YAML mapping; bundle again")
    return found


def _write_c(
    tflite: bytes, manifest: StudentManifest, folder: Path, library: str | Path | None
) -> None:
    export_c(tflite, manifest, folder)
    if library is None:
        return
    sources = sorted(path for path in Path(library).glob("*.[ch]") if path.is_file())
    if not any(path.name == "crydistill.h" for path in sources):
        raise ConfigError(f"{library}: no crydistill.h found; pass the project's firmware/src")
    for path in sources:
        shutil.copyfile(path, folder / path.name)


def _about(sources: CardSources, code_commit: str | None) -> dict[str, Any]:
    return {
        "format_version": 1,
        "name": sources.manifest.name,
        "student_sha256": sources.manifest.tflite.sha256,
        "licence": sources.licence,
        "package_version": __version__,
        "code_commit": code_commit,
        "draft": sources.draft,
    }


def _sums(directory: Path) -> str:
    return "".join(f"{digest}  {name}\n" for name, digest in _hashes(directory).items())


_read_json = partial(read_json, error=ModelError, max_bytes=_MAX_TEXT_BYTES)
_read_text = partial(read_text, error=ModelError, max_bytes=_MAX_TEXT_BYTES)


def _hashes(directory: Path) -> dict[str, str]:
    """The sha256 of every file by relative path, sorted by path."""
    return {
        path.relative_to(directory).as_posix(): sha256_of(path)
        for path in sorted(directory.rglob("*"))
        if path.is_file() or path.is_symlink()
    }


def _verified(directory: Path) -> dict[str, str]:
    """Hash all files and verify them against SHA256SUMS."""
    if not directory.is_dir():
        raise ModelError(f"{directory}: no such bundle; make one with `crydistill bundle`")
    links = [path for path in sorted(directory.rglob("*")) if path.is_symlink()]
    if links:
        raise ModelError(
            f"{links[0]}: a symbolic link; a bundle contains regular files only; bundle again"
        )
    sums = directory / SUMS_NAME
    found, stated = _hashes(directory), parse_sums(_read_text(sums, "bundle again"), str(sums))
    for name in sorted(stated.keys() | found.keys() - {SUMS_NAME}):
        if name not in found:
            raise ModelError(f"{directory / name}: listed in {SUMS_NAME} but missing; bundle again")
        if name not in stated:
            raise ModelError(f"{directory / name}: not in {SUMS_NAME}; remove it or bundle again")
        if found[name] != stated[name]:
            raise ModelError(f"{directory / name}: its sha256 does not match {SUMS_NAME}")
    return found
