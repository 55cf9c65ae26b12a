"""Runs modules of the page in Node."""

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

PAGE = Path(str(files("crydistill.web").joinpath("page")))

_TIMEOUT_SECONDS = 300


def need_node() -> None:
    if shutil.which("node") is None:
        pytest.skip("needs node (.ci/packages.sh)")


def run_in_node(folder: Path, program: str) -> Any:
    """Run a program that imports modules of the page and ends with `give(VALUE)`.

    Numbers that are not finite arrive as text. What it reads and writes lies in the folder.
    """
    need_node()
    for module in PAGE.glob("*.js"):
        shutil.copyfile(module, folder / module.name)
    (folder / "package.json").write_text('{"type": "module"}')
    plain = "(_, v) => typeof v === 'number' && !Number.isFinite(v) ? String(v) : v"
    head = (
        'import fs from "node:fs";\n'
        f"const give = (value) => console.log(JSON.stringify(value, {plain}));\n"
        "const floats = (name) => new Float32Array(new Uint8Array(fs.readFileSync(name)).buffer);\n"
    )
    (folder / "program.js").write_text(head + program)
    done = subprocess.run(
        ["node", "program.js"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


HEAR = """
import {Engine, Vote} from "./engine.js";
const module = await WebAssembly.compile(fs.readFileSync("engine.wasm"));
const engine = await Engine.open(module, fs.readFileSync("student.image"));
"""


def put_engine(folder: Path, engine: bytes, image: bytes) -> None:
    """Write what `HEAR` reads."""
    (folder / "engine.wasm").write_bytes(engine)
    (folder / "student.image").write_bytes(image)


def read_floats(path: Path) -> npt.NDArray[np.float32]:
    return np.frombuffer(path.read_bytes(), dtype=np.float32)
