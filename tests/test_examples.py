"""The examples do what they say, as whoever copies them would run them."""

import copy
import http.server
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import soundfile
import yaml
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from tests.firmware.programs import need
from tests.teacher.contract import assert_keeps_the_contract
from tests.web.picture import evening

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.detector.discovery import discovery
from crydistill.detector.files import Detection, detect_file
from crydistill.detector.settings import vote_settings
from crydistill.device.export import export_c
from crydistill.device.library import copy_library
from crydistill.student.manifest import load_manifest
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent
from crydistill.synthesis.nursery import write_nursery

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "train_on_my_recordings.ipynb"
AUTOMATIONS = sorted(EXAMPLES.glob("home-assistant-*.yaml"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some minutes of nursery sounds, four of which are cries."""
    path = tmp_path_factory.mktemp("recordings") / "evening.wav"
    soundfile.write(path, evening(), SAMPLE_RATE, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def found(recording: Path) -> Detection:
    student = TfliteStudent.load(packaged_student())
    detection = detect_file(recording, student, vote_settings(student.manifest, "balanced"))
    assert detection.alerts
    return detection


def python(script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run an example, in a folder of its own."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=1800, cwd=cwd,
    )  # fmt: skip


def test_the_readme_says_of_every_example_whom_it_is_for() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[`([\w./-]+)`\]\(([\w./-]+)\) \|", readme, re.MULTILINE)
    assert all(name == link for name, link in rows)
    there = {
        path.relative_to(EXAMPLES).as_posix()
        for path in EXAMPLES.rglob("*")
        if path.is_file() and path.name != "README.md" and "__pycache__" not in path.parts
    }
    assert {name for name, _ in rows} == there


def test_detection_takes_ten_lines(recording: Path, found: Detection, tmp_path: Path) -> None:
    code = (EXAMPLES / "detect.py").read_text(encoding="utf-8").partition('"""\n')[2]
    assert len([line for line in code.splitlines() if line]) <= 10
    done = python("detect.py", recording, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = [tuple(map(float, re.findall(r"(\d+\.\d) s", line))) for line in done.stdout.split("\n")]
    assert said[:-1] == [(round(a.onset, 1), round(a.raised_at, 1)) for a in found.alerts]


class _Hook(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted in `server.posted`."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.headers["Content-Type"], json.loads(body)))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hook) as server:
        server.posted = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_every_alert_is_posted(
    recording: Path, found: Detection, hook: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    done = python("webhook.py", recording, f"http://127.0.0.1:{hook.server_port}/cry", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    kinds, events = zip(*hook.posted, strict=True)  # type: ignore[attr-defined]
    assert set(kinds) == {"application/json"}
    assert [event["event"] for event in events] == ["on", "off"] * len(found.alerts)
    assert [event["onset_s"] for event in events[::2]] == pytest.approx(
        [alert.onset for alert in found.alerts], abs=0.01
    )


def test_a_server_that_is_down_does_not_end_the_listening(
    recording: Path, found: Detection, tmp_path: Path
) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hook) as closed:
        port = closed.server_port
    done = python("webhook.py", recording, f"http://127.0.0.1:{port}/cry", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 2 * len(found.alerts)
    assert all(line.endswith("was not delivered") for line in lines)


@pytest.mark.slow
def test_a_teacher_of_ones_own_is_distilled(tmp_path: Path) -> None:
    done = python("custom_teacher.py", "made", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "made" / "runs" / "bands"
    student = TfliteStudent.load(run)
    assert student.manifest.tflite.sha256
    assert f"--model {run.relative_to(tmp_path)}" in done.stdout
    spec = importlib.util.spec_from_file_location("custom_teacher", EXAMPLES / "custom_teacher.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert_keeps_the_contract(module.BandTeacher(tmp_path / "made" / "bands.npz"))


def test_the_notebook_is_clean() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) >= 4
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "/" not in notebook.metadata.get("language_info", {}).get("version", "")
    assert [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])] == cells[:1]


def two_folders(folder: Path) -> tuple[Path, Path]:
    """The nursery as somebody's recordings to train on, and others to judge by."""
    nursery = write_nursery(folder / "nursery").parent
    header, *rows = (nursery / "clips.csv").read_text(encoding="utf-8").splitlines()
    split = header.split(",").index("split")
    made = []
    for name, wanted in (("mine", ("train", "validation")), ("held-out", ("test",))):
        corpus = shutil.copytree(nursery, folder / name)
        kept = [row for row in rows if row.split(",")[split] in wanted]
        (corpus / "clips.csv").write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")
        made.append(corpus)
    return made[0], made[1]


def own_kernel(folder: Path) -> AsyncKernelManager:
    """A kernel of the interpreter that runs the tests, whatever kernels this machine knows."""
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "tests", "language": "python"}
    (folder / "own").mkdir(parents=True)
    (folder / "own" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    specs = KernelSpecManager(kernel_dirs=[str(folder)], ensure_native_kernel=False)
    return AsyncKernelManager(kernel_name="own", kernel_spec_manager=specs)


@pytest.mark.slow
def test_the_notebook_trains_on_a_folder(tmp_path: Path) -> None:
    """With the nursery for recordings, whose scores by YAMNet travel with the package."""
    mine, held_out = two_folders(tmp_path)
    notebook = copy.deepcopy(nbformat.read(NOTEBOOK, as_version=4))
    (parameters,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    given = {
        "RECORDINGS": str(mine), "HELD_OUT": str(held_out), "EPOCHS": 1,
        "CONFIG": str(ROOT / "configs" / "real.yaml"), "TEACHER": "{recorded: true}",
    }  # fmt: skip
    assert set(given) == set(re.findall(r"^(\w+) = ", parameters.source, re.MULTILINE))
    parameters.source = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    client = NotebookClient(
        notebook, km=own_kernel(tmp_path / "kernels"), timeout=1800,
        resources={"metadata": {"path": str(tmp_path)}},
    )  # fmt: skip
    client.execute()
    run = tmp_path / "runs" / "mine"
    assert load_manifest(run / "student.json").training is not None
    assert (run / "report.html").is_file() and (run / "night.html").is_file()
    shown = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "student INT8" in shown and "highest score" in shown


def test_the_main_in_c_hears_what_python_hears(
    recording: Path, found: Detection, tmp_path: Path
) -> None:
    need("gcc")
    student = TfliteStudent.load(packaged_student())
    export_c(student.tflite, student.manifest, tmp_path / "student")
    copy_library(tmp_path / "student")
    sources = [EXAMPLES / "c" / "main.c", *sorted((tmp_path / "student").glob("*.c"))]
    includes = [f"-I{tmp_path / 'student'}", f"-I{EXAMPLES / 'c'}"]
    command = ["gcc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", *includes,
               *map(str, sources), "-lm", "-o", str(tmp_path / "listen")]  # fmt: skip
    built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert built.returncode == 0, built.stderr
    pcm, _ = soundfile.read(recording, dtype="int16")
    heard = subprocess.run(
        [tmp_path / "listen"], input=pcm.astype("<i2").tobytes(), capture_output=True, check=False,
        timeout=600,
    )  # fmt: skip
    assert heard.returncode == 0
    assert heard.stdout.decode().splitlines() == ["a baby cries"] * len(found.alerts)


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_documents_show_the_examples_as_they_are() -> None:
    main = (EXAMPLES / "c" / "main.c").read_text(encoding="utf-8")
    assert blocks("docs/firmware.md", "c")[0] == main
    shown = blocks("docs/home-assistant.md", "yaml")
    for path in AUTOMATIONS:
        assert path.read_text(encoding="utf-8") in shown, path.name
    device = (EXAMPLES / "esphome.yaml").read_text(encoding="utf-8")
    assert blocks("integrations/esphome/README.md", "yaml")[0] in device


class _Loader(yaml.SafeLoader):
    """YAML with ESPHome's `!secret`."""


_Loader.add_constructor("!secret", lambda loader, node: loader.construct_scalar(node))


def test_the_esphome_device_is_a_whole_one() -> None:
    """ESPHome itself checks it in tests/integrations, where it is installed."""
    device = yaml.load((EXAMPLES / "esphome.yaml").read_text(encoding="utf-8"), _Loader)
    assert {"esphome", "esp32", "wifi", "external_components", "crydistill"} <= device.keys()
    microphone = device["crydistill"]["microphone"]["microphone"]
    assert microphone in [each["id"] for each in device["microphone"]]


def announced() -> set[str]:
    """Ids that Home Assistant gives to the entities of a detector called nursery."""

    def slug(words: str) -> str:
        return re.sub(r"\W+", "_", words.lower()).strip("_")

    told = discovery("nursery", ["balanced"], 1.0)
    device = told["dev"]["name"]
    return {f"{e['p']}.{slug(device)}_{slug(e['name'])}" for e in told["cmps"].values()}


STATE_TRIGGER = {"trigger", "entity_id", "attribute", "from", "to", "for"}


@pytest.mark.parametrize("path", AUTOMATIONS, ids=lambda path: path.stem)
def test_an_automation_is_one_and_names_entities_that_are_announced(path: Path) -> None:
    """Keys as Home Assistant documents them since 2024.10; Home Assistant itself is not here."""
    text = path.read_text(encoding="utf-8")
    automation: dict[str, Any] = yaml.safe_load(text)
    assert automation.keys() == {"alias", "triggers", "actions"}
    for trigger in automation["triggers"]:
        assert trigger["trigger"] == "state" and trigger.keys() <= STATE_TRIGGER
        assert trigger["entity_id"] in announced()
    for action in automation["actions"]:
        assert action.keys() == {"action", "data"}
        assert re.fullmatch(r"notify\.\w+", action["action"]) and action["data"]["message"]
    named = re.findall(r"\b(?:binary_sensor|sensor)\.\w+", text)
    assert named and set(named) <= announced()
    assert np.all([text.count(left) == text.count(right) for left, right in ("{}", "()")])
