"""The page as a file: whole, small, the same each time, and without a way to the network."""

import re
from pathlib import Path

import pytest
from tests.web.node import PAGE
from typer.testing import CliRunner

from crydistill.cli import app
from crydistill.detector.vote import VoteSettings
from crydistill.student.runtime import TfliteStudent
from crydistill.web.page import page, script

MOST_BYTES = 300_000
SCRIPTS = ["app.js", "worker.js", "tap.js"]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_it_is_one_small_file(page_file: Path) -> None:
    assert page_file.stat().st_size < MOST_BYTES
    assert [path.name for path in page_file.parent.iterdir()] == [page_file.name]


def test_the_same_student_gives_the_same_bytes(packaged: TfliteStudent, page_file: Path) -> None:
    assert page(packaged.tflite, packaged.manifest) == text_of(page_file)


def test_nothing_in_it_is_loaded_from_elsewhere(page_file: Path) -> None:
    text = text_of(page_file)
    assert not re.findall(r"https?://|//[a-z]+\.[a-z]", text)
    assert not re.findall(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon)\b", text)
    sources = re.findall(r'\b(?:src|href)="([^"]*)"', text)
    assert all(source.startswith("data:") for source in sources), sources
    assert "default-src 'none'" in text


@pytest.mark.parametrize("name", SCRIPTS)
def test_modules_become_one_script_without_imports(name: str) -> None:
    text = script(name)
    assert not re.findall(r"^(import|export) ", text, re.MULTILINE)
    # Two modules that declare the same name would break the script, or worse.
    declared = re.findall(r"^(?:async )?(?:const|let|function\*?|class) ([\w$]+)", text, re.M)
    assert len(declared) == len(set(declared)), sorted(declared)


def test_every_module_is_part_of_a_script() -> None:
    used = "".join(script(name) for name in SCRIPTS)
    for module in PAGE.glob("*.js"):
        first = text_of(module).splitlines()[0]
        assert first.startswith("// ")
        assert first in used, module.name


def test_every_element_that_a_script_wants_is_in_the_page(page_file: Path) -> None:
    text = text_of(page_file)
    wanted = set(re.findall(r'byId\("([\w-]+)"\)', script("app.js")))
    assert len(wanted) > 30
    assert wanted <= set(re.findall(r'\bid="([\w-]+)"', text))


def test_calibrated_settings_are_its_default(packaged: TfliteStudent) -> None:
    vote = VoteSettings(threshold=0.123, n=3, m=7, hold_seconds=4)
    text = page(packaged.tflite, packaged.manifest, calibrated=vote)
    assert '"calibrated":{"threshold":0.123,"n":3,"m":7,"hold_seconds":4.0}' in text
    assert '"preset":"calibrated"' in text


def test_names_of_students_are_text(packaged: TfliteStudent) -> None:
    manifest = packaged.manifest.model_copy(update={"name": "</script><b>$style"})
    text = page(packaged.tflite, manifest)
    assert "<b>" not in text
    assert "&lt;b&gt;$style" in text


def test_the_command_writes_it(page_file: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", "web", str(tmp_path / "new" / "page.html")])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == str(tmp_path / "new" / "page.html")
    assert text_of(tmp_path / "new" / "page.html") == text_of(page_file)


def test_a_model_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "student.tflite").write_bytes(b"no")
    done = CliRunner().invoke(
        app, ["export", "web", str(tmp_path / "page.html"), "--model", str(tmp_path)]
    )
    assert done.exit_code != 0
    assert not (tmp_path / "page.html").exists()
