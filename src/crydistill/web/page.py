"""Assemble the page: one HTML file with the library, a student, scripts and style.

The scripts are modules that Node can import one by one, for tests. In the page, those of a thread
are one script: each module behind what it imports, without the imports and exports.
"""

import base64
import html
import json
import re
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from crydistill import __version__, atomic
from crydistill.detector.calibrate import highest_score
from crydistill.detector.settings import reachable_score
from crydistill.detector.vote import VoteSettings
from crydistill.device.export import NO_PRESETS, default_preset, detector_settings
from crydistill.student.manifest import StudentManifest
from crydistill.web.engine import engine
from crydistill.web.image import student_image

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' data:; worker-src data:; "
    "style-src 'unsafe-inline'; img-src data:; media-src blob:; base-uri 'none'; form-action 'none'"
)
"""What the browser lets the page do: nothing that goes over the network."""

OWN_PRESET = "default"

_APP, _WORKER, _TAP = "app.js", "worker.js", "tap.js"
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_END_OF_SCRIPT = "</script"


def write_page(
    tflite: bytes,
    manifest: StudentManifest,
    path: str | Path,
    *,
    calibrated: VoteSettings | None = None,
) -> Path:
    """Write the page of a student; deterministic, byte for byte.

    Parameters
    ----------
    tflite : the student
    manifest : its `student.json`
    path : HTML file to write
    calibrated : settings from `crydistill calibrate` for this student; become the default

    Raises
    ------
    ModelError, ConfigError
        as `export_c`; also if the package was installed without the C library.
    """
    atomic.write_text(path, page(tflite, manifest, calibrated=calibrated))
    return Path(path)


def page(
    tflite: bytes, manifest: StudentManifest, *, calibrated: VoteSettings | None = None
) -> str:
    """Return the page of a student, as `write_page`."""
    data = {
        "library": _base64(engine()),
        "image": _base64(student_image(tflite, manifest)),
        "student": _student(manifest, calibrated),
    }
    return Template(_read("page.html")).substitute(
        policy=POLICY,
        style=_read("page.css"),
        student=f"Student {html.escape(manifest.name)}",
        about=_about(manifest),
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        worker=script(_WORKER),
        tap=script(_TAP),
        app=script(_APP),
    )


def script(name: str) -> str:
    """Return a module and all that it imports as one script."""
    text = "\n".join(_EXPORT.sub("", _IMPORT.sub("", module)) for module in _modules(name).values())
    if _END_OF_SCRIPT in text:
        raise AssertionError(f"{name}: '{_END_OF_SCRIPT}' would end the script in the page")
    return text


def _modules(name: str) -> dict[str, str]:
    """Text of a module and those that it imports, each behind its own imports."""
    found: dict[str, str] = {}

    def visit(module: str) -> None:
        if module not in found:
            text = _read(module)
            for other in _IMPORT.findall(text):
                visit(other)
            found[module] = text

    visit(name)
    return found


def _student(manifest: StudentManifest, calibrated: VoteSettings | None) -> dict[str, Any]:
    """What the page needs to know of a student."""
    presets = detector_settings(manifest, calibrated) or {OWN_PRESET: NO_PRESETS}
    return {
        "name": manifest.name,
        "sha256": manifest.tflite.sha256,
        "version": __version__,
        "highest": highest_score(manifest),
        "reachable": reachable_score(manifest),
        "presets": {name: vote.model_dump() for name, vote in presets.items()},
        "preset": default_preset(presets),
    }


def _about(manifest: StudentManifest) -> str:
    return (
        f"<p>crydistill {__version__}, student {html.escape(manifest.name)}, "
        f"sha256 {manifest.tflite.sha256[:12]}. The network and the detector are the C library for "
        "microcontrollers, compiled to WebAssembly.</p>"
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _read(name: str) -> str:
    return files("crydistill.web").joinpath("page", name).read_text(encoding="utf-8")
