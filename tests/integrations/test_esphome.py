"""The ESPHome component: checked by ESPHome where installed, run on this computer with stubs."""

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from tests.publish.runs import COMMIT, write_run

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.device.export import export_c
from crydistill.device.library import copy_library
from crydistill.device.packages import export_esphome
from crydistill.publish.bundle import Bundle, make_bundle
from crydistill.student.runtime import TfliteStudent

ROOT = Path(__file__).parents[2]
ESPHOME = ROOT / "integrations" / "esphome"
COMPONENT = ESPHOME / "components" / "crydistill"
HERE = Path(__file__).parent
STUBBED = (
    "freertos/FreeRTOS.h",
    "freertos/task.h",
    "esphome/components/binary_sensor/binary_sensor.h",
    "esphome/components/microphone/microphone_source.h",
    "esphome/components/number/number.h",
    "esphome/components/ota/ota_backend.h",
    "esphome/components/select/select.h",
    "esphome/components/sensor/sensor.h",
    "esphome/core/component.h",
    "esphome/core/defines.h",
    "esphome/core/helpers.h",
    "esphome/core/log.h",
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("esphome")
    return make_bundle(
        write_run(folder / "run"),
        folder / "bundle",
        code_commit=COMMIT,
        library=ROOT / "firmware" / "src",
    )


@pytest.fixture(scope="module")
def program(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The component with stubs in place of ESPHome, under the sanitizers."""
    if shutil.which("gcc") is None or shutil.which("g++") is None:
        pytest.skip("needs gcc and g++")
    folder = tmp_path_factory.mktemp("program")
    for name in STUBBED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('#include "esphome_stubs.h"\n', encoding="utf-8")
    sources = shutil.copytree(bundle.directory / "c", folder / "crydistill")
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    flags += [f"-I{path}" for path in (folder, HERE, COMPONENT)]
    objects = []
    for source in sorted(Path(sources).glob("*.c")):
        objects.append(folder / f"{source.stem}.o")
        run("gcc", *flags, "-std=c99", "-c", str(source), "-o", str(objects[-1]))
    flags += [f"-DUSE_{part}" for part in ("NUMBER", "SELECT", "OTA_STATE_LISTENER")]
    cpp = [str(HERE / "esphome_main.cpp"), *map(str, sorted(COMPONENT.glob("*.cpp")))]
    binary = folder / "program"
    run("g++", *flags, "-std=gnu++20", *cpp, *map(str, objects), "-pthread", "-o", str(binary))
    return binary


def run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, cwd=cwd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def golden_votes(bundle: Bundle) -> list[tuple[float, str]]:
    """Score and event of each window with the preset `balanced`."""
    text = (bundle.directory / "golden" / "votes.txt").read_text(encoding="ascii")
    lines = text[text.index("case balanced") :].splitlines()[3:]
    rows = [line.split() for line in lines]
    return [(struct.unpack("<f", struct.pack("<I", int(a, 16)))[0], b) for a, b, _ in rows]


def test_component_hears_what_the_golden_vectors_say(program: Path, bundle: Bundle) -> None:
    pcm = bundle.directory / "golden" / "pcm.s16"
    printed = run(str(program), str(pcm), "slow").splitlines()
    scores = [float(line.split()[1]) for line in printed if line.startswith("score")]
    wanted = golden_votes(bundle)
    assert len(scores) == len(wanted)
    # A logit may be a step off where the float32 front end rounds a patch's value otherwise.
    assert scores == pytest.approx([score for score, _ in wanted], abs=0.1)
    assert any(event == "on" for _, event in wanted)
    assert next(line for line in printed if line.startswith("crying")) == "crying 1"


def test_component_says_when_it_cannot_keep_up(program: Path, tmp_path: Path) -> None:
    (tmp_path / "long.s16").write_bytes(bytes(40 * 32_000))
    printed = run(str(program), str(tmp_path / "long.s16"), "flood")
    assert "of audio lost" in printed
    assert "score" in printed
    # What is lost is a gap: its windows count, too, though none has a score.
    assert printed.splitlines()[-1] == f"{int(40 / WINDOW_HOP_SECONDS)} windows"


def test_component_refuses_settings_out_of_range(program: Path, bundle: Bundle) -> None:
    pcm = bundle.directory / "golden" / "pcm.s16"
    printed = run(str(program), str(pcm), "impossible")
    assert "settings: n and m must be" in printed
    assert "failed" in printed


def test_the_task_takes_turns_with_the_main_loop(program: Path, bundle: Bundle) -> None:
    """No higher priority than the loop's, 1; after each window it rests for those of lower ones."""
    pcm = bundle.directory / "golden" / "pcm.s16"
    printed = run(str(program), str(pcm), "slow").splitlines()
    assert "priority 1" in printed
    windows = len(golden_votes(bundle))
    assert f"rests {windows}" in printed


def test_controls_take_effect_from_the_next_window(program: Path, bundle: Bundle) -> None:
    pcm = bundle.directory / "golden" / "pcm.s16"
    printed = run(str(program), str(pcm), "controls")
    before, lowest, wrong, preset, again = printed.split("\n- ")
    assert "threshold 0.2\nvotes 5\nof_windows 9\nhold 10\npreset 0\n" in before
    assert "crying 1" not in before
    assert lowest.splitlines()[-5:-1] == ["threshold 0", "votes 1", "of_windows 1", "hold 0.5"]
    assert "settings: n and m must be" in wrong
    assert "votes 1\n" in wrong
    assert "votes 5" not in wrong
    assert preset.splitlines()[1:] == [
        "threshold 0.25",
        "votes 2",
        "of_windows 3",
        "hold 10",
        "preset 1",
    ]
    # With a threshold of 0 each window votes: the next is an alert.
    lines = again.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("score"))
    assert lines[first + 1] == "crying 1"


def test_an_update_is_a_gap(program: Path, bundle: Bundle) -> None:
    """The microphone stops meanwhile; four seconds later it goes on with the right index."""
    pcm = bundle.directory / "golden" / "pcm.s16"
    printed = run(str(program), str(pcm), "update").splitlines()
    assert [line for line in printed if line.startswith("microphone")] == [
        "microphone 0",
        "microphone 1",
    ]
    windows = len(golden_votes(bundle)) + int(4 / WINDOW_HOP_SECONDS)
    assert printed[-1] == f"{windows} windows"


@pytest.fixture
def house(bundle: Bundle, tmp_path: Path) -> Path:
    """What `export esphome` writes, and a bundle."""
    if _esphome() is None:
        pytest.skip("needs esphome (pip install esphome in an environment of its own)")
    student = TfliteStudent.load(bundle.directory)
    export_esphome(student.tflite, student.manifest, tmp_path)
    shutil.copytree(bundle.directory, tmp_path / "bundle")
    (tmp_path / "example.yaml").rename(tmp_path / "nursery.yaml")
    return tmp_path


def _esphome() -> str | None:
    return os.environ.get("ESPHOME") or shutil.which("esphome")


def esphome(house: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(_esphome()), *words, "nursery.yaml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=house,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def edit(house: Path, old: str, new: str) -> None:
    path = house / "nursery.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_example_is_valid(house: Path) -> None:
    code, printed = esphome(house, "config")
    assert code == 0, printed
    assert "Configuration is valid" in printed


def test_two_pins_are_enough(house: Path, bundle: Bundle) -> None:
    """The device of `examples`, with the student that the component carries."""
    shutil.copyfile(ROOT / "examples" / "esphome.yaml", house / "nursery.yaml")
    (house / "secrets.yaml").write_text("wifi_ssid: nursery\nwifi_password: longenough\n")
    code, printed = esphome(house, "compile", "--only-generate")
    assert code == 0, printed
    built = house / ".esphome" / "build" / "nursery" / "src" / "crydistill"
    for name in ("crydistill_model.c", "crydistill_model.h"):
        assert (built / name).read_bytes() == (bundle.directory / "c" / name).read_bytes()
    assert (built / "crydistill_conv.c").is_file()


def test_a_component_without_a_student_says_where_to_get_one(house: Path) -> None:
    shutil.rmtree(house / "components" / "crydistill" / "student")
    code, printed = esphome(house, "config")
    assert code != 0
    assert "crydistill export esphome FOLDER" in " ".join(printed.split())


def test_a_bundles_student_may_take_its_place(house: Path) -> None:
    edit(house, "# model: bundle/c", "model: bundle/c")
    shutil.rmtree(house / "components" / "crydistill" / "student")
    code, printed = esphome(house, "config")
    assert code == 0, printed


def test_all_settings_reach_the_code(house: Path) -> None:
    for line in ("threshold: 0.31", "votes: 5", "of_windows: 9", "hold: 10s"):
        edit(house, f"# {line}", line)
    code, printed = esphome(house, "compile", "--only-generate")
    assert code == 0, printed
    source = house / ".esphome" / "build" / "nursery" / "src"
    main = (source / "main.cpp").read_text(encoding="utf-8")
    for call in ("crydistill_preset_balanced", "set_threshold(0.31f)", "set_votes(5, 9)"):
        assert call in main
    assert re.search(
        r"^CRYDISTILL_ALIGNED static int8_t \w+\[CRYDISTILL_ARENA_BYTES\];", main, re.M
    )
    assert "set_hold(10000)" in main
    assert (source / "crydistill" / "crydistill_model.c").is_file()


def test_controls_reach_the_code(house: Path) -> None:
    code, printed = esphome(house, "compile", "--only-generate")
    assert code == 0, printed
    source = house / ".esphome" / "build" / "nursery" / "src"
    main = (source / "main.cpp").read_text(encoding="utf-8")
    for setting in ("THRESHOLD", "VOTES", "OF_WINDOWS", "HOLD"):
        assert f"SettingNumber(cry_listener::Setting::{setting})" in main
    assert re.search(r"set_presets\(\{.*&crydistill_preset_balanced.*\}, 0\);", main)
    assert main.count("->add_observer(") == 5
    defines = (source / "esphome" / "core" / "defines.h").read_text(encoding="utf-8")
    for part in ("NUMBER", "SELECT", "OTA_STATE_LISTENER"):
        assert f"#define USE_{part}\n" in defines


SECOND = """
  - id: other_listener
    microphone: nursery_microphone
    model: other
    prefix: other
    crying:
      name: Other crying
"""


def add_second(house: Path, bundle: Bundle, prefix: str) -> None:
    """A second listener on the same microphone, with a student of its own."""
    student = TfliteStudent.load(bundle.directory)
    export_c(student.tflite, student.manifest, house / "other", prefix=prefix)
    copy_library(house / "other")
    path = house / "nursery.yaml"
    # Controls would have to say whose they are.
    text = path.read_text(encoding="utf-8").partition("\n# Controls")[0]
    head, tail = text.split("\ncrydistill:\n")
    first = "".join(f"    {line}\n" for line in tail.splitlines()).replace("    ", "  - ", 1)
    second = SECOND.replace("prefix: other", f"prefix: {prefix}")
    path.write_text(f"{head}\ncrydistill:\n{first}{second}", encoding="utf-8")


def test_two_listeners_have_students_of_their_own(house: Path, bundle: Bundle) -> None:
    add_second(house, bundle, "other")
    code, printed = esphome(house, "compile", "--only-generate")
    assert code == 0, printed
    source = house / ".esphome" / "build" / "nursery" / "src"
    main = (source / "main.cpp").read_text(encoding="utf-8")
    for text in (
        '#include "crydistill/crydistill_model.h"',
        '#include "crydistill/other_model.h"',
        "CRYDISTILL_ALIGNED static int8_t other_listener_arena[OTHER_ARENA_BYTES];",
        "(other_student, other_preset_balanced, other_listener_arena, OTHER_ARENA_BYTES)",
    ):
        assert text in main
    assert (source / "crydistill" / "other_model.c").is_file()


def test_two_students_of_one_prefix_are_refused(house: Path, bundle: Bundle) -> None:
    add_second(house, bundle, "crydistill")
    code, printed = esphome(house, "config")
    assert code != 0
    assert "two students have the prefix 'crydistill'" in printed


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("preset: balanced", "preset: deafening", "no preset 'deafening'; it has"),
        ("# model: bundle/c", "model: components", "has no crydistill_model.c"),
        ("# model: bundle/c", "model: nowhere", "nowhere"),
        ("# votes: 5", "votes: 5", "votes and of_windows together"),
        ("preset: balanced", "prefix: Bed-room", "a prefix is lower-case letters"),
        ("preset: balanced", "prefix: bedroom", "has no bedroom_model.c"),
        ("    threshold:\n      name: Cry threshold", "    loudness: {name: x}", "loudness"),
        ("sample_rate: 16000", "sample_rate: 48000", "16000"),
    ],
)
def test_mistakes_are_named(old: str, new: str, message: str, house: Path) -> None:
    edit(house, old, new)
    code, printed = esphome(house, "config")
    assert code != 0
    assert message in printed
