"""Mutated recordings of every container: read or refused in one line, and nothing invented.

    python -m tests.fuzz.fuzz_audio FOLDER --seconds 600 --seed 1

from the project's root. Every round is a process of its own, so that a crash in a decoder is seen
and told; files that gave a fault stay in the folder. Exit code 1 if there was one.
"""

import argparse
import faulthandler
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path

from tests.audio.encode import SAMPLED, write_all

from crydistill.audio.files import read_audio, read_native
from crydistill.errors import AudioError

ROUND = 200
_FRAMES_A_BYTE = 8
"""At most, in files of samples, whose damaged header may claim another codec: G.729."""

_AAC_TIMES = 2
"""A damaged AAC frame may claim the double rate of its high-efficiency kind."""

_AMR_BYTES, _AMR_SAMPLES = 6, 160
"""The smallest frame of AMR, which damage may make of a larger one, and what it holds."""

_MARKS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0")


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, lose, repeat and overwrite bytes, half of the time near the start."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        size = len(changed)
        if size < 20:
            break
        reach = size if rng.random() < 0.5 else min(size, rng.choice((48, 200, 2_000)))
        place = rng.randrange(reach)
        way = rng.randrange(6)
        if way == 0:
            for _ in range(rng.choice((1, 3, 20))):
                changed[rng.randrange(reach)] = rng.randrange(256)
        elif way == 1:
            del changed[place:]
        elif way == 2:
            del changed[place : place + rng.randrange(1, 2_000)]
        elif way == 3:
            start = rng.randrange(size)
            changed[place:place] = changed[start : start + rng.randrange(1, 4_000)]
        elif way == 4:
            count = rng.randrange(1, min(3_000, size - place) + 1)
            changed[place : place + count] = bytes([rng.choice((0, 255))]) * count
        else:
            changed[place : place + 4] = rng.choice(_MARKS)
    return bytes(changed)


def frames(path: Path) -> int:
    """Samples of each channel that a file is read as, at its own rate."""
    return sum(len(samples) for _, samples in read_native(path))


def fault(path: Path, most: float) -> str:
    """What is wrong with how a file is read; empty if nothing is."""
    try:
        read_audio(path)
        found = frames(path)
    except AudioError as error:
        return f"several lines: {error}" if "\n" in str(error) else ""
    except BaseException:
        return traceback.format_exc()
    return f"{found:,} samples where {most:,.0f} can be" if found > most else ""


def run_round(folder: Path, seed: int, count: int) -> int:
    """Read that many mutated files and print the faults; return their number."""
    originals = {name: path.read_bytes() for name, path in write_all(folder).items()}
    held = {name: frames(folder / name) for name in originals}
    rng = random.Random(seed)
    faults = 0
    for number in range(count):
        name = rng.choice(list(originals))
        data = mutated(originals[name], rng)
        path = folder / f"{seed}-{number}-{name}"
        path.write_bytes(data)
        longer = max(1.0, len(data) / len(originals[name]))
        most = 1.1 * longer * held[name] + 20_000
        if name in SAMPLED:
            most = max(most, _FRAMES_A_BYTE * len(data))
        if name == "voice.aac":
            most *= _AAC_TIMES
        if name == "voice.amr":
            most = max(most, len(data) / _AMR_BYTES * _AMR_SAMPLES)
        if found := fault(path, most):
            print(f"{path}: {found}", flush=True)
            faults += 1
        else:
            path.unlink()
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--round", type=int, default=0, help="read so many files, in this process")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.round:
        faulthandler.enable()
        return int(run_round(arguments.folder, arguments.seed, arguments.round) > 0)
    end, seed, bad = time.monotonic() + arguments.seconds, arguments.seed, 0
    while time.monotonic() < end:
        words = ["--seed", str(seed), "--round", str(ROUND)]
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, str(arguments.folder), *words], check=False
        )
        bad += done.returncode != 0
        seed += 1
    print(f"{(seed - arguments.seed) * ROUND:,} files, {bad} rounds with a fault")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
