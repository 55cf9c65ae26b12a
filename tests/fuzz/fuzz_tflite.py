"""Coverage-guided fuzzing of the `.tflite` reader with atheris; not part of the test suite.

    pip install atheris          # Linux, Python 3.11 to 3.13
    python -m tests.fuzz.fuzz_tflite CORPUS_FOLDER -max_total_time=600 -rss_limit_mb=4096

from the project's root. The folder keeps what was found interesting; it is seeded with a small
student. A crash is written to the current directory.
"""

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["crydistill.quantize", "crydistill.device"]):
    from tests.fuzz.exercise import read, small_student, use

from tests.tflite.editing import damaged, structure_bytes

_LARGEST = 1 << 16
_SMALL = small_student()
_POSITIONS = structure_bytes(_SMALL)


def one_input(data: bytes) -> None:
    """Read one file; use it if it passes, once in a while because that is slow."""
    if read(data) and random.random() < 0.02:
        use(data)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Damage the structure, where the fuzzer's own mutations would mostly hit weights."""
    if len(data) == len(_SMALL) and seed % 4:
        return damaged(data, _POSITIONS, seed)
    return bytes(atheris.Mutate(data, max_size))


def main() -> None:
    folders = [word for word in sys.argv[1:] if not word.startswith("-")]
    if folders:
        Path(folders[0]).mkdir(parents=True, exist_ok=True)
        (Path(folders[0]) / "small.tflite").write_bytes(_SMALL)
    words = [*sys.argv, f"-max_len={_LARGEST}"]
    atheris.Setup(words, one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
