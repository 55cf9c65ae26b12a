"""Run an int8 `.tflite` in LiteRT or in Google's TFLite Micro interpreter.

Both are native code that trusts the model: pass them only bytes that
`crydistill.tflite.check.inspect_tflite` has accepted.
"""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.errors import MissingExtraError, ModelError
from crydistill.tflite.file import read_tflite

Int8 = npt.NDArray[np.int8]
Float32 = npt.NDArray[np.float32]

TFLITE_MICRO = "tflite-micro"
"""Name of the distribution with Google's TFLite Micro interpreter."""


class Kernels(StrEnum):
    """LiteRT's sets of kernels.

    They differ in speed, given for one x86-64 core, and in how often their outputs differ from
    TFLite Micro's: more often for students with shortcuts, whose sums each rounds differently. The
    first figure is for the reference student, the second for the packaged one.

    REFERENCE : plain kernels, bit-exact with TFLite Micro except for the dense layer, which is off
        by one step in one output of 50,000; 600 and 360 windows per second
    OPTIMIZED : one output in 50,000 is off by one step; one in 3 by up to two; 3,600 and 3,000
        windows per second
    XNNPACK : one output in 10 to 60 is off by up to two steps; half of them by up to five; 10,000
        windows per second and more
    """

    REFERENCE = "reference"
    OPTIMIZED = "optimized"
    XNNPACK = "xnnpack"


def quantize(values: Float32, scale: float, zero_point: int) -> Int8:
    """Quantize to int8, rounding half to even: clamp(rint(values / scale) + zero_point)."""
    steps = np.rint(values / np.float32(scale)) + np.float32(zero_point)
    return np.asarray(np.clip(steps, -128, 127), dtype=np.int8)


def dequantize(steps: Int8, scale: float, zero_point: int) -> Float32:
    """Real values of int8 steps: (steps - zero_point) x scale."""
    return (steps.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


class Network(ABC):
    """An int8 network that hears one window after another.

    What it remembers of them, if it has a memory, it keeps from window to window and from call to
    call; a new one, or one that was reset, has heard nothing.

    Parameters
    ----------
    inputs : shape and value of real 0 of each input: the log-mel patch, then the memory if any
    outputs : number of logits
    """

    def __init__(self, inputs: list[tuple[tuple[int, ...], int]], outputs: int) -> None:
        (self._patch_shape, _), *memories = inputs
        self._outputs = outputs
        self._empty = [np.full(shape, zero, dtype=np.int8) for shape, zero in memories]
        self.reset()

    def reset(self) -> None:
        """Forget all windows so far, as after a gap in the audio; nothing to do without memory."""
        self._memories = self._empty

    @property
    def memory(self) -> Int8 | None:
        """What it remembers, `[1, windows, size]`, oldest first; None if it has no memory."""
        return self._memories[0].copy() if self._memories else None

    def run(self, windows: Int8) -> Int8:
        """Compute the outputs, `[n, outputs]`, of quantized windows, `[n, 96, 64]`, in turn."""
        # One at a time, as on the device: batching is no faster.
        shaped = windows.reshape(-1, *self._patch_shape)
        out = np.empty((len(shaped), self._outputs), dtype=np.int8)
        for row, window in zip(out, shaped, strict=True):
            logits, *self._memories = self._invoke([window, *self._memories])
            row[:] = logits[0]
        return out

    @abstractmethod
    def _invoke(self, inputs: list[Int8]) -> list[Int8]:
        """Compute all outputs from all inputs; returns copies."""


class LiteRt(Network):
    """An int8 network in LiteRT, on one thread.

    Raises
    ------
    ModelError
        if LiteRT refuses the model.
    """

    def __init__(self, tflite: bytes, kernels: Kernels = Kernels.REFERENCE) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolver = {
            Kernels.REFERENCE: OpResolverType.BUILTIN_REF,
            Kernels.OPTIMIZED: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            Kernels.XNNPACK: OpResolverType.BUILTIN,
        }[kernels]
        try:
            with quiet():
                self._interpreter = Interpreter(
                    model_content=tflite, experimental_op_resolver_type=resolver, num_threads=1
                )
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"LiteRT refuses the model ({_one_line(error)})") from error
        sources = self._interpreter.get_input_details()
        results = self._interpreter.get_output_details()
        self._sources = [int(source["index"]) for source in sources]
        self._results = [int(result["index"]) for result in results]
        super().__init__([_port(source) for source in sources], int(results[0]["shape"][-1]))

    def _invoke(self, inputs: list[Int8]) -> list[Int8]:
        for index, value in zip(self._sources, inputs, strict=True):
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._results]


class TfliteMicro(Network):
    """An int8 network in Google's TFLite Micro interpreter.

    Parameters
    ----------
    arena : size of the tensor arena, bytes

    Raises
    ------
    MissingExtraError
        if tflite-micro is not installed.
    ModelError
        if the interpreter refuses the model, or the arena is too small for it.
    """

    def __init__(self, tflite: bytes, arena: int) -> None:
        runtime = _tflite_micro_runtime()
        try:
            with quiet():
                self._interpreter = runtime.Interpreter.from_bytes(tflite, arena_size=arena)
        except RuntimeError as error:
            raise ModelError(
                f"TFLite Micro refuses the model with an arena of {arena:,} bytes "
                f"({_one_line(error)})"
            ) from error
        # The interpreter does not say how many inputs there are; the file does.
        file = read_tflite(tflite)
        self._results = len(file.outputs)
        ports = [_port(self._interpreter.get_input_details(i)) for i in range(len(file.inputs))]
        outputs = self._interpreter.get_output_details(0)["shape"][-1]
        super().__init__(ports, int(outputs))

    def _invoke(self, inputs: list[Int8]) -> list[Int8]:
        for index, value in enumerate(inputs):
            self._interpreter.set_input(value, index)
        self._interpreter.invoke()
        return [self._interpreter.get_output(index) for index in range(self._results)]


def _port(details: dict[str, Any]) -> tuple[tuple[int, ...], int]:
    """Shape and zero point of an input, as either interpreter describes it."""
    shape = tuple(int(size) for size in details["shape"])
    return shape, int(details["quantization_parameters"]["zero_points"][0])


def tflite_micro_version() -> str:
    """Version of the installed TFLite Micro interpreter.

    Raises
    ------
    MissingExtraError
        if it is not installed.
    """
    _tflite_micro_runtime()
    return version(TFLITE_MICRO)


@contextmanager
def quiet() -> Iterator[None]:
    """Discard what native code writes to stderr inside the `with` block."""
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _tflite_micro_runtime() -> Any:
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError as error:
        raise MissingExtraError(
            "Google's TFLite Micro interpreter is not installed: pip install 'crydistill[train]' "
            "on Linux x86-64 (not available for other platforms)"
        ) from error
    return runtime


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
