"""Run an int8 `.tflite` in LiteRT or in Google's TFLite Micro interpreter.

Both are native code that trusts the model: pass them only bytes that
`crydistill.tflite.check.inspect_tflite` has accepted.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.errors import MissingExtraError, ModelError

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


class LiteRt:
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
        self._input: dict[str, Any] = self._interpreter.get_input_details()[0]
        self._output: dict[str, Any] = self._interpreter.get_output_details()[0]

    def run(self, windows: Int8) -> Int8:
        """Compute the outputs, `[n, outputs]`, of quantised windows, `[n, 96, 64]`."""
        # One at a time, as on the device: batching is no faster.
        shaped = windows.reshape(-1, *self._input["shape"])
        out = np.empty((len(shaped), self._output["shape"][-1]), dtype=np.int8)
        for row, window in zip(out, shaped, strict=True):
            self._interpreter.set_tensor(self._input["index"], window)
            self._interpreter.invoke()
            row[:] = self._interpreter.get_tensor(self._output["index"])[0]
        return out


class TfliteMicro:
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
        self._input_shape = self._interpreter.get_input_details(0)["shape"]

    def run(self, windows: Int8) -> Int8:
        """Compute the outputs, `[n, outputs]`, of quantised windows, `[n, 96, 64]`."""
        rows = []
        for window in windows.reshape(-1, *self._input_shape):
            self._interpreter.set_input(window, 0)
            self._interpreter.invoke()
            rows.append(self._interpreter.get_output(0))
        return np.concatenate(rows)


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
