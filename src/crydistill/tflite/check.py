"""Validate every `.tflite` that the package reads or writes.

`inspect_tflite` parses the file without running it, and must come before any interpreter.
`check_tflite` then runs the model in Google's TFLite Micro and compares it with LiteRT.
"""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import WINDOW_FRAMES
from crydistill.errors import CheckFailed, ModelError
from crydistill.tflite.arena import HOST_BITS, arena_bytes
from crydistill.tflite.cost import LayerCost, layer_costs, total_macs
from crydistill.tflite.file import ALIGNMENT, Tensor, TfliteFile, read_tflite
from crydistill.tflite.interpreters import (
    Float32,
    Int8,
    LiteRt,
    Network,
    TfliteMicro,
    quantize,
    tflite_micro_version,
)
from crydistill.tflite.memory import memory_tensor
from crydistill.tflite.operators import check_activation, check_operators

SIZE_LIMIT = 110_000
"""Largest `.tflite` accepted as a student, in bytes."""

LARGEST_DISAGREEMENT = 1
"""Largest allowed difference between TFLite Micro and LiteRT's reference kernels, in quantization
steps, of the logits and of the memory: a dense layer rounds twice in one and once in the other."""

LARGEST_DISAGREEMENT_WITH_MEMORY = 2
"""The same for the logits of a student with memory, where dense layers follow each other: a step
of an embedding can move a logit by a step, which its own layer may add to.

Each interpreter carries its own memory. An embedding does not depend on the memory, so the
memories differ by no more after a night than after one window."""

Steps = npt.NDArray[np.int16]
"""Int8 values, wide enough for their differences."""

_INPUT_SHAPES = ((1, WINDOW_FRAMES, MEL_BANDS, 1), (1, WINDOW_FRAMES, MEL_BANDS))
_MISALIGNED = f"constants do not start at multiples of {ALIGNMENT} bytes"
_READ_LIMIT = 1 << 20
"""Bytes beyond which `check_tflite` does not read a file."""
_REMEDY = "quantise a crydistill student, or download the file again"


@dataclass(frozen=True)
class TensorFacts:
    """Input or output tensor: real value = (step - zero_point) x scale."""

    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True)
class TfliteFacts:
    """Contents of a `.tflite`.

    memory : None if the network has none; input and output are alike
    ops : number of occurrences of each operator
    layers : cost of each operator, in execution order
    macs : multiply-accumulates per window
    weights : number of weights and biases of convolutions and dense layers, BatchNorm folded in
    aligned : every constant starts at a multiple of 16 bytes
    min_runtime : oldest TensorFlow Lite release that supports all operators, if stated
    """

    sha256: str
    size_bytes: int
    input: TensorFacts
    output: TensorFacts
    memory: TensorFacts | None
    ops: dict[str, int]
    layers: tuple[LayerCost, ...]
    macs: int
    weights: int
    aligned: bool
    min_runtime: str | None


def inspect_tflite(
    source: bytes | str | Path,
    *,
    size_limit: int = SIZE_LIMIT,
    aligned: bool = False,
    name: str = "the model",
) -> TfliteFacts:
    """Validate a `.tflite` without running it, and return its contents.

    Accepted are files with one subgraph of allowlisted operators, each within its rules, from an
    int8 log-mel patch `[1, 96, 64, 1]` or `[1, 96, 64]` to int8 logits `[1, outputs]`. A student
    with memory has a second input and output, as `crydistill.tflite.memory` says.

    Parameters
    ----------
    source : the file, or its bytes
    size_limit : largest size accepted, bytes
    aligned : refuse constants that do not start at multiples of 16 bytes
    name : name of the model in error messages, if `source` is bytes

    Raises
    ------
    ModelError
        naming the first fault. A file that passes is safe to hand to LiteRT and TFLite Micro.
    """
    if not isinstance(source, bytes):
        source, name = tflite_bytes(source, size_limit=size_limit), str(source)
    try:
        _check_size(len(source), size_limit)
        return _inspect(source, aligned)
    except ModelError as error:
        raise ModelError(f"{name}: {error}; {_REMEDY}") from error


def tflite_bytes(path: str | Path, *, size_limit: int = SIZE_LIMIT) -> bytes:
    """Read a candidate `.tflite`, at most `size_limit` bytes of it.

    Raises
    ------
    ModelError
        if it cannot be read or is larger.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(size_limit + 1)
        _check_size(len(data), size_limit)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}; {_REMEDY}") from error
    return data


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ModelError(f"larger than {limit:,} bytes")


def _inspect(data: bytes, aligned: bool) -> TfliteFacts:
    file = read_tflite(data)
    counts = len(file.inputs), len(file.outputs)
    if counts not in ((1, 1), (2, 2)):
        raise ModelError(
            f"{counts[0]} inputs and {counts[1]} outputs, not 1 and 1, or 2 and 2 with a memory"
        )
    if counts != (len(set(file.inputs)), len(set(file.outputs))):
        raise ModelError("a tensor is an input or an output twice")
    patch, logits = file.tensors[file.inputs[0]], file.tensors[file.outputs[0]]
    if patch.shape not in _INPUT_SHAPES:
        raise ModelError(f"the input has shape {patch.shape}, not {_INPUT_SHAPES[0]}")
    if len(logits.shape) != 2 or logits.shape[0] != 1:
        raise ModelError(f"the output has shape {logits.shape}, not (1, outputs)")
    ports = _port("input", patch), _port("output", logits)
    check_operators(file)
    memory = memory_tensor(file)
    is_aligned = _is_aligned(file)
    if aligned and not is_aligned:
        raise ModelError(_MISALIGNED)
    layers = layer_costs(file)
    return TfliteFacts(
        hashlib.sha256(data).hexdigest(),
        len(data),
        *ports,
        None if memory is None else _port("memory", memory),
        dict(sorted(Counter(layer.operator for layer in layers).items())),
        layers,
        total_macs(layers),
        sum(layer.weights for layer in layers),
        is_aligned,
        file.min_runtime,
    )


def _port(name: str, tensor: Tensor) -> TensorFacts:
    try:
        check_activation(tensor)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None
    return TensorFacts(tensor.shape, tensor.scales[0], tensor.zero_points[0])


def _is_aligned(file: TfliteFile) -> bool:
    return all(t.offset is None or t.offset % ALIGNMENT == 0 for t in file.tensors)


@dataclass(frozen=True)
class CheckReport:
    """Result of `check_tflite` for a model that passed.

    facts : contents of the file
    arena_bytes : smallest tensor arena of TFLite Micro on a host with `host_bits` pointers
    tflite_micro : version of the interpreter
    windows : number of windows compared
    largest_difference : between TFLite Micro and LiteRT's reference kernels, in output steps
    differing : fraction of the outputs that differ between the two
    largest_memory_difference : the same for the memory, in its steps; None without memory
    """

    facts: TfliteFacts
    arena_bytes: int
    host_bits: int
    tflite_micro: str
    windows: int
    largest_difference: int
    differing: float
    largest_memory_difference: int | None

    def to_json(self) -> str:
        """Return the report as indented JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"


def check_tflite(
    source: bytes | str | Path,
    patches: Float32,
    *,
    size_limit: int = SIZE_LIMIT,
    name: str = "the model",
) -> CheckReport:
    """Validate a `.tflite` with `inspect_tflite`, then run it as a device would.

    Parameters
    ----------
    source : the file, or its bytes
    patches : log-mel patches of real audio, `[n, 96, 64]`, n at least 1; about 200 take a second. A
        student with memory hears them in turn, and forgets after the first half.
    size_limit : largest size accepted, bytes
    name : name of the model in error messages, if `source` is bytes

    Raises
    ------
    CheckFailed
        listing every failure.
    MissingExtraError
        if tflite-micro is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from crydistill.student.packaged import packaged_student
    >>> patches = np.random.default_rng(0).normal(size=(4, 96, 64)).astype(np.float32)
    >>> report = check_tflite(packaged_student() / "student.tflite", patches)
    >>> report.facts.macs, report.arena_bytes, report.largest_difference <= 1
    (3793796, 53064, True)
    """
    if len(patches) == 0:
        raise ValueError("check_tflite needs at least one patch")
    tflite_micro = tflite_micro_version()
    try:
        if not isinstance(source, bytes):
            source, name = tflite_bytes(source, size_limit=_READ_LIMIT), str(source)
        facts = inspect_tflite(source, size_limit=_READ_LIMIT, name=name)
        report = _run(source, facts, patches, tflite_micro)
    except ModelError as error:
        raise CheckFailed(str(error)) from error
    failures = _failures(report, size_limit)
    if failures:
        raise CheckFailed(f"{name}: {'; '.join(failures)}")
    return report


def _run(tflite: bytes, facts: TfliteFacts, patches: Float32, tflite_micro: str) -> CheckReport:
    arena = arena_bytes(tflite)
    windows = quantize(patches, facts.input.scale, facts.input.zero_point)
    on_device = _hear(TfliteMicro(tflite, arena), windows)
    on_host = _hear(LiteRt(tflite), windows)
    logits, memory = (np.abs(a - b) for a, b in zip(on_device, on_host, strict=True))
    return CheckReport(
        facts,
        arena,
        HOST_BITS,
        tflite_micro,
        len(windows),
        int(logits.max()),
        float((logits > 0).mean()),
        int(memory.max()) if facts.memory else None,
    )


def _hear(network: Network, windows: Int8) -> tuple[Steps, Steps]:
    """Logits and memory after each window; half-way the network forgets."""
    logits, memories = [], []
    for number, window in enumerate(windows):
        if number == len(windows) // 2:
            network.reset()
        logits.append(network.run(window[None])[0])
        memories.append(network.memory if network.memory is not None else np.empty(0, np.int8))
    return np.stack(logits).astype(np.int16), np.stack(memories).astype(np.int16)


def _failures(report: CheckReport, size_limit: int) -> list[str]:
    facts, failures = report.facts, []
    if facts.size_bytes > size_limit:
        failures.append(f"{facts.size_bytes:,} bytes, more than {size_limit:,}")
    if not facts.aligned:
        failures.append(_MISALIGNED)
    allowed = LARGEST_DISAGREEMENT_WITH_MEMORY if facts.memory else LARGEST_DISAGREEMENT
    if report.largest_difference > allowed:
        failures.append(
            f"TFLite Micro and LiteRT differ by {report.largest_difference} steps, "
            f"more than {allowed}"
        )
    if (report.largest_memory_difference or 0) > LARGEST_DISAGREEMENT:
        failures.append(
            f"TFLite Micro and LiteRT differ by {report.largest_memory_difference} steps in the "
            f"memory, more than {LARGEST_DISAGREEMENT}"
        )
    return failures
