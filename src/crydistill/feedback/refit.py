"""Refit a student's head so that some sounds score low and everything else scores as before.

The loss is a sum of four terms over what the head hears:

- reviewed sounds that are no cries: by how much their logits pass the limit, squared;
- reviewed cries: by how much they differ from what they were, squared;
- replayed windows: the same for crying; for the rest by how much they rise, squared. Above and
  below where thresholds lie, nothing counts. A head that may let crying rise lets everything rise;
- how far the weights have moved, which keeps the head near the original wherever nothing was heard.

Weights are rounded to the steps of their scales, first those of the hidden layer, then those of the
output; what is not rounded yet is fitted again, and biases, which are fine, come last.

Sources: Robins 1995, "Catastrophic forgetting, rehearsal and pseudorehearsal"; Li and Hoiem 2018,
"Learning without forgetting", for the original's outputs as targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from crydistill.feedback.cry_head import CryHead, Float64, Int8
from crydistill.tflite.interpreters import Float32

LOWEST_LOGIT, HIGHEST_LOGIT = -12.0, 2.5
"""Outside these, logits may differ at no cost: no threshold lies there."""

_STANDS_FOR = 8
_DECIDES, _DECISIVE = 3.0, 4.0
_DECIDES_OTHERS, _DECISIVE_OTHERS = 9.0, 20.0
_FALL = 8.0
"""A cry that falls costs more than one that rises: only the fall loses an episode."""

_ITERATIONS = 150
_PROXIMITY = 1e-4


@dataclass(frozen=True, eq=False)
class Heard:
    """What the head hears at some windows, and what is to become of their logits.

    rows : int8 `[n, windows * size]`
    low, high : a logit outside `low..high` costs, `[n]`
    weight : of each window, `[n]`
    """

    rows: Int8
    low: Float64
    high: Float64
    weight: Float64


def together(parts: Sequence[Heard]) -> Heard:
    """The windows of all parts."""
    return Heard(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )


def at_most(head: CryHead, rows: Int8, limit: float, weight: float) -> Heard:
    """Windows without a cry that have to score at most `limit`."""
    high = np.full(len(rows), limit)
    active = max(1, int((head.logits(rows) > limit).sum()))
    return Heard(rows, np.full(len(rows), -np.inf), high, np.full(len(rows), weight / active))


def as_before(
    head: CryHead, rows: Int8, crying: npt.NDArray[np.bool_], weight: float = 1.0
) -> Heard:
    """Windows that have to score as the original scores them: crying so, others no higher."""
    # Of real numbers, as the fit computes them: it starts without loss, and no rounding is learned.
    before = _Network(head, rows).logits()
    # Far below all thresholds lie most windows of a night; a few of them stand for all.
    kept = (before > LOWEST_LOGIT) | (np.arange(len(rows)) % _STANDS_FOR == 0)
    rows, crying, before = rows[kept], crying[kept], before[kept]
    low = np.where(crying, np.minimum(before, HIGHEST_LOGIT), -np.inf)
    free = np.where(before < HIGHEST_LOGIT, before, np.inf)
    high = np.where(crying, free, np.maximum(before, LOWEST_LOGIT))
    # Where presets' thresholds lie, a small difference loses an episode, and other sounds that come
    # near them are few: it is they that would raise new alarms.
    decides = np.where(crying, np.abs(before) < _DECIDES, before > -_DECIDES_OTHERS)
    matters = np.where(decides, np.where(crying, _DECISIVE, _DECISIVE_OTHERS), 1.0)
    return Heard(rows, low, high, weight * matters / matters.sum())


def refitted(head: CryHead, heard: Heard) -> CryHead:
    """The head that fits what was heard best, with its weights rounded."""
    network = _Network(head, heard.rows)
    start = network.pack(head)
    for rounded in range(3):
        moved = network.fitted(heard, start, rounded)
        start = network.rounded(moved, rounded)
    return network.unpacked(start)


class _Network:
    """The head in real numbers: its loss and gradient as functions of one vector of parameters.

    In the vector: hidden weights, output weights, hidden biases, output bias.
    """

    def __init__(self, head: CryHead, rows: Int8) -> None:
        self._head = head
        self._inputs = head.hidden.source.real(rows).astype(np.float32)
        outputs, inputs = head.hidden.weights.shape
        self._shape = outputs, inputs
        self._most = np.float32(head.hidden.result.most)
        self._sizes = np.cumsum([outputs * inputs, outputs, outputs])
        self._original = self.pack(head)
        parts = np.split(self._original, self._sizes)
        # Each kind of parameter moves in units of its own size.
        self._unit = np.concatenate(
            [np.full(len(part), max(float(np.sqrt(np.mean(part**2))), 1e-3)) for part in parts]
        )

    def logits(self) -> Float64:
        """Logits of the original, `[n]`."""
        return self._forward(self._original)[2]

    def pack(self, head: CryHead) -> Float64:
        return np.concatenate(
            [
                head.hidden.real_weights().ravel(),
                head.output.real_weights().ravel(),
                head.hidden.real_bias(),
                head.output.real_bias(),
            ]
        )

    def unpacked(self, vector: Float64) -> CryHead:
        weights, last, bias, last_bias = np.split(vector, self._sizes)
        head = self._head
        return replace(
            head,
            hidden=head.hidden.with_real(weights.reshape(self._shape), bias),
            output=head.output.with_real(last[None], last_bias),
        )

    def rounded(self, vector: Float64, parts: int) -> Float64:
        """The vector with the weights of the first parts rounded (hidden, output), or all."""
        steps = self.pack(self.unpacked(vector))
        end = (self._sizes[0], self._sizes[1], len(vector))[parts]
        return np.concatenate([steps[:end], vector[end:]])

    def fitted(self, heard: Heard, start: Float64, fixed: int) -> Float64:
        """The best vector near `start`, in which the first `fixed` parts stay."""
        begin = (0, self._sizes[0], self._sizes[1])[fixed]

        def loss(moved: Float64) -> tuple[float, Float64]:
            vector = start.copy()
            vector[begin:] += moved * self._unit[begin:]
            value, gradient = self.loss(heard, vector)
            return value, gradient[begin:] * self._unit[begin:]

        found = minimize(
            loss, np.zeros(len(start) - begin), jac=True, method="L-BFGS-B",
            options={"maxiter": _ITERATIONS},
        )  # fmt: skip
        vector = start.copy()
        vector[begin:] += found.x * self._unit[begin:]
        return vector

    def loss(self, heard: Heard, vector: Float64) -> tuple[float, Float64]:
        """How badly a head does on what was heard, and the gradient."""
        sums, hidden, logits = self._forward(vector)
        above, below = np.maximum(logits - heard.high, 0), np.maximum(heard.low - logits, 0)
        slope = (2 * heard.weight * (above - _FALL * below)).astype(np.float32)
        last = vector[self._sizes[0] : self._sizes[1]].astype(np.float32)
        at_hidden = slope[:, None] * last * ((sums > 0) & (sums < self._most))
        gradient = np.concatenate(
            [
                (at_hidden.T @ self._inputs).ravel(),
                hidden.T @ slope,
                at_hidden.sum(axis=0),
                [slope.sum()],
            ]
        ).astype(np.float64)
        away = (vector - self._original) / self._unit
        misses = (heard.weight * (above**2 + _FALL * below**2)).sum()
        value = float(misses + _PROXIMITY * (away**2).sum())
        return value, gradient + 2 * _PROXIMITY * away / self._unit

    def _forward(self, vector: Float64) -> tuple[Float32, Float32, Float64]:
        """Sums of the hidden layer before and after its activation, `[n, hidden]`; the logits."""
        weights, last, bias, last_bias = (
            part.astype(np.float32) for part in np.split(vector, self._sizes)
        )
        sums = self._inputs @ weights.reshape(self._shape).T + bias
        hidden = np.clip(sums, 0, self._most)
        return sums, hidden, (hidden @ last + last_bias).astype(np.float64)
