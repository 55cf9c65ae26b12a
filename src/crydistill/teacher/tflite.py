"""Use any `.tflite` network with AudioSet's 521 classes as a teacher.

Its input may be a waveform (one window of 15,600 samples) or log-mel (one window of 96 x 64), float
or quantised, and its output logits or probabilities. If the graph ends in a sigmoid, its output is
moved to the sigmoid's input, so that an int8 teacher's targets keep the resolution of its logits
instead of the 256 steps of its scores.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import (
    WINDOW_FRAMES,
    WINDOW_HOP_SAMPLES,
    WINDOW_SAMPLES,
    windows,
)
from crydistill.download import sha256_of
from crydistill.errors import TeacherError
from crydistill.taxonomy import CLASSES
from crydistill.teacher.base import Logits, Recording
from crydistill.tflite.file import IDENTIFIER

PROBABILITY_FLOOR = 1e-6
"""Float probabilities are clipped this far from 0 and 1 before conversion to logits (+-13.8);
those of a quantised output half a step."""

_PASS_THROUGH = (
    schema.BuiltinOperator.DEQUANTIZE,
    schema.BuiltinOperator.QUANTIZE,
    schema.BuiltinOperator.RESHAPE,
    schema.BuiltinOperator.SQUEEZE,
)
"""Operators that do not change the scores' values."""


class LogitSource(StrEnum):
    """Source of a teacher's logits."""

    OUTPUT = "the model's output, which is logits"
    BEFORE_SIGMOID = "the model's tensor before its last sigmoid"
    PROBABILITIES = "the model's output probabilities, clipped and turned into logits"


class TfliteTeacher:
    """A `.tflite` teacher that scores one window at a time.

    name : the file's name
    fingerprint : sha256 of the file
    logit_source : where its logits come from
    """

    def __init__(self, path: str | Path) -> None:
        """Load the model and detect its input and output formats.

        Raises
        ------
        TeacherError
            if LiteRT cannot run it, or it does not map a window of audio to 521 classes.
        """
        path = Path(path)
        content = _read(path)
        _interpreter(path, content)  # verify the file before parsing it
        moved = _without_final_sigmoid(content)
        self._interpreter = _interpreter(path, moved or content)
        self._input = _Tensor(_only_input(path, self._interpreter))
        self._shape, self._takes_samples = _input_shape(path, self._input)
        self._output = _allocate(path, self._interpreter, self._input.index, self._shape)
        self.name = path.name
        self.fingerprint = sha256_of(path)
        if moved:
            self.logit_source = LogitSource.BEFORE_SIGMOID
        elif self._gives_probabilities():
            self.logit_source = LogitSource.PROBABILITIES
        else:
            self.logit_source = LogitSource.OUTPUT

    def logits(self, recordings: Sequence[Recording]) -> list[Logits]:
        """Logits `[windows, 521]` of each recording."""
        return [self._logits_of(recording) for recording in recordings]

    def _logits_of(self, recording: Recording) -> Logits:
        inputs = (
            sample_windows(recording.samples, len(windows(recording.frames)))
            if self._takes_samples
            else windows(recording.frames)
        )
        out = np.empty((len(inputs), CLASSES), dtype=np.float32)
        for row, window in zip(out, inputs, strict=True):
            row[:] = self._run(window)
        if self.logit_source is LogitSource.PROBABILITIES:
            return _logit(out, self._output.scale / 2 or PROBABILITY_FLOOR)
        return out

    def _run(self, window: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self._interpreter.set_tensor(
            self._input.index, self._input.encode(window.reshape(self._shape))
        )
        self._interpreter.invoke()
        return self._output.decode(self._interpreter.get_tensor(self._output.index)).reshape(-1)

    def _gives_probabilities(self) -> bool:
        """Whether the output is within [0, 1] for silence and for noise at two levels.

        The 521 logits of a trained network are not.
        """
        size = int(np.prod(self._shape))
        noise = np.random.default_rng(0).uniform(-1.0, 1.0, size).astype(np.float32)
        probes = (np.zeros(size, dtype=np.float32), 0.01 * noise, noise)
        found = np.stack([self._run(probe) for probe in probes])
        return bool(found.min() >= 0.0 and found.max() <= 1.0)


def sample_windows(samples: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """Return a view of the samples of a recording's first `count` windows, `[count, 15600]`."""
    if count == 0:
        return np.empty((0, WINDOW_SAMPLES), dtype=np.float32)
    view = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)
    return view[::WINDOW_HOP_SAMPLES][:count]


class _Tensor:
    """An input or output tensor: its index and quantisation (scale 0 if not quantised)."""

    def __init__(self, details: dict[str, Any]) -> None:
        self.index = int(details["index"])
        self.signature = tuple(int(size) for size in details["shape_signature"])
        self.dtype = np.dtype(details["dtype"])
        scale, zero_point = details["quantization"]
        self.scale = float(scale) if np.issubdtype(self.dtype, np.integer) else 0.0
        self._zero_point = int(zero_point)

    def encode(self, values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        if not self.scale:
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        steps = np.rint(values / self.scale) + self._zero_point
        return np.asarray(np.clip(steps, limits.min, limits.max), dtype=self.dtype)

    def decode(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        values: npt.NDArray[np.float32] = stored.astype(np.float32)
        if self.scale:
            values -= self._zero_point
            values *= self.scale
        return values


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TeacherError(f"{path}: cannot be read ({error.strerror})") from error


def _interpreter(path: Path, content: bytes) -> Any:
    try:
        return Interpreter(model_content=content)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise TeacherError(f"{path}: not a .tflite model that LiteRT can run ({reason})") from error


def _only_input(path: Path, interpreter: Any) -> dict[str, Any]:
    inputs = interpreter.get_input_details()
    if len(inputs) != 1:
        raise TeacherError(f"{path}: has {len(inputs)} inputs; a teacher has one, audio or log-mel")
    details: dict[str, Any] = inputs[0]
    return details


def _input_shape(path: Path, tensor: _Tensor) -> tuple[tuple[int, ...], bool]:
    """Return the input shape of one window, and whether it is samples rather than log-mel."""
    if tensor.dtype not in (np.float32, np.int8, np.uint8):
        raise TeacherError(f"{path}: takes {tensor.dtype}; a teacher takes float32, int8 or uint8")
    samples = ((WINDOW_SAMPLES,), (1, WINDOW_SAMPLES))
    patch = (WINDOW_FRAMES, MEL_BANDS)
    for shape in (*samples, patch, (1, *patch), (*patch, 1), (1, *patch, 1)):
        if len(shape) == len(tensor.signature) and all(
            there in (-1, size) for there, size in zip(tensor.signature, shape, strict=True)
        ):
            return shape, shape in samples
    raise TeacherError(
        f"{path}: takes an input of shape {list(tensor.signature)}; a teacher takes "
        f"{WINDOW_SAMPLES:,} samples or {WINDOW_FRAMES} x {MEL_BANDS} log-mel"
    )


def _allocate(path: Path, interpreter: Any, index: int, shape: tuple[int, ...]) -> _Tensor:
    """Set the input's shape, run once, and return the output with one row of 521 values."""
    interpreter.resize_tensor_input(index, shape)
    try:
        interpreter.allocate_tensors()
        interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise TeacherError(f"{path}: does not run on one window of audio ({reason})") from error
    for details in interpreter.get_output_details():
        if int(np.prod(details["shape"])) == CLASSES:
            return _Tensor(details)
    found = [list(map(int, details["shape"])) for details in interpreter.get_output_details()]
    raise TeacherError(
        f"{path}: gives {found} for one window; a teacher gives {CLASSES} scores, for AudioSet's "
        "classes in YAMNet's order"
    )


def _without_final_sigmoid(content: bytes) -> bytes | None:
    """Move outputs that follow a sigmoid to its input; None if there is no sigmoid."""
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    before = [_sigmoid_input(model, int(tensor)) for tensor in graph.outputs]
    if not any(tensor is not None for tensor in before):
        return None
    graph.outputs = [
        there if moved is None else moved
        for there, moved in zip(graph.outputs, before, strict=True)
    ]
    # Signatures refer to the old outputs, and the interpreter is used by tensor index anyway.
    model.signatureDefs = []
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _sigmoid_input(model: Any, tensor: int) -> int | None:
    producers = {int(out): op for op in model.subgraphs[0].operators for out in op.outputs}
    while tensor in producers:
        op = producers[tensor]
        code = model.operatorCodes[op.opcodeIndex]
        # Files from before operator code 127 store the code in the deprecated field.
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        tensor = int(op.inputs[0])
        if kind == schema.BuiltinOperator.LOGISTIC:
            return tensor
        if kind not in _PASS_THROUGH:
            return None
    return None


def _logit(probabilities: Logits, floor: float) -> Logits:
    clipped = np.clip(probabilities.astype(np.float64), floor, 1.0 - floor)
    return np.log(clipped / (1.0 - clipped)).astype(np.float32)
