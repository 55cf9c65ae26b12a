"""The ring between an interrupt and the main loop: against a plain model, and between threads."""

import ctypes
import subprocess
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from tests.firmware.programs import FIRMWARE, need, need_sanitizer

SOURCE = FIRMWARE / "src" / "crydistill_ring.c"
THREADS = Path(__file__).parent / "ring_threads.c"
FLAGS = ("-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{SOURCE.parent}")


class Ring(ctypes.Structure):
    _fields_ = (
        ("samples", ctypes.c_void_p),
        ("room", ctypes.c_uint32),
        ("written", ctypes.c_uint32),
        ("lost", ctypes.c_uint32),
        ("read", ctypes.c_uint32),
        ("told", ctypes.c_uint32),
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    need("gcc")
    binary = tmp_path_factory.mktemp("ring") / "ring.so"
    subprocess.run(["gcc", "-shared", "-fPIC", *FLAGS, SOURCE, "-o", binary], check=True)
    made = ctypes.CDLL(str(binary))
    made.crydistill_ring_peek.restype = ctypes.POINTER(ctypes.c_int16)
    return made


class Driven:
    """A ring in C, driven like the model below."""

    def __init__(self, library: ctypes.CDLL, size: int) -> None:
        self.library, self.ring = library, Ring()
        # One more on either side, which nothing may touch.
        self.memory = np.full(size + 2, 12345, dtype=np.int16)
        inside = self.memory[1:].ctypes
        assert library.crydistill_ring_init(ctypes.byref(self.ring), inside, size) == 0

    def write(self, pcm: np.ndarray) -> None:
        self.library.crydistill_ring_write(ctypes.byref(self.ring), pcm.ctypes, len(pcm))

    def gap(self, n: int) -> None:
        self.library.crydistill_ring_gap(ctypes.byref(self.ring), n)

    def read(self, most: int) -> list[int]:
        found: list[int] = []
        n = ctypes.c_uint32()
        while len(found) < most:
            pcm = self.library.crydistill_ring_peek(ctypes.byref(self.ring), ctypes.byref(n))
            taken = min(n.value, most - len(found))
            if taken == 0:
                break
            found += pcm[:taken]
            self.library.crydistill_ring_drop(ctypes.byref(self.ring), taken)
        return found

    def take_gap(self) -> int:
        return int(self.library.crydistill_ring_take_gap(ctypes.byref(self.ring)))

    def lost(self) -> int:
        return int(self.library.crydistill_ring_lost(ctypes.byref(self.ring)))


class Plain:
    """What it is meant to do."""

    def __init__(self, size: int) -> None:
        self.room = size - 1
        self.inside: deque[int] = deque()
        self.total = self.gaps = 0

    def write(self, pcm: np.ndarray) -> None:
        fits = 0 if self.gaps else min(len(pcm), self.room - len(self.inside))
        self.inside.extend(pcm[:fits].tolist())
        if fits < len(pcm):
            self.gap(len(pcm) - fits)

    def gap(self, n: int) -> None:
        self.gaps += max(n, 1)
        self.total += max(n, 1)

    def read(self, most: int) -> list[int]:
        return [self.inside.popleft() for _ in range(min(most, len(self.inside)))]

    def take_gap(self) -> int:
        if self.inside:
            return 0
        told, self.gaps = self.gaps, 0
        return told

    def lost(self) -> int:
        return self.total


@pytest.mark.parametrize("size", [2, 3, 7, 64, 1000])
def test_a_ring_holds_what_fits_and_counts_the_rest(size: int, library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(size)
    driven, plain = Driven(library, size), Plain(size)
    losses = 0
    for _ in range(3000):
        pcm = rng.integers(-32768, 32768, rng.integers(0, size + 2), dtype=np.int16)
        doing = rng.integers(0, 20)
        most = int(rng.integers(0, size + 2))
        for ring in (driven, plain):
            if doing < 9:
                ring.write(pcm)
            elif doing == 9:
                ring.gap(most)
        assert driven.read(most) == plain.read(most)
        told = driven.take_gap()
        assert told == plain.take_gap()
        assert driven.lost() == plain.lost()
        losses += told > 0
    assert losses > 100
    assert driven.memory[0] == driven.memory[-1] == 12345


@pytest.mark.parametrize("size", [0, 1])
def test_a_ring_without_room_is_refused_and_loses_all(size: int, library: ctypes.CDLL) -> None:
    ring, memory = Ring(), np.zeros(4, dtype=np.int16)
    assert library.crydistill_ring_init(ctypes.byref(ring), memory.ctypes, size) != 0
    assert library.crydistill_ring_init(None, memory.ctypes, 4) != 0
    assert library.crydistill_ring_init(ctypes.byref(ring), None, 4) != 0
    library.crydistill_ring_write(ctypes.byref(ring), memory.ctypes, 4)
    assert library.crydistill_ring_lost(ctypes.byref(ring)) == 4


def test_a_static_ring_that_was_never_started_loses_all(library: ctypes.CDLL) -> None:
    ring, memory = Ring(), np.zeros(4, dtype=np.int16)
    library.crydistill_ring_write(ctypes.byref(ring), memory.ctypes, 4)
    assert library.crydistill_ring_lost(ctypes.byref(ring)) == 4


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_two_threads_share_a_ring(compiler: str, sanitizer: str, tmp_path: Path) -> None:
    """Each sample that is heard is the one that is due after those heard and those lost."""
    need(compiler)
    need_sanitizer(compiler, sanitizer, tmp_path)
    binary = tmp_path / "threads"
    flags = (*FLAGS, "-g", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-pthread")
    subprocess.run([compiler, *flags, SOURCE, THREADS, "-o", binary], check=True)
    for seed, size in enumerate((2, 33, 500)):
        done = subprocess.run(
            [binary, str(size), "100000", str(seed)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        heard, lost = map(int, done.stdout.split())
        assert heard + lost == 100_000
        assert heard > 0
        assert lost > 0


def test_cores_without_atomic_instructions_need_no_library(tmp_path: Path) -> None:
    """Loads and stores alone: Cortex-M0+ has neither an exchange nor exclusive access."""
    need("arm-none-eabi-gcc", "arm-none-eabi-nm")
    compiled = tmp_path / "ring.o"
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m0plus", "-mthumb", *FLAGS, "-c", SOURCE]
    subprocess.run([*command, "-o", compiled], check=True)
    names = subprocess.run(
        ["arm-none-eabi-nm", "--undefined-only", compiled],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert set(names) - {"U"} <= {"memcpy", "memset"}


def test_compilers_without_gccs_builtins_have_a_way(library: ctypes.CDLL, tmp_path: Path) -> None:
    """The other branch of load and store: compiled as if for one of these, it holds the same."""
    binary = tmp_path / "ring.so"
    text = SOURCE.read_text(encoding="utf-8").replace("defined(__GNUC__)", "0")
    (tmp_path / "ring.c").write_text(text, encoding="utf-8")
    command = ["gcc", "-shared", "-fPIC", *FLAGS, tmp_path / "ring.c", "-o", binary]
    subprocess.run(command, check=True)
    other = ctypes.CDLL(str(binary))
    other.crydistill_ring_peek.restype = ctypes.POINTER(ctypes.c_int16)
    test_a_ring_holds_what_fits_and_counts_the_rest(7, other)
    assert text != SOURCE.read_text(encoding="utf-8")
