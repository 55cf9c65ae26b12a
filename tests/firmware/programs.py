"""The firmware's test program, built from `firmware/` for a student and run on files."""

import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from crydistill.audio.mel import MEL_BANDS, SAMPLE_RATE, LogMel, Samples
from crydistill.audio.windows import WINDOW_FRAMES
from crydistill.detector.vote import Event, EventKind, VoteSettings
from crydistill.device.c_tables import PCM_FULL_SCALE
from crydistill.device.emulator import MACHINES
from crydistill.device.export import export_c
from crydistill.device.vendors import OWN
from crydistill.student.manifest import StudentManifest
from crydistill.tflite.interpreters import Float32, Int8

FIRMWARE = Path(__file__).parents[2] / "firmware"

Pcm = npt.NDArray[np.int16]
Command = Callable[[Path, Sequence[str]], list[str]]

Gaps = Sequence[tuple[int, int]]
"""Gaps in audio: after how many samples, and how many are lost."""

FIXED_POINT_ONE = 1 << 16

USUAL = VoteSettings(threshold=0.5, n=5, m=9, hold_seconds=10)
"""The program's settings where none are given."""

WHOLE = 0
"""The seed with which audio is pushed in large blocks of one size."""


@dataclass(frozen=True)
class Program:
    """The test program, on the host or under emulation.

    binary : built by firmware/Makefile
    command : returns the command line that runs it with arguments
    fixed : whether its front end uses integers
    """

    binary: Path
    command: Command
    fixed: bool = False

    def run(self, mode: str, data: bytes, *arguments: object) -> bytes:
        """Run the program on a file; return its output."""
        file = self.binary.with_suffix(f".{os.getpid()}.input")
        file.write_bytes(data)
        words = [mode, str(file), *(str(argument) for argument in arguments)]
        # Into a file: QEMU drops what does not fit into a pipe that nobody empties for a while.
        printed = self.binary.with_suffix(f".{os.getpid()}.output")
        with printed.open("wb") as output:
            done = subprocess.run(
                self.command(self.binary, words),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                timeout=300,
                check=False,
            )
        assert done.returncode == 0, done.stderr.decode()
        return printed.read_bytes()

    def frames(self, pcm: Pcm, seed: int = WHOLE) -> LogMel:
        """Log-mel frames of the audio, `[n, 64]`."""
        out = self.run("frames", pcm.tobytes(), seed)
        if self.fixed:
            levels = np.frombuffer(out, dtype=np.int32) / np.float32(FIXED_POINT_ONE)
        else:
            levels = np.frombuffer(out, dtype=np.float32)
        return levels.astype(np.float32).reshape(-1, MEL_BANDS)

    def patches(self, pcm: Pcm, seed: int = WHOLE, gaps: Gaps = ()) -> Int8:
        """Quantised patches of the audio, `[n, 96, 64]`, without the windows lost in gaps."""
        out = self.run("patches", pcm.tobytes(), seed, *words_of(USUAL, gaps))
        return np.frombuffer(out, dtype=np.int8).reshape(-1, WINDOW_FRAMES, MEL_BANDS)

    def logits(self, pcm: Pcm, outputs: int, seed: int = WHOLE, gaps: Gaps = ()) -> Int8:
        """Quantised logits of the same windows, `[n, outputs]`."""
        out = self.run("logits", pcm.tobytes(), seed, *words_of(USUAL, gaps))
        return np.frombuffer(out, dtype=np.int8).reshape(-1, outputs)

    def windows(
        self, pcm: Pcm, seed: int = WHOLE, settings: VoteSettings = USUAL, gaps: Gaps = ()
    ) -> tuple[Float32, list[Event]]:
        """Scores of the audio's windows, `[n]`, NaN in gaps, and the events they cause."""
        words = words_of(settings, gaps)
        lines = self.run("windows", pcm.tobytes(), seed, *words).decode().splitlines()
        rows = [line.split() for line in lines]
        assert [int(row[0]) for row in rows] == list(range(len(rows)))
        bits = np.array([int(row[1], 16) for row in rows], dtype=np.uint32)
        events = [
            Event(EventKind(row[2]), int(row[0]), int(row[3])) for row in rows if row[2] != "-"
        ]
        return bits.view(np.float32), events

    def network(self, patches: Int8, outputs: int, gap: int = 0) -> Int8:
        """Logits of quantised patches in turn, `[n, outputs]`; before number `gap` it forgets."""
        out = self.run("network", patches.tobytes(), gap)
        return np.frombuffer(out, dtype=np.int8).reshape(-1, outputs)

    def recall(self, memories: Int8, patches: Int8) -> tuple[Int8, Int8]:
        """Memory after each memory and patch, and logits, each `[n, ...]`."""
        count, size = len(memories), memories[0].size
        records = np.hstack([memories.reshape(count, -1), patches.reshape(count, -1)])
        out = np.frombuffer(self.run("recall", records.tobytes()), dtype=np.int8)
        rows = out.reshape(count, -1)
        return rows[:, :size].reshape(memories.shape), rows[:, size:]

    def scores(self, logits: Int8) -> Float32:
        """Cry scores of quantised logits `[n, outputs]`, `[n]`."""
        return np.frombuffer(self.run("scores", logits.tobytes()), dtype=np.float32)


@dataclass(frozen=True)
class Emulated(Program):
    """The program on an emulated microcontroller.

    host : the same program on the host
    """

    host: Program | None = None


def words_of(settings: VoteSettings, gaps: Gaps = ()) -> list[str]:
    """Detector settings and gaps as the program takes them."""
    (bits,) = struct.unpack("<I", struct.pack("<f", settings.threshold))
    numbers = (settings.n, settings.m, round(settings.hold_seconds * 1000), *chain(*gaps))
    return [f"{bits:x}", *map(str, numbers)]


def on_this_computer(binary: Path, words: Sequence[str]) -> list[str]:
    return [str(binary), *words]


def under_qemu(machine: str, *, counting: bool = False) -> Command:
    """Command to run a program on an emulated board, by its name in `MACHINES`."""

    def command(binary: Path, words: Sequence[str]) -> list[str]:
        return [*MACHINES[machine].command(binary, *words, counting=counting)]

    return command


def need_machine(machine: str) -> None:
    """Skip the test if an emulated board or its compiler is not installed."""
    need("make", MACHINES[machine].compiler, MACHINES[machine].emulator[0])


def need(*tools: str) -> None:
    """Skip the test if a tool is not installed."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (firmware/install-emulators.sh)")


def need_sanitizer(compiler: str, sanitizer: str, directory: Path) -> None:
    """Skip the test if a compiler's sanitizer does not link or run (clang: libclang-rt-dev)."""
    source, binary = directory / "sanitized.c", directory / "sanitized"
    source.write_text("int main(void) { return 0; }\n", encoding="utf-8")
    linked = subprocess.run(
        [compiler, f"-fsanitize={sanitizer}", str(source), "-o", str(binary)],
        capture_output=True,
        check=False,
    )
    if linked.returncode != 0 or subprocess.run([binary], check=False).returncode != 0:
        pytest.skip(
            f"{compiler} has no -fsanitize={sanitizer} (clang: libclang-rt-dev, "
            "firmware/install-emulators.sh)"
        )


def make(target: str, **variables: str) -> None:
    """Make a target of firmware/Makefile."""
    done = subprocess.run(
        ["make", "-C", str(FIRMWARE), *(f"{k}={v}" for k, v in variables.items()), target],
        capture_output=True,
        timeout=300,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def build(
    target: str,
    tflite: bytes,
    manifest: StudentManifest,
    directory: Path,
    command: Command = on_this_computer,
    kernels: str = OWN,
    **variables: str,
) -> Program:
    """Export the student and make a target of firmware/Makefile; warnings are errors."""
    export_c(tflite, manifest, directory / "model", kernels=kernels)
    binary = directory / BINARIES.get(target, f"{target}.elf")
    make(target, MODEL=str(directory / "model"), BUILD=str(directory), **variables)
    return Program(binary, command, bool(variables.get("FIXED")))


BINARIES = {"all": "host", "sanitize": "host-sanitized", "fuzz": "fuzz"}
"""Where that is not the target's name with .elf."""


def scene(seconds: float, seed: int = 0) -> Pcm:
    """Sounds from near silence to clipping: sweeps, harmonics, hiss, clicks and pauses."""
    rng = np.random.default_rng(seed)
    pieces: list[npt.NDArray[np.float64]] = []
    while sum(map(len, pieces)) < seconds * SAMPLE_RATE:
        time = np.arange(int(rng.uniform(0.05, 1.2) * SAMPLE_RATE)) / SAMPLE_RATE
        pitch = rng.uniform(100, 1500) * (1 + rng.uniform(-0.3, 0.3) * time)
        phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
        voiced = sum(np.sin(k * phase) / k for k in range(1, rng.integers(2, 12)))
        hiss = 10 ** rng.uniform(-4, -1) * rng.normal(size=len(time))
        pieces.append(10 ** rng.uniform(-4, 0.2) * voiced + hiss)
    audio = np.concatenate(pieces)[: int(seconds * SAMPLE_RATE)]
    audio[rng.integers(0, len(audio), 20)] = 1.0
    return pcm_of(audio)


def pcm_of(audio: npt.NDArray[np.floating]) -> Pcm:
    """Quantise samples in [-1, 1] like a 16-bit ADC."""
    steps = np.clip(np.rint(audio * PCM_FULL_SCALE), -PCM_FULL_SCALE, PCM_FULL_SCALE - 1)
    return np.asarray(steps, dtype=np.int16)


def samples_of(pcm: Pcm) -> Samples:
    """The samples as the Python side reads them from a file."""
    return pcm.astype(np.float32) / np.float32(PCM_FULL_SCALE)
