"""Profile a student's memory, latency and board fit, with the source of each figure.

*measured*: run in Google's TFLite Micro interpreter or counted under emulation. *exact*: follows
from the file. *formula*, *model*: neither; the assumptions are given with the number.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crydistill.device.boards import BOARDS, COUNTED, Fit, Needs, fit
from crydistill.device.c_arena import plan_arena
from crydistill.device.c_layers import layer_in_c
from crydistill.device.cost_record import library_bytes
from crydistill.device.emulated import Emulated, count_instructions
from crydistill.device.esp_nn import (
    SCRATCH_HANDLE_BYTES,
    SCRATCH_USERS,
    kernel_path,
    non_persistent_bytes,
    scratch_bytes,
)
from crydistill.device.esp_nn import VERSION as ESP_NN_VERSION
from crydistill.device.kernel_faults import CMSIS_NN, ESP_NN, faults_met
from crydistill.device.latency import (
    ASSUMPTIONS_ESP_NN,
    ASSUMPTIONS_LIBRARY,
    PUBLISHED_FRONT_END_MS,
    Instructions,
    Range,
    esp_nn_cycles,
    milliseconds,
    plain_cycles,
    recorded_instructions,
)
from crydistill.errors import MissingExtraError, ModelError
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.arena import HOST_BITS, arena_bytes
from crydistill.tflite.check import TfliteFacts
from crydistill.tflite.cost import layer_costs
from crydistill.tflite.file import Operator, TfliteFile, read_tflite
from crydistill.tflite.interpreters import tflite_micro_version
from crydistill.tflite.memory import memory_tensor

ESP32_S3 = next(board for board in BOARDS if board.name == "ESP32-S3")


@dataclass(frozen=True)
class LayerProfile:
    """One operator.

    macs : multiply-accumulates per window
    weight_bytes : size of its constants in the `.tflite`
    input_bytes, output_bytes : size of the tensors it reads and writes
    esp_nn_scratch_bytes : by formula
    esp_nn_fast, esp_nn_path : whether ESP-NN has a vector path for it, and why
    """

    operator: str
    output_shape: tuple[int, ...]
    macs: int
    weight_bytes: int
    input_bytes: int
    output_bytes: int
    esp_nn_scratch_bytes: int
    esp_nn_fast: bool
    esp_nn_path: str


@dataclass(frozen=True)
class Memory:
    """Working memory, bytes.

    library : arena of the C library, exact; None if it has no kernel for some operator
    remembered : part of it, and with TFLite Micro in addition to its arena, that holds what a
        student with memory remembers between windows
    library_problem : the unsupported operator
    library_constants : constants of the student in C, exact
    tflite_micro : arena measured with the reference kernels on a host with `host_bits` pointers;
        None if the interpreter is not installed
    tflite_micro_version : version of the interpreter
    planned : part of that arena for intermediate tensors, exact
    esp_nn : measured arena plus ESP-NN's scratch buffers by formula; an upper bound on a 32-bit
        microcontroller, where the bookkeeping is smaller
    """

    library: int | None
    remembered: int
    library_problem: str | None
    library_constants: int | None
    tflite_micro: int | None
    tflite_micro_version: str | None
    host_bits: int
    planned: int
    esp_nn: int | None
    esp_nn_source: str = ESP_NN_VERSION


@dataclass(frozen=True)
class Latency:
    """Milliseconds per window on an ESP32-S3 at 240 MHz: a model.

    instructions : of the C library, on the core that stands in for this one
    front_end, network : C library; network includes score and vote
    esp_nn : network in TFLite Micro with ESP-NN
    plain : network in TFLite Micro with plain C kernels
    front_end_share : fraction of the total, 0 to 1, with the plain and with the fastest network
    """

    clock_hz: int
    instructions: Instructions
    front_end: Range
    network: Range
    plain: Range
    esp_nn: Range
    front_end_share: tuple[float, float]
    published_front_end_ms: tuple[float, float] = PUBLISHED_FRONT_END_MS
    assumptions_library: tuple[str, ...] = ASSUMPTIONS_LIBRARY
    assumptions_esp_nn: tuple[str, ...] = ASSUMPTIONS_ESP_NN


@dataclass(frozen=True)
class Profile:
    """Profile of a student.

    instructions : on each emulated core, by its title: counted for this student or estimated, see
        `Instructions.measured`
    kernel_faults : known faults of vendors' kernels that this student meets, a line each
    """

    name: str
    sha256: str
    size_bytes: int
    ops: dict[str, int]
    macs: int
    outputs: int
    activation: str
    layers: tuple[LayerProfile, ...]
    memory: Memory
    instructions: dict[str, Instructions]
    emulated: Emulated | None
    latency: Latency
    boards: tuple[Fit, ...]
    kernel_faults: tuple[str, ...]

    def to_json(self) -> str:
        """Return the profile as indented JSON."""
        plain: dict[str, Any] = asdict(self)
        for title, counts in self.instructions.items():
            plain["instructions"][title]["front_end_share"] = counts.front_end_share
        return json.dumps(plain, indent=2) + "\n"


def profile_student(path: str | Path, *, firmware: str | Path | None = None) -> Profile:
    """Profile a student.

    Parameters
    ----------
    path : a `.tflite` with its manifest beside it, or a directory with `student.tflite`
    firmware : the project's `firmware/` folder, to count this student's instructions under
        emulation instead of using the package's record

    Raises
    ------
    ModelError
        if the student fails its checks.
    ConfigError
        if `firmware` is given and counting fails.
    """
    student = TfliteStudent.load(path)
    tflite, facts, manifest = student.tflite, student.facts, student.manifest
    file = read_tflite(tflite)
    if firmware is None:
        emulated = None
        instructions = {core.title: recorded_instructions(file, manifest, core) for core in COUNTED}
    else:
        emulated = count_instructions(tflite, manifest, firmware, COUNTED)
        instructions = emulated.instructions
    memory = _memory(tflite, file)
    return Profile(
        manifest.name,
        facts.sha256,
        facts.size_bytes,
        facts.ops,
        facts.macs,
        facts.output.shape[-1],
        manifest.activation,
        _layers(file),
        memory,
        instructions,
        emulated,
        _latency(file, instructions[ESP32_S3.core.counted.title]),
        _fits(memory, facts, instructions),
        tuple(line for library in (ESP_NN, CMSIS_NN) for line in faults_met(file, library)),
    )


def _layers(file: TfliteFile) -> tuple[LayerProfile, ...]:
    return tuple(
        _layer(file, operator, cost.macs)
        for operator, cost in zip(file.operators, layer_costs(file), strict=True)
    )


def _layer(file: TfliteFile, operator: Operator, macs: int) -> LayerProfile:
    inputs = [file.tensors[index] for index in operator.inputs if index != -1]
    output = file.tensors[operator.outputs[0]]
    path = kernel_path(file, operator)
    return LayerProfile(
        operator.name,
        output.shape,
        macs,
        sum(len(tensor.data) for tensor in inputs if tensor.data is not None),
        sum(tensor.size for tensor in inputs if tensor.data is None),
        output.size,
        scratch_bytes(file, operator),
        path.fast,
        path.why,
    )


def _memory(tflite: bytes, file: TfliteFile) -> Memory:
    planned = non_persistent_bytes(file, esp_nn=False)
    library, constants, problem = _library(file)
    memory = memory_tensor(file)
    arenas = (library, 0 if memory is None else memory.size)
    try:
        version = tflite_micro_version()
        measured = arena_bytes(tflite)
    except MissingExtraError:
        return Memory(*arenas, problem, constants, None, None, HOST_BITS, planned, None)
    users = sum(operator.name in SCRATCH_USERS for operator in file.operators)
    bookkeeping = measured - planned + users * SCRATCH_HANDLE_BYTES
    with_esp_nn = bookkeeping + non_persistent_bytes(file, esp_nn=True)
    return Memory(*arenas, problem, constants, measured, version, HOST_BITS, planned, with_esp_nn)


def _library(file: TfliteFile) -> tuple[int | None, int | None, str | None]:
    """Arena and constants of the C library, or the reason it cannot run the student."""
    try:
        layers = [layer_in_c(file, position) for position in range(len(file.operators))]
        arena = plan_arena(file).size
    except ModelError as error:
        return None, None, str(error)
    constants = sum(layer.constant_bytes for layer in layers if layer is not None)
    return arena, constants, None


def _latency(file: TfliteFile, instructions: Instructions) -> Latency:
    cycles, hertz = ESP32_S3.core.cycles, ESP32_S3.clock_hz
    front_end = milliseconds(cycles.times(instructions.front_end), hertz)
    rest = instructions.window - instructions.front_end
    network = milliseconds(cycles.times(rest), hertz)
    fast = milliseconds(_sum(esp_nn_cycles(file)))
    return Latency(
        hertz,
        instructions,
        front_end,
        network,
        milliseconds(_sum(plain_cycles(file))),
        fast,
        (instructions.front_end_share, front_end.high / (front_end.high + fast.low)),
    )


def _fits(
    memory: Memory, facts: TfliteFacts, instructions: dict[str, Instructions]
) -> tuple[Fit, ...]:
    student = memory.library_constants or facts.size_bytes
    arena = memory.library or memory.remembered + (memory.tflite_micro or memory.planned)
    code, tables, listener = library_bytes()
    needs = Needs(student + code + tables, arena + listener, instructions)
    return tuple(fit(board, needs) for board in BOARDS)


def _sum(ranges: tuple[Range, ...]) -> Range:
    return sum(ranges, Range(0, 0))
