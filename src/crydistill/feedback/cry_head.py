"""The last layers of a student with memory: from the last windows' embeddings to the cry logit.

They are two small dense layers, so that they can be run on embeddings alone, without audio, and
changed in place: the same tensors with other numbers, the same scales, every other byte as it was.
What needs a `.tflite` (arena, C source, web page) therefore goes on as before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from crydistill.errors import ModelError
from crydistill.tflite.file import Operator, TfliteFile, read_tflite
from crydistill.tflite.memory import MEMORY, memory_tensor

Int8 = npt.NDArray[np.int8]
Float64 = npt.NDArray[np.float64]

LOWEST_STEP, HIGHEST_STEP = -128, 127
_RELU = 1
"""TensorFlow Lite's code of the activation."""


@dataclass(frozen=True)
class Grid:
    """Quantization of a tensor: real value = (step - zero) x scale."""

    scale: float
    zero: int

    @property
    def most(self) -> float:
        """Largest real value."""
        return (HIGHEST_STEP - self.zero) * self.scale

    def real(self, steps: Int8) -> Float64:
        """Real values of steps."""
        return (steps.astype(np.float64) - self.zero) * self.scale


@dataclass(frozen=True, eq=False)
class Dense:
    """An int8 dense layer.

    weights : steps, int8 `[outputs, inputs]`, symmetric
    bias : int32 `[outputs]`, in steps of the input's scale times the weights'
    scales : of the weights, `[outputs]`
    at : positions of weights and bias in the file
    """

    weights: Int8
    bias: npt.NDArray[np.int32]
    scales: Float64
    source: Grid
    result: Grid
    relu: bool
    at: tuple[int, int]

    def real_weights(self) -> Float64:
        """Weights as real numbers, `[outputs, inputs]`."""
        return self.weights * self.scales[:, None]

    def real_bias(self) -> Float64:
        """Bias as real numbers, `[outputs]`."""
        return self.bias * (self.source.scale * self.scales)

    def with_real(self, weights: Float64, bias: Float64) -> Self:
        """The layer with the weights and biases nearest to some real numbers."""
        steps = np.clip(np.rint(weights / self.scales[:, None]), -HIGHEST_STEP, HIGHEST_STEP)
        sums = np.rint(bias / (self.source.scale * self.scales))
        return replace(self, weights=steps.astype(np.int8), bias=sums.astype(np.int32))

    def run(self, steps: Int8) -> Int8:
        """Outputs, int8 `[n, outputs]`, of inputs, `[n, inputs]`.

        Differs from a runtime by one step where the exact result lies between two.
        """
        # Products and sums of int8 stay below 2**24, where float32 is exact.
        shifted = steps.astype(np.float32) - np.float32(self.source.zero)
        sums = (shifted @ self.weights.T.astype(np.float32)).astype(np.float64) + self.bias
        factor = self.source.scale * self.scales / self.result.scale
        rounded = np.floor(sums * factor + 0.5) + self.result.zero
        lowest = max(LOWEST_STEP, self.result.zero) if self.relu else LOWEST_STEP
        return np.asarray(np.clip(rounded, lowest, HIGHEST_STEP), dtype=np.int8)


@dataclass(frozen=True, eq=False)
class CryHead:
    """A hidden and an output layer over the embeddings of `windows` windows of `size` numbers."""

    hidden: Dense
    output: Dense
    windows: int
    size: int

    @classmethod
    def of(cls, tflite: bytes) -> Self:
        """Find the head of a student.

        Raises
        ------
        ModelError
            if the student has no memory, or another head than dense layers.
        """
        file = read_tflite(tflite)
        memory = memory_tensor(file)
        if memory is None:
            raise ModelError("the student has no memory, so that it has no layers to refit")
        output = _dense(file, file.outputs[0])
        hidden = _dense(file, output.inputs[0])
        flat = _made_by(file, hidden.inputs[0], "RESHAPE")
        joined = _made_by(file, flat.inputs[0], "CONCATENATION")
        if joined.inputs[0] != file.inputs[MEMORY]:
            raise ModelError("the student's last layers do not hear its memory")
        _, windows, size = memory.shape
        return cls(_layer(file, hidden), _layer(file, output), windows + 1, size)

    def rows(self, embeddings: Int8, starts: Sequence[int] = (0,)) -> Int8:
        """What the head hears at each window: the embeddings so far, oldest first.

        Parameters
        ----------
        embeddings : of consecutive windows, int8 `[n, size]`
        starts : windows at which a stream begins with an empty memory, ascending from 0

        Returns
        -------
        int8 `[n, windows * size]`
        """
        empty = np.full((self.windows - 1, self.size), self.hidden.source.zero, dtype=np.int8)
        parts = []
        for part in np.split(embeddings, list(starts)[1:]):
            padded = np.concatenate([empty, part])
            seen = np.lib.stride_tricks.sliding_window_view(padded, self.windows, axis=0)
            parts.append(seen.transpose(0, 2, 1).reshape(len(part), -1))
        return np.concatenate(parts)

    def logits(self, rows: Int8) -> npt.NDArray[np.float32]:
        """Cry logits, `[n]`, of what the head hears."""
        steps = self.output.run(self.hidden.run(rows))[:, 0]
        return self.output.result.real(steps).astype(np.float32)

    def raised(self, logits: float) -> Self:
        """The head that scores everything so many logits higher."""
        output = self.output
        bias = output.real_bias() + logits
        return replace(self, output=output.with_real(output.real_weights(), bias))

    def written_into(self, tflite: bytes) -> bytes:
        """The student with this head: same size, same scales, other weights."""
        data = bytearray(tflite)
        for layer in (self.hidden, self.output):
            raws = layer.weights.tobytes(), layer.bias.astype("<i4").tobytes()
            for at, raw in zip(layer.at, raws, strict=True):
                data[at : at + len(raw)] = raw
        return bytes(data)


def _dense(file: TfliteFile, tensor: int) -> Operator:
    return _made_by(file, tensor, "FULLY_CONNECTED")


def _made_by(file: TfliteFile, tensor: int, name: str) -> Operator:
    operator = next((one for one in file.operators if tensor in one.outputs), None)
    if operator is None or operator.name != name:
        raise ModelError(
            f"the student's last layers are of a kind that cannot be refitted ({name})"
        )
    return operator


def _layer(file: TfliteFile, operator: Operator) -> Dense:
    source, weights, bias = (file.tensors[index] for index in operator.inputs)
    result = file.tensors[operator.outputs[0]]
    if weights.offset is None or bias.offset is None:
        raise ModelError("the student's last layers have computed weights")
    scales = np.broadcast_to(np.asarray(weights.scales, np.float64), weights.shape[:1])
    return Dense(
        weights=weights.values(),
        bias=bias.values(),
        scales=scales,
        source=Grid(source.scales[0], source.zero_points[0]),
        result=Grid(result.scales[0], result.zero_points[0]),
        relu=operator.options["activation"] == _RELU,
        at=(weights.offset, bias.offset),
    )
