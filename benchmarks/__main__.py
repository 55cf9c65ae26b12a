"""Run benchmarks, each in a process of its own, and write their records and pages.

    python -m benchmarks [NAME ...] --audio FOLDER --teacher WEIGHTS

`make benchmarks` calls it with what the published figures were measured on.
"""

import argparse
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.material import Material, MissingMaterialError
from benchmarks.records import write, write_pages
from benchmarks.rounds import ROUNDS
from benchmarks.sources import ROOT, fingerprint
from crydistill.errors import CrydistillError

NAMES = (
    "end_to_end", "scoring", "training", "teachers", "front_end", "decoding", "detecting",
    "kernels",
)  # fmt: skip

_COULD_NOT_RUN = 2


def main(arguments: list[str]) -> int:
    """Run what is named, everything by default; 2 if one of them could not run."""
    options = _parser().parse_args(arguments)
    if options.pages:
        write_pages()
        return 0
    names = options.names or NAMES
    if len(names) == 1:
        return _run(names[0], options)
    failed = [name for name in names if _in_process(name, arguments, options.names)]
    if failed:
        print(f"could not run: {', '.join(failed)}", file=sys.stderr)
    return _COULD_NOT_RUN if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--audio", type=Path, required=True, help="recordings with a clips.csv")
    parser.add_argument("--teacher", type=Path, required=True, help="YAMNet's weights (.h5)")
    parser.add_argument("--context-teacher", type=Path, help="EfficientAT's weights (.pt)")
    parser.add_argument(
        "--libraries", type=Path, default=ROOT / "build" / "benchmarks",
        help="virtual environment of requirements/benchmark.txt",
    )  # fmt: skip
    parser.add_argument("--scale", type=float, default=1.0, help="of the work in a round")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measurements of each way")
    parser.add_argument("--pages", action="store_true", help="only make the pages anew")
    return parser


def _in_process(name: str, arguments: list[str], named: list[str]) -> int:
    rest = [each for each in arguments if each not in named]
    return subprocess.run([sys.executable, "-m", "benchmarks", name, *rest], check=False).returncode


def _run(name: str, options: argparse.Namespace) -> int:
    if name not in NAMES:
        print(f"no benchmark '{name}'; there are {', '.join(NAMES)}", file=sys.stderr)
        return _COULD_NOT_RUN
    material = Material(
        options.audio, options.teacher, options.context_teacher, options.libraries,
        options.scale, options.rounds,
    )  # fmt: skip
    module, load, start = import_module(f"benchmarks.{name}"), os.getloadavg()[0], time.monotonic()
    code = fingerprint(module.BENCHMARK.measures)
    print(f"{name} ...", flush=True)
    try:
        measured = module.measure(material)
    except (MissingMaterialError, CrydistillError, RuntimeError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return _COULD_NOT_RUN
    write(module.BENCHMARK, measured, code=code, load=load, scale=options.scale)
    print(f"{name}: benchmarks/pages/{name}.md, {time.monotonic() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
