"""The ESP-IDF component, as far as it can be tested without ESP-IDF."""

import ctypes
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.firmware.programs import (
    FIRMWARE,
    Gaps,
    Pcm,
    Program,
    build,
    need,
    need_sanitizer,
    scene,
)
from tests.student_fixtures import manifest_for

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.audio.windows import WINDOW_HOP_SAMPLES, WINDOW_HOP_SECONDS
from crydistill.detector.vote import EventKind, VoteSettings
from crydistill.device.boards import BOARDS
from crydistill.device.component import export_esp_idf
from crydistill.device.latency import plain_cycles, recorded_instructions
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.file import read_tflite

DECLARATIONS = Path(__file__).parent / "declarations"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module")
def exported(student_tflite: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("esp-idf")
    export_esp_idf(student_tflite, manifest_for(student_tflite), directory)
    return directory


@pytest.fixture(scope="module")
def exported_with_memory(memory_tflite: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("esp-idf-memory")
    export_esp_idf(memory_tflite, manifest_for(memory_tflite), directory)
    return directory


def make_selftest(exported: Path, build: Path, *settings: str) -> Path:
    need("make", "gcc")
    model = exported / "crydistill" / "model"
    command = ["make", "-C", str(FIRMWARE), f"MODEL={model}", f"BUILD={build}", *settings]
    done = subprocess.run(
        [*command, "selftest"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return build / "selftest"


def said(program: Path, *arguments: str) -> str:
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.parametrize("settings", [(), ("FIXED=1",)], ids=["float", "fixed"])
def test_the_self_test_passes_and_can_fail(
    settings: tuple[str, ...], exported: Path, tmp_path: Path
) -> None:
    program = make_selftest(exported, tmp_path, *settings)
    assert said(program) == "passed"
    assert said(program, "patch") == "failed: front end"
    assert said(program, "logits") == "failed: network"
    assert said(program, "events") == "failed: detector"


@pytest.mark.parametrize("settings", [(), ("FIXED=1",)], ids=["float", "fixed"])
def test_the_self_test_of_a_student_with_memory(
    settings: tuple[str, ...], exported_with_memory: Path, tmp_path: Path
) -> None:
    program = make_selftest(exported_with_memory, tmp_path, *settings)
    assert said(program) == "passed"
    assert said(program, "patch") == "failed: front end"
    assert said(program, "logits") == "failed: network"
    assert said(program, "memory") == "failed: network"
    assert said(program, "gap") == "failed: front end"
    assert said(program, "arena") == "failed: memory"
    assert said(program, "events") == "failed: detector"


def folders_of(component: Path, keyword: str) -> list[Path]:
    """Folders that the component's CMakeLists names."""
    cmake = (component / "CMakeLists.txt").read_text(encoding="utf-8")
    line = re.search(rf"^    {keyword} (.+)$", cmake, re.MULTILINE)
    assert line is not None
    return [component / name for name in re.findall(r'"([^"]+)"', line[1])]


def test_the_component_compiles_by_itself(exported: Path) -> None:
    """All sources in the folders that its CMakeLists names, with its include directories."""
    need("gcc")
    component = exported / "crydistill"
    sources = [path for folder in folders_of(component, "SRC_DIRS") for path in folder.glob("*.c")]
    assert sorted(sources) == sorted(component.rglob("*.c"))
    includes = [f"-I{folder}" for folder in folders_of(component, "INCLUDE_DIRS")]
    for flags in ([], ["-DCRYDISTILL_FIXED_POINT"]):
        subprocess.run(
            ["gcc", "-std=c99", *WARNINGS, *flags, *includes, "-fsyntax-only", *map(str, sources)],
            check=True,
        )


@pytest.mark.parametrize("flags", [[], ["-DCUSTOM_SETTINGS"], ["-DRIGHT_SLOT"], ["-DLISTEN_TFLM"]])
def test_syntax_of_the_example(flags: list[str], exported: Path) -> None:
    """Against hand-written declarations of ESP-IDF, which prove nothing about the real one."""
    need("gcc")
    subprocess.run(
        [
            *("gcc", "-std=gnu17", "-fsyntax-only", *WARNINGS, *flags),
            *_includes(exported),
            str(exported / "listen" / "main" / "main.c"),
        ],
        check=True,
    )


@dataclass(frozen=True)
class Example:
    """The example on this computer, and what the library says to the same samples."""

    binary: Path
    host: Program
    settings: VoteSettings
    pcm: Pcm

    def listen(self, at: int = 0, pieces: int = 0) -> list[str]:
        """What it logs, where the driver drops pieces after the piece number `at`."""
        file = self.binary.with_suffix(".s16")
        file.write_bytes(self.pcm.tobytes())
        return said(self.binary, str(file), str(at), str(pieces)).splitlines()

    def expected(self, pcm: Pcm, gaps: Gaps = ()) -> list[str]:
        """The library's alerts in the example's words."""
        _, events = self.host.windows(pcm, settings=self.settings, gaps=gaps)
        assert len(events) > 2
        return [
            "listen: alert off"
            if event.kind == EventKind.OFF
            else f"listen: alert on, since {event.onset * WINDOW_HOP_SECONDS:.2f} s"
            for event in events
        ]


@pytest.fixture(scope="module")
def example(
    exported_with_memory: Path, memory_tflite: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Example:
    """Its tasks as threads, under the thread sanitizer, with a threshold amid the scores."""
    need("make", "gcc")
    folder = tmp_path_factory.mktemp("example")
    need_sanitizer("gcc", "thread", folder)
    host = build("all", memory_tflite, manifest_for(memory_tflite), folder, CC="gcc")
    pcm = scene(21, seed=7)
    threshold = round(float(np.median(host.windows(pcm)[0])) * 10_000)
    component = exported_with_memory / "crydistill"
    sources = [
        *component.rglob("*.c"),
        exported_with_memory / "listen" / "main" / "main.c",
        Path(__file__).parent / "esp_idf_stand_in.c",
    ]
    flags = ["-DCUSTOM_SETTINGS", f"-DCONFIG_CRYDISTILL_THRESHOLD={threshold}", "-pthread"]
    flags += [*WARNINGS, "-ffp-contract=off", "-fsanitize=thread"]
    command = ["gcc", "-std=gnu17", "-O1", "-g", *flags, *_includes(exported_with_memory)]
    binary = folder / "listen"
    subprocess.run([*command, *map(str, sources), "-o", str(binary), "-lm"], check=True)
    settings = VoteSettings(
        threshold=float(np.float32(threshold) / np.float32(10_000)), n=2, m=3, hold_seconds=1
    )
    return Example(binary, host, settings, pcm)


def alerts_of(printed: list[str]) -> list[str]:
    return [line for line in printed if line.startswith("listen: alert")]


def reports_of(printed: list[str]) -> list[str]:
    return [line for line in printed if " windows, score" in line]


def test_the_example_hears_what_the_library_hears(example: Example) -> None:
    """Two tasks, a ring and slices between microphone and library change nothing."""
    printed = example.listen()
    assert alerts_of(printed) == example.expected(example.pcm)
    assert printed[-1] == "end"
    reports = reports_of(printed)
    assert len(reports) == 2
    assert all(line.endswith("lost 0") for line in reports)


def test_what_the_driver_drops_is_a_gap(example: Example) -> None:
    printed = example.listen(at=700, pieces=150)
    # The piece behind the gap comes before the library knows of it, and is lost with it.
    heard = np.delete(example.pcm, np.arange(700 * 160, 701 * 160))
    assert alerts_of(printed) == example.expected(heard, [(700 * 160, 151 * 160)])
    assert reports_of(printed)[-1].endswith(f"lost {151 * 160}")


def test_the_example_says_which_slot_it_hears(example: Example) -> None:
    assert "rate 16000, slots 1" in example.listen()


def test_the_reading_task_goes_before_the_listening_one(example: Example) -> None:
    printed = "\n".join(example.listen())
    priorities = dict(re.findall(r"task (\w+) of priority (\d+)", printed))
    assert int(priorities["hear"]) > int(priorities["listen"]) > 0


def test_the_buffers_outlast_the_longest_work_of_the_students_backend(exported: Path) -> None:
    """By the latency model: ring and driver hold what comes while a network has the processor."""
    student = TfliteStudent.load(packaged_student())
    file = read_tflite(student.tflite)
    text = (exported / "listen" / "main" / "main.c").read_text("utf-8")
    piece, buffers = map(int, re.search(r"PIECE = (\d+), BUFFERS = (\d+)", text).groups())
    sliced = int(re.search(r"#define RING_SAMPLES (\d+)", text)[1])
    assert "(CRYDISTILL_WINDOW_HOP_FRAMES * CRYDISTILL_FRAME_HOP + 2 * PIECE)" in text
    whole = WINDOW_HOP_SAMPLES + 2 * piece
    # TensorFlow Lite Micro with plain kernels on the slowest chips of ESP-IDF, in one piece.
    cycles = sum(layer.high for layer in plain_cycles(file))
    assert cycles / 160e6 * SAMPLE_RATE < whole + piece * buffers
    # The library: a slice is less than a tenth of a window (test_step.py), a frame less than that.
    boards = [board for board in BOARDS if board.name.startswith("ESP32")]
    assert len(boards) > 3
    for board in boards:
        instructions = recorded_instructions(file, student.manifest, board.core.counted)
        seconds = instructions.network / 10 * board.core.cycles.high / board.clock_hz
        assert seconds * SAMPLE_RATE < sliced - 2 * piece


def test_syntax_of_the_tensorflow_lite_micro_backend(exported: Path) -> None:
    """Against hand-written declarations, which prove nothing about the real ones."""
    need("g++")
    subprocess.run(
        [
            *("g++", "-std=c++17", "-fsyntax-only", *WARNINGS, *_includes(exported)),
            str(exported / "crydistill_tflm" / "crydistill_tflm.cc"),
        ],
        check=True,
    )


def test_the_tensorflow_lite_micro_backend_carries_the_memory(
    exported_with_memory: Path, tmp_path: Path
) -> None:
    """The self-test on the backend, with the C engine in place of the interpreter."""
    need("gcc", "g++")
    component = exported_with_memory / "crydistill"
    flags = [f"-I{folder}" for folder in component.iterdir() if folder.is_dir()]
    sources = [str(path) for path in component.rglob("*.c")]
    subprocess.run(["gcc", "-std=c99", *flags, "-c", *sources], check=True, cwd=tmp_path)
    sources = [
        str(exported_with_memory / "crydistill_tflm" / "crydistill_tflm.cc"),
        str(Path(__file__).parent / "interpreter_stand_in.cc"),
        *(path.name for path in tmp_path.glob("*.o")),
    ]
    model = exported_with_memory / "crydistill_tflm" / "model" / "crydistill_tflite.c"
    subprocess.run(["gcc", "-c", str(model)], check=True, cwd=tmp_path)
    command = ["g++", "-std=c++17", *WARNINGS, *SANITIZERS, *_includes(exported_with_memory)]
    subprocess.run(
        [*command, *sources, "crydistill_tflite.o", "-o", "backend"], check=True, cwd=tmp_path
    )
    assert said(tmp_path / "backend") == "passed"


def _includes(exported: Path) -> list[str]:
    component, tflm = exported / "crydistill", exported / "crydistill_tflm"
    folders = [component / name for name in ("src", "selftest", "model", "port")]
    return [f"-I{folder}" for folder in (*folders, tflm, tflm / "model", DECLARATIONS)]


def test_the_settings_in_the_example_are_those_of_kconfig(exported: Path) -> None:
    used = set(re.findall(r"CONFIG_(\w+)", (exported / "listen/main/main.c").read_text("utf-8")))
    offered = set()
    for path in ("crydistill/Kconfig", "listen/main/Kconfig.projbuild"):
        offered |= set(re.findall(r"^\s*config (\w+)", (exported / path).read_text("utf-8"), re.M))
    assert used <= offered
    assert offered - used == {"CRYDISTILL_FIXED_POINT"}


def test_manifests_are_yaml(exported: Path) -> None:
    manifests = sorted(exported.rglob("idf_component.yml"))
    assert len(manifests) == 3
    for path in manifests:
        assert "idf" in yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]


class Meter(ctypes.Structure):
    _fields_ = (
        ("samples", ctypes.c_uint32),
        ("clipped", ctypes.c_uint32),
        ("energy", ctypes.c_uint64),
    )


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    need("gcc")
    library = tmp_path_factory.mktemp("port") / "port.so"
    source = FIRMWARE / "esp-idf" / "crydistill" / "port" / "crydistill_port.c"
    command = ["gcc", "-shared", "-fPIC", "-Wconversion", *WARNINGS, str(source), "-o"]
    subprocess.run([*command, str(library)], check=True)
    return ctypes.CDLL(str(library))


def test_amplification_shifts_and_clips(port: ctypes.CDLL) -> None:
    raw = np.array([0, 1 << 16, -(1 << 16), 2**31 - 1, -(2**31), 8191 << 16], dtype=np.int32)
    for bits, expected in {
        0: [0, 1, -1, 32767, -32768, 8191],
        2: [0, 4, -4, 32767, -32768, 32764],
        12: [0, 4096, -4096, 32767, -32768, 32767],
    }.items():
        pcm, meter = np.empty(len(raw), dtype=np.int16), Meter()
        port.crydistill_amplify(
            raw.ctypes, pcm.ctypes, ctypes.c_size_t(len(raw)), bits, ctypes.byref(meter)
        )
        assert pcm.tolist() == expected
        assert meter.samples == len(raw)
        assert meter.energy == sum(value**2 for value in expected)
        assert meter.clipped == {0: 0, 2: 2, 12: 3}[bits]


@pytest.mark.parametrize("amplitude", [1, 7, 100, 3_000, 32_767])
def test_decibels(amplitude: int, port: ctypes.CDLL) -> None:
    meter = Meter(1_000, 0, 1_000 * amplitude**2)
    expected = 20 * np.log10(amplitude / 32_768)
    assert port.crydistill_level_decibels(ctypes.byref(meter)) / 10 == pytest.approx(
        expected, abs=0.35
    )


def test_silence_has_a_level(port: ctypes.CDLL) -> None:
    for meter in (Meter(), Meter(100, 0, 0)):
        assert port.crydistill_level_decibels(ctypes.byref(meter)) == -1000
