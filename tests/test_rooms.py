"""The rooms import each other as docs/architecture.md says, and in one direction."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "crydistill"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
GROUND = "ground floor"

Table = dict[str, set[str]]
Imports = dict[str, set[str]]


def allowed_imports(text: str) -> Table:
    """Rooms from the ground up, with those that each may import, as the table says."""
    section = text.partition("## Rooms")[2].partition("\n## ")[0]
    table = {}
    for room, _, may in re.findall(r"^\| (.+?) \| (.+?) \|(.*?)\|$", section, re.MULTILINE):
        if room not in ("room", "---"):
            table[room.strip("`/")] = set(re.findall(r"`(\w+)`", may))
    return table


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(tree: ast.AST, known: dict[str, Path]) -> Iterator[str]:
    """Modules of the package that some code imports, wherever in the file it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in known or node.module in known:
                    yield name if name in known else str(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            (name, *_) = node.args
            assert isinstance(name, ast.Constant), "import_module of a name that no test can read"
            if name.value in known:
                yield str(name.value)


def imports_of_files() -> Imports:
    known = modules()
    return {
        name: set(imported(ast.parse(path.read_text(encoding="utf-8")), known)) - {name}
        for name, path in known.items()
    }


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else GROUND


def imports_of_rooms(files: Imports) -> dict[tuple[str, str], list[str]]:
    """Pairs of rooms of which the first imports the second, with the modules that do."""
    found = defaultdict(list)
    for module, others in files.items():
        # `python -m crydistill` is the command line's door, not a part of the ground floor.
        room = "cli" if module == "crydistill.__main__" else room_of(module)
        for other in sorted(others):
            if room_of(other) != room:
                found[room, room_of(other)].append(f"{module} imports {other}")
    return found


TABLE = allowed_imports(ARCHITECTURE.read_text(encoding="utf-8"))
FILES = imports_of_files()
ROOMS = imports_of_rooms(FILES)


def test_the_table_has_every_room() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(TABLE) == folders | {GROUND}


def test_every_import_is_allowed() -> None:
    wrong = [
        line
        for (room, other), lines in ROOMS.items()
        if other != GROUND and other not in TABLE[room]
        for line in lines
    ]
    assert not wrong, "docs/architecture.md does not allow:\n" + "\n".join(wrong)


def test_every_entry_is_needed() -> None:
    unused = [f"{room}: {other}" for room in TABLE for other in TABLE[room]
              if (room, other) not in ROOMS]  # fmt: skip
    assert not unused, "docs/architecture.md allows what nothing imports: " + ", ".join(unused)


def test_rooms_import_up_the_table_only() -> None:
    order = list(TABLE)
    down = [
        f"{room} imports {other}"
        for room, other in ROOMS
        if order.index(other) >= order.index(room)
    ]
    assert not down


def test_no_circle_of_modules() -> None:
    # A package's __init__ runs before its modules and may import them; its own name is no edge.
    try:
        TopologicalSorter(FILES).prepare()
    except CycleError as error:
        pytest.fail("modules import each other: " + " -> ".join(error.args[1]))


def test_lazy_imports_count() -> None:
    tree = ast.parse("def verb():\n    from crydistill.student import runtime\n")
    assert list(imported(tree, modules())) == ["crydistill.student.runtime"]


@pytest.mark.parametrize(
    ("before", "after"),
    [("`audio`, `corpora` |", "`audio` |"), ("| `audio/` | decoding", "| `audios/` | decoding")],
)
def test_a_table_that_is_wrong_is_seen(before: str, after: str) -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    assert before in text
    assert allowed_imports(text.replace(before, after, 1)) != TABLE


NOT_FOR_DETECTION = (
    *(f"crydistill.{room}" for room in (
        "distill", "evaluation", "experiment.schema", "nights", "publish", "quantize", "reports",
        "selection", "stages", "synthesis", "teacher",
    )),
    "tensorflow", "keras", "matplotlib", "sklearn", "h5py", "pyroomacoustics", "torch",
)  # fmt: skip

VERBS = """
import sys
from typer.testing import CliRunner
from crydistill.cli import app

for words in {commands!r}:
    done = CliRunner().invoke(app, words, input=open({pcm!r}, "rb").read())
    assert done.exit_code == 0, (words, done.output, done.exception)
print(*(name for name in sys.modules if name.startswith({unwanted!r})))
"""


def test_detection_loads_no_training_evaluation_or_plotting(tmp_path: Path) -> None:
    """`detect`, `listen` and `calibrate` run in a process of their own, which tells its modules."""
    noise = np.random.default_rng(0).normal(0, 0.01, 120 * 16_000)
    sound, pcm = tmp_path / "room.wav", tmp_path / "room.s16"
    soundfile.write(sound, noise, 16_000)
    pcm.write_bytes((noise * 32_767).astype("<i2").tobytes())
    settings = str(tmp_path / "room.json")
    commands = [
        ["calibrate", str(sound), "--out", settings, "--per-night", "100"],
        ["detect", str(sound), "--settings", settings],
        ["listen", "-"],
    ]
    script = VERBS.format(commands=commands, pcm=str(pcm), unwanted=NOT_FOR_DETECTION)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
