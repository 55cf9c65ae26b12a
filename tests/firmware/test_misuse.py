"""What people get wrong: each mistake has a name, does not compile, or does no harm."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.firmware.programs import FIRMWARE, need
from tests.tflite.editing import edited, tensor

from crydistill.audio.windows import WINDOW_HOP_SAMPLES, WINDOW_SAMPLES
from crydistill.device.c_student import FORMAT_VERSION
from crydistill.device.export import export_c
from crydistill.device.selftest import selftest_header
from crydistill.student.manifest import StudentManifest
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.check import inspect_tflite

HERE = Path(__file__).parent
WARNINGS = ("-pedantic", "-Wall", "-Wextra", "-Wshadow", "-Werror")
FLAGS = (*WARNINGS, "-O1", "-g", "-ffp-contract=off")
SANITIZED = (*FLAGS, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
LIBRARY = sorted((FIRMWARE / "src").glob("*.c"))
SELFTEST = FIRMWARE / "selftest" / "crydistill_selftest.c"
DOCUMENT = FIRMWARE.parent / "docs" / "firmware.md"


def compiled(
    binary: Path, sources: Sequence[Path], *flags: str, compiler: str = "gcc", check: bool = True
) -> str:
    """Compile and link C99, with warnings as errors; return what the compiler says."""
    need(compiler)
    includes = (f"-I{FIRMWARE / 'src'}", f"-I{SELFTEST.parent}")
    standard = () if compiler == "g++" else ("-std=c99",)
    libm = [] if {"-c", "-r"} & set(flags) else ["-lm"]
    command = [compiler, *standard, *flags, *includes, *map(str, sources), "-o", str(binary), *libm]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode == 0) == check, done.stderr
    return done.stderr


def said(program: Path, *arguments: object) -> list[str]:
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


Student = tuple[bytes, StudentManifest]


@pytest.fixture(scope="module")
def student() -> Student:
    packaged = TfliteStudent.load(packaged_student())
    return packaged.tflite, packaged.manifest


@pytest.fixture(scope="module")
def other(student: Student) -> Student:
    """The same, less easily excited."""
    tflite, manifest = student

    def lower(model: object) -> None:
        buffer = model.buffers[tensor(model, "FULLY_CONNECTED", 2).buffer]  # type: ignore[attr-defined]
        bias = np.frombuffer(bytes(buffer.data), dtype=np.int32) - 500
        buffer.data = np.frombuffer(bias.astype(np.int32).tobytes(), dtype=np.uint8)

    changed = edited(tflite, lower)
    facts = inspect_tflite(changed)
    file = manifest.tflite.model_copy(
        update={"sha256": facts.sha256, "size_bytes": facts.size_bytes}
    )
    return changed, manifest.model_copy(update={"tflite": file})


def model_of(student: Student, folder: Path, prefix: str = "crydistill") -> list[Path]:
    """The C source of a student."""
    made = export_c(*student, folder, prefix=prefix)
    return [path for path in made.files if path.suffix == ".c"]


@pytest.fixture(scope="module", params=["float", "fixed"])
def program(
    request: pytest.FixtureRequest, student: Student, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("misuse")
    sources = [*LIBRARY, SELFTEST, *model_of(student, folder), HERE / "misuse.c"]
    flags = ("-DCRYDISTILL_FIXED_POINT",) if request.param == "fixed" else ()
    compiled(folder / "misuse", sources, *SANITIZED, *flags, f"-I{folder}")
    return folder / "misuse"


NAMED = {
    "self_is_null": "self is NULL",
    "config_is_null": "config is NULL",
    "model_is_null": "model is NULL",
    "model_of_another_version": "model is of another version than the library",
    "own_kernels_are_null": "kernels lack one that the model needs",
    "own_kernels_are_empty": "kernels lack one that the model needs",
    "kernels_are_empty": "kernels lack one that the model needs",
    "kernels_lack_one": "kernels lack one that the model needs",
    "scratch_is_too_small": "model: the vendor's kernels want more scratch memory",
    "arena_is_null": "arena is NULL",
    "arena_is_misaligned": "arena is not aligned to 16 bytes",
    "arena_is_too_small": "arena_bytes is less than the model needs",
    "listener_is_null": "listener is NULL",
    "settings_are_null": "settings is NULL",
    "threshold_is_negative": "settings: threshold must be",
    "votes_are_none": "settings: n and m must be",
    "hold_is_too_long": "settings: hold_ms must be",
    "push_before_init": "not started",
    "gap_before_init": "not started",
    "reset_before_init": "not started",
    "set_settings_before_init": "not started",
    "push_after_a_refused_init": "not started",
    "pcm_is_null": "pcm is NULL",
    "ring_is_null": "ring is NULL",
    "ring_is_too_small": "ring is NULL or has no room",
    "step_before_init": "not started",
    "step_with_a_ring_that_was_not_started": "ring is NULL or has no room",
    "step_by_the_listener": "called by the listener",
    "push_by_the_listener": "called by the listener",
    "gap_by_the_listener": "called by the listener",
}


@pytest.mark.parametrize("misuse", NAMED)
def test_misuse_is_named(misuse: str, program: Path) -> None:
    (line,) = said(program, misuse)
    assert line.startswith(NAMED[misuse])


def test_every_error_is_provoked_and_has_a_text_of_its_own() -> None:
    header = (FIRMWARE / "src" / "crydistill_error.h").read_text(encoding="utf-8")
    source = (FIRMWARE / "src" / "crydistill_error.c").read_text(encoding="utf-8")
    errors = re.findall(r"^    (CRYDISTILL_\w+),?$", header, re.MULTILINE)
    assert re.findall(r"case (\w+):", source) == errors
    texts = re.findall(r'return "(.+)', source)
    assert len(set(texts)) == len(errors) + 1  # and one for no error of these
    for text in texts[1:-1]:
        assert any(text.startswith(named) for named in NAMED.values()), text


def test_init_asks_for_every_kernel() -> None:
    header = (FIRMWARE / "src" / "crydistill_engine.h").read_text(encoding="utf-8")
    table = header.partition("struct crydistill_kernels {")[2].partition("};")[0]
    source = (FIRMWARE / "src" / "crydistill.c").read_text(encoding="utf-8")
    kernels = re.findall(r"\(\*(\w+)\)", table)
    assert len(kernels) > 8
    assert sorted(re.findall(r"HAS\((?!kernel)(\w+)\)", source)) == sorted(kernels)


@pytest.mark.parametrize("anew", ["reset", "init"])
def test_the_listener_may_start_anew(anew: str, program: Path) -> None:
    """What comes after the window is heard as the beginning, with nothing of the old audio."""
    last = 2
    plain = said(program, "hear", 0)
    heard = said(program, anew, last)
    tail = said(program, "hear", last * WINDOW_HOP_SAMPLES + WINDOW_SAMPLES)
    assert heard == [*plain[: last + 1], "= no error", *tail]
    assert len(tail) > 4
    # Had it gone on, the scores would be others.
    assert [line.split()[1] for line in tail[:-1]] != [
        line.split()[1] for line in plain[last + 1 : -1]
    ]


def test_a_refused_start_in_the_listener_ends_the_push(program: Path) -> None:
    plain = said(program, "hear", 0)
    *windows, refusal, end = said(program, "refused", 2)
    assert windows == plain[:3]
    assert refusal.startswith("= config is NULL")
    assert end.startswith("not started")


@pytest.mark.parametrize("anew", ["reset", "init"])
def test_what_waits_in_the_backlog_is_not_heard_after_a_new_start(anew: str, program: Path) -> None:
    """The push goes on a whole window ahead; all that it took is forgotten with the old audio."""
    last = 2
    plain = said(program, "hear", 0)
    heard = said(program, f"stepped-{anew}", last)
    tail = said(program, "hear", (last + 1) * WINDOW_HOP_SAMPLES + WINDOW_SAMPLES)
    assert heard == [*plain[: last + 1], "= no error", *tail]
    assert len(tail) > 3


def test_a_refused_start_in_the_listener_ends_the_steps(program: Path) -> None:
    plain = said(program, "hear", 0)
    *windows, refusal, end = said(program, "stepped-refused", 2)
    assert windows == plain[:3]
    assert refusal.startswith("= config is NULL")
    assert end.startswith("not started")


def test_a_start_in_a_gap_ends_the_gap(program: Path) -> None:
    """Ten windows are lost; in the fourth the listener starts anew."""
    heard = said(program, "lost", 3)
    assert [line.split()[1] for line in heard[:4]] == ["nan"] * 4
    assert heard[4:] == ["= no error", *said(program, "hear", 0)]


def test_settings_change_while_running(program: Path) -> None:
    """The listener sets the lowest threshold: the next window is an alert. Bad ones are refused."""
    plain = said(program, "hear", 0)
    heard = said(program, "settle", 3)
    assert heard[:4] == plain[:4]
    assert heard[4].startswith("= settings: n and m")
    assert heard[5].endswith(" on")
    assert [line.split()[:2] for line in heard[5:-1]] == [line.split()[:2] for line in plain[4:-1]]


LISTENS = """
#include "crydistill_model.h"
int main(void)
{{
    static int16_t pcm[400];
    static struct crydistill ear;
    {body}
}}
"""


def main_of(folder: Path, body: str, name: str = "main.c") -> Path:
    (folder / name).write_text(LISTENS.format(body=body), encoding="utf-8")
    return folder / name


def test_the_result_of_init_cannot_be_ignored(student: Student, tmp_path: Path) -> None:
    model = model_of(student, tmp_path)
    main = main_of(tmp_path, "crydistill_init(&ear, 0); return pcm[0];")
    sources = [*LIBRARY, *model, main]
    message = compiled(tmp_path / "a", sources, *FLAGS, f"-I{tmp_path}", check=False)
    assert "crydistill_init" in message
    assert "unused-result" in message


@pytest.mark.parametrize("front_end", ["with", "without"])
def test_two_front_ends_do_not_link(front_end: str, student: Student, tmp_path: Path) -> None:
    """The front end compiled one way, the rest another; the linker says which name is missing."""
    flags = {"with": ["-DCRYDISTILL_FIXED_POINT"], "without": []}
    opposite = {"with": "without", "without": "with"}[front_end]
    need("gcc")
    compile_ = ["gcc", "-std=c99", "-c", f"-I{FIRMWARE / 'src'}", f"-I{tmp_path}"]
    model = model_of(student, tmp_path)
    mel, rest = tmp_path / "mel.o", [path for path in LIBRARY if path.stem != "crydistill_mel"]
    subprocess.run(
        [*compile_, *flags[opposite], str(FIRMWARE / "src/crydistill_mel.c"), "-o", str(mel)],
        check=True,
    )
    main = main_of(tmp_path, "return (int)crydistill_push(&ear, pcm, 400);")
    message = compiled(
        tmp_path / "a",
        [*rest, *model, main, mel],
        *flags[front_end],
        f"-I{tmp_path}",
        check=False,
    )
    assert f"crydistill_mel_push_compiled_{front_end}_CRYDISTILL_FIXED_POINT" in message


def test_a_caller_compiled_the_other_way_does_not_link(student: Student, tmp_path: Path) -> None:
    need("gcc")
    model = model_of(student, tmp_path)
    main = main_of(
        tmp_path,
        "crydistill_level level[64] = {0}; int8_t steps[64];"
        "crydistill_quantize(&crydistill_student, level, steps);"
        "return (int)crydistill_push(&ear, pcm, 400);",
    )
    caller = tmp_path / "caller.o"
    includes = [f"-I{FIRMWARE / 'src'}", f"-I{tmp_path}"]
    subprocess.run(
        ["gcc", "-std=c99", "-c", "-DCRYDISTILL_FIXED_POINT", *includes, str(main), "-o", caller],
        check=True,
    )
    message = compiled(tmp_path / "a", [*LIBRARY, *model, caller], f"-I{tmp_path}", check=False)
    assert "crydistill_quantize_compiled_with_CRYDISTILL_FIXED_POINT" in message


def test_a_student_of_another_version_does_not_compile(student: Student, tmp_path: Path) -> None:
    header = (FIRMWARE / "src" / "crydistill_engine.h").read_text(encoding="utf-8")
    version = f"#define CRYDISTILL_FORMAT_VERSION {FORMAT_VERSION}\n"
    assert version in header
    (tmp_path / "crydistill_engine.h").write_text(
        header.replace(version, version.replace(str(FORMAT_VERSION), str(FORMAT_VERSION + 1))),
        encoding="utf-8",
    )
    (model,) = (path for path in model_of(student, tmp_path) if path.stem == "crydistill_model")
    for name in ("", "_detector", "_error", "_mel", "_ring"):
        source = FIRMWARE / "src" / f"crydistill{name}.h"
        (tmp_path / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    message = compiled(tmp_path / "a", [model], f"-I{tmp_path}", "-c", check=False)
    assert "library and student are of different versions" in message


TWO_STUDENTS = """
#include <stdio.h>
#include "bedroom_model.h"
#include "nursery_model.h"
#include "crydistill_selftest.h"

CRYDISTILL_ALIGNED static int8_t bedroom_arena[BEDROOM_ARENA_BYTES];
CRYDISTILL_ALIGNED static int8_t nursery_arena[NURSERY_ARENA_BYTES];
static struct crydistill bedroom, nursery;

static void say(void *context, const struct crydistill_window *window)
{
    printf("%s %u %.9g\\n", (const char *)context, (unsigned)window->index, (double)window->score);
}

int main(void)
{
    const struct crydistill_config in_bedroom = {
        &bedroom_student, NULL, &BEDROOM_DEFAULT_PRESET, bedroom_arena, sizeof bedroom_arena, say,
        (void *)"bedroom", NULL, 0};
    const struct crydistill_config in_nursery = {
        &nursery_student, NULL, &nursery_preset_balanced, nursery_arena, sizeof nursery_arena, say,
        (void *)"nursery", NULL, 0};
    if (crydistill_init(&bedroom, &in_bedroom) != CRYDISTILL_OK ||
        crydistill_init(&nursery, &in_nursery) != CRYDISTILL_OK) {
        return 1;
    }
    struct crydistill_babble babble;
    crydistill_babble_init(&babble);
    for (long i = 0; i < 80000; i++) {
        const int16_t sample = crydistill_babble_next(&babble);
        crydistill_push(&bedroom, &sample, 1);
        crydistill_push(&nursery, &sample, 1);
    }
    return BEDROOM_OUTPUTS == NURSERY_OUTPUTS ? 0 : 1;
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_two_students_in_one_program(
    compiler: str, student: Student, other: Student, tmp_path: Path
) -> None:
    """Each says what it says alone."""
    (tmp_path / "two.c").write_text(TWO_STUDENTS, encoding="utf-8")
    models = {
        *model_of(student, tmp_path, "bedroom"),
        *model_of(other, tmp_path, "nursery"),
    }
    objects = tmp_path / "library.o"
    sources = [*LIBRARY, SELFTEST, *sorted(models)]
    compiled(objects, sources, *FLAGS, f"-I{tmp_path}", "-r", "-nostdlib")
    main = ["-x", "c++" if compiler == "g++" else "c", str(tmp_path / "two.c"), "-x", "none"]
    two = tmp_path / "two"
    compiled(two, [objects], *FLAGS, f"-I{tmp_path}", *main, compiler=compiler)
    lines = [line.split() for line in said(two)]
    for name, alone in (("bedroom", student), ("nursery", other)):
        folder = tmp_path / name
        sources = [*LIBRARY, SELFTEST, *model_of(alone, folder), HERE / "misuse.c"]
        compiled(folder / "alone", sources, *FLAGS, f"-I{folder}")
        expected = [line.split()[:2] for line in said(folder / "alone", "hear", 0)[:-1]]
        assert [line[1:] for line in lines if line[0] == name] == expected
    scores = {name: [line[2] for line in lines if line[0] == name] for name, *_ in lines}
    assert scores["bedroom"] != scores["nursery"]


NAMES_IN_CPP = """
#include "crydistill_golden.h"
#include "crydistill_model.h"

// Types without `struct`: no object has the name of one.
crydistill_model model = crydistill_student;
crydistill_window window;
crydistill_golden golden = crydistill_golden_vectors;
crydistill_detector detector;
crydistill_mel mel;
crydistill_config config;
crydistill_settings settings;
"""


def test_types_and_objects_have_names_of_their_own(student: Student, tmp_path: Path) -> None:
    model_of(student, tmp_path)
    (tmp_path / "crydistill_golden.h").write_text(selftest_header(), encoding="utf-8")
    (tmp_path / "names.cpp").write_text(NAMES_IN_CPP, encoding="utf-8")
    compiled(
        tmp_path / "names.o",
        [tmp_path / "names.cpp"],
        *("-std=c++11", *WARNINGS, "-c", f"-I{tmp_path}"),
        compiler="g++",
    )


def documented_blocks() -> list[str]:
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.findall(r"```c\n(.*?)```", text, re.DOTALL)


STEPS_MAIN = """
static uint32_t windows;

static void count(void *context, const struct crydistill_window *window)
{
    (void)context;
    (void)window;
    windows++;
}

int main(void)
{
    static const int16_t silence[160];
    if (!listen_with(count)) {
        return 1;
    }
    for (int piece = 0; piece < 300; piece++) {
        microphone_interrupt(silence, 160);
        for (waited = false; !waited;) {
            do_one_step();
        }
    }
    return windows == 5 && crydistill_ring_lost(&ring) == 0 ? 0 : 1;
}
"""


def test_the_documented_steps_compile_and_run(student: Student, tmp_path: Path) -> None:
    """The second C block, for three seconds."""
    _, block = documented_blocks()
    (tmp_path / "main.c").write_text(block + STEPS_MAIN, encoding="utf-8")
    (tmp_path / "microphone.h").write_text(
        "#include <stdbool.h>\n#include <stdint.h>\n"
        "void microphone_interrupt(const int16_t *pcm, uint32_t n);\n"
        "bool listen_with(crydistill_listener *on_window);\nvoid do_one_step(void);\n"
        "static bool waited;\n"
        "static inline void microphone_wait(void)\n{\n    waited = true;\n}\n",
        encoding="utf-8",
    )
    sources = [*LIBRARY, *model_of(student, tmp_path), tmp_path / "main.c"]
    compiled(tmp_path / "main", sources, *SANITIZED, f"-I{tmp_path}")
    assert said(tmp_path / "main") == []


def test_the_documented_main_compiles_and_runs(student: Student, tmp_path: Path) -> None:
    """The first C block of docs/firmware.md, with a microphone that hears a second of silence."""
    block, *_ = documented_blocks()
    main = block[block.index("int main(void)") :]
    assert len(main.splitlines()) <= 15
    (tmp_path / "main.c").write_text(block, encoding="utf-8")
    (tmp_path / "microphone.h").write_text(
        "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n"
        "bool microphone_read(int16_t *pcm, size_t n);\n",
        encoding="utf-8",
    )
    (tmp_path / "microphone.c").write_text(
        '#include "microphone.h"\n'
        "bool microphone_read(int16_t *pcm, size_t n)\n"
        "{\n    static size_t read;\n    pcm[0] = (int16_t)read;\n"
        "    return (read += n) <= 32000;\n}\n",
        encoding="utf-8",
    )
    sources = [
        *LIBRARY,
        *model_of(student, tmp_path),
        tmp_path / "main.c",
        tmp_path / "microphone.c",
    ]
    compiled(tmp_path / "main", sources, *SANITIZED, f"-I{tmp_path}")
    assert said(tmp_path / "main") == []
