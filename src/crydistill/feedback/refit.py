"""Refit a student's head so that some sounds score low and everything else scores as before.

The loss is a sum of five terms over what the head hears:

- reviewed sounds that are no cries: by how much their logits pass the limit, squared;
- reviewed cries: by how much they differ from what they were, squared;
- replayed windows: the same for crying; for the rest by how much they rise, squared. Above and
  below where thresholds lie, nothing counts. A head that may let crying rise lets everything rise;
- how far the sums of both layers have moved, on average over all that was heard;
- how far weights are beyond what int8 holds at their scales, which stay as they are.

Embeddings of neighbouring windows are much alike, so that in the weights themselves the loss is a
narrow valley, in which a fit ends far from its floor. Each layer is therefore fitted in coordinates
in which its inputs are uncorrelated and of one size. Weights are then rounded to the steps of their
scales one input after the other, and what rounding one adds is taken off those that follow; the
output layer is fitted again to the rounded hidden layer.

Sources: Robins 1995, "Catastrophic forgetting, rehearsal and pseudorehearsal"; Li and Hoiem 2018,
"Learning without forgetting", for the original's outputs as targets; Frantar et al. 2023, "GPTQ",
for rounding with compensation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize

from crydistill.feedback.cry_head import HIGHEST_STEP, CryHead, Dense, Float64, Int8

_STANDS_FOR = 8
_NEAR = 3.0
"""A logit as close to a threshold may decide whether there is an alert."""
_BELOW, _ABOVE = 4.0, 1.0
"""So far outside all thresholds, logits may differ at no cost."""
_DECISIVE, _DECISIVE_OTHERS = 4.0, 20.0
_FALL = 8.0
"""A cry that falls costs more than one that rises: only the fall loses an episode."""
_SLACK = 0.01
"""Logits; less than an int8 step is no difference."""

_ITERATIONS, _MEMORY = 300, 30
_PROXIMITY = 0.1
_RANGE = 300.0
"""So much that hardly any weight is clipped when it is rounded: that costs more than it gains."""
_DAMPING = 0.1
"""Of second moments, relative to their mean: along what inputs hardly ever do, weights would grow
out of int8's range."""


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
    before = _logits(head, rows)
    kept = _kept(before, limit - _BELOW)
    active = max(1, int((before > limit).sum()))
    high = np.full(len(rows), limit)
    each = np.full(len(rows), weight / active)
    return Heard(rows[kept], np.full(int(kept.sum()), -np.inf), high[kept], each[kept])


def as_before(
    head: CryHead,
    rows: Int8,
    crying: npt.NDArray[np.bool_],
    thresholds: Sequence[float],
    weight: float = 1.0,
) -> Heard:
    """Windows that have to score as the original scores them: crying so, others no higher.

    Parameters
    ----------
    thresholds : logits at which detectors decide
    """
    lowest, highest = min(thresholds) - _BELOW, max(thresholds) + _ABOVE
    # Of real numbers, as the fit computes them: it starts without loss, and no rounding is learned.
    before = _logits(head, rows)
    kept = _kept(before, lowest)
    rows, crying, before = rows[kept], crying[kept], before[kept]
    low = np.where(crying, np.minimum(before, highest), -np.inf) - _SLACK
    free = np.where(before < highest, before, np.inf)
    high = np.where(crying, free, np.maximum(before, lowest)) + _SLACK
    # Near thresholds a small difference loses an episode, and other sounds that come near them are
    # few: it is they that would raise new alarms.
    near = np.min([np.abs(before - one) for one in thresholds], axis=0) < _NEAR
    decides = near | (~crying & (before > min(thresholds)))
    matters = np.where(decides, np.where(crying, _DECISIVE, _DECISIVE_OTHERS), 1.0)
    return Heard(rows, low, high, weight * matters / matters.sum())


def refitted(head: CryHead, heard: Heard) -> CryHead:
    """The head that fits what was heard best, with its weights rounded."""
    fit = _Fit(head, heard)
    hidden, output = fit.best(fit.hidden, fit.output)
    hidden = _rounded(hidden, head.hidden, fit.inputs_moments)
    _, output = fit.best(hidden, output, hidden_stays=True)
    output = _rounded(output, head.output, fit.sums_moments)
    return replace(
        head,
        hidden=head.hidden.with_real(hidden[:, :-1], hidden[:, -1]),
        output=head.output.with_real(output[:, :-1], output[:, -1]),
    )


def _kept(before: Float64, lowest: float) -> npt.NDArray[np.bool_]:
    """Far below all thresholds lie most windows of a night; a few of them stand for all."""
    return np.asarray((before > lowest) | (np.arange(len(before)) % _STANDS_FOR == 0))


def _logits(head: CryHead, rows: Int8) -> Float64:
    """Logits in real numbers, `[n]`."""
    inputs = _with_one(head.hidden.source.real(rows))
    active = np.clip(inputs @ _affine(head.hidden).T, 0, head.hidden.result.most)
    return np.asarray((_with_one(active) @ _affine(head.output).T)[:, 0])


def _affine(layer: Dense) -> Float64:
    """Weights with the bias as last column, `[outputs, inputs + 1]`."""
    return np.column_stack([layer.real_weights(), layer.real_bias()])


def _with_one(values: Float64) -> Float64:
    return np.column_stack([values, np.ones(len(values))])


def _moments(values: Float64, weight: Float64) -> Float64:
    """Weighted second moments of the columns, damped, `[columns, columns]`."""
    found: Float64 = (values.T * (weight / weight.sum())) @ values
    return np.asarray(found + _DAMPING * np.trace(found) / len(found) * np.eye(len(found)))


def _rounded(affine: Float64, layer: Dense, moments: Float64) -> Float64:
    """Weights on the steps of their scales that change the layer's sums least."""
    found = affine.copy()
    upper = cholesky(np.linalg.inv(moments))
    for column in range(found.shape[1] - 1):
        steps = np.rint(found[:, column] / layer.scales)
        on_step = np.clip(steps, -HIGHEST_STEP, HIGHEST_STEP) * layer.scales
        error = (found[:, column] - on_step) / upper[column, column]
        found[:, column:] -= np.outer(error, upper[column, column:])
    return found


def _weights(white: Float64, to_white: Float64) -> Float64:
    """Weights of white coordinates, `[outputs, inputs + 1]`."""
    return np.asarray(solve_triangular(to_white, white.T, lower=True, trans="T").T)


def _with_zero(values: Float64) -> Float64:
    return np.column_stack([values, np.zeros(len(values))])


def _beyond(weights: Float64, most: Float64) -> tuple[float, Float64]:
    """What weights cost that int8 cannot hold, and the gradient."""
    over = np.sign(weights) * np.maximum(np.abs(weights) / most - 1, 0)
    return _RANGE * float((over**2).sum()), 2 * _RANGE * over / most


class _Fit:
    """The loss and its gradient as functions of both layers, each in white coordinates.

    hidden, output : of the original, weights with the bias as last column
    inputs_moments, sums_moments : of each layer's inputs over what was heard
    origin : the original, packed
    """

    def __init__(self, head: CryHead, heard: Heard) -> None:
        self._heard = heard
        self._range = HIGHEST_STEP * head.hidden.scales[:, None], HIGHEST_STEP * head.output.scales
        self._most = np.float32(head.hidden.result.most)
        self.hidden, self.output = _affine(head.hidden), _affine(head.output)
        inputs = _with_one(head.hidden.source.real(heard.rows))
        active = np.clip(inputs @ self.hidden.T, 0, head.hidden.result.most)
        self.inputs_moments = _moments(inputs, heard.weight)
        self.sums_moments = _moments(_with_one(active), heard.weight)
        # A step of a hidden sum moves the logit by its output weight.
        size = np.sqrt(np.mean(self.output[:, :-1] ** 2))
        self._to_hidden = cholesky(self.inputs_moments, lower=True) * size
        self._to_output = cholesky(self.sums_moments, lower=True)
        self._inputs = solve_triangular(self._to_hidden, inputs.T, lower=True).T.astype(np.float32)
        self.origin = self._packed(self.hidden, self.output)

    def best(
        self, hidden: Float64, output: Float64, *, hidden_stays: bool = False
    ) -> tuple[Float64, Float64]:
        """The layers that fit best, from these on."""
        start = self._packed(hidden, output)
        begin = hidden.size if hidden_stays else 0

        def loss(moving: Float64) -> tuple[float, Float64]:
            value, gradient = self.loss(np.concatenate([start[:begin], moving]))
            return value, gradient[begin:]

        found = minimize(
            loss, start[begin:], jac=True, method="L-BFGS-B",
            options={"maxiter": _ITERATIONS, "maxcor": _MEMORY},
        )  # fmt: skip
        hidden_white, output_white = self._parts(np.concatenate([start[:begin], found.x]))
        last = _weights(output_white, self._to_output)
        return (hidden if hidden_stays else _weights(hidden_white, self._to_hidden)), last

    def loss(self, white: Float64) -> tuple[float, Float64]:
        """How badly both layers, packed, do on what was heard, and the gradient."""
        heard = self._heard
        hidden, output = self._parts(white)
        last = _weights(output, self._to_output)[0]
        sums = self._inputs @ hidden.T.astype(np.float32)
        active = np.clip(sums, 0, self._most)
        logits = (active @ last[:-1].astype(np.float32)).astype(np.float64) + last[-1]
        above, below = np.maximum(logits - heard.high, 0), np.maximum(heard.low - logits, 0)
        slope = (2 * heard.weight * (above - _FALL * below)).astype(np.float32)
        passed = np.where((sums > 0) & (sums < self._most), slope[:, None], np.float32(0))
        at_hidden = (passed.T @ self._inputs) * last[:-1, None]
        at_last = np.append(active.T @ slope, slope.sum())
        at_output = solve_triangular(self._to_output, at_last, lower=True)
        weights = _weights(hidden, self._to_hidden)[:, :-1]
        too_large, at_weights = _beyond(weights, self._range[0])
        too_large_last, at_last_weights = _beyond(last[:-1], self._range[1])
        at_hidden += solve_triangular(self._to_hidden, _with_zero(at_weights).T, lower=True).T
        at_output += solve_triangular(self._to_output, np.append(at_last_weights, 0), lower=True)
        away = white - self.origin
        misses = (heard.weight * (above**2 + _FALL * below**2)).sum()
        value = float(misses + _PROXIMITY * (away**2).sum() + too_large + too_large_last)
        return value, np.concatenate([at_hidden.ravel(), at_output]) + 2 * _PROXIMITY * away

    def _packed(self, hidden: Float64, output: Float64) -> Float64:
        return np.concatenate(
            [(hidden @ self._to_hidden).ravel(), (output @ self._to_output).ravel()]
        )

    def _parts(self, white: Float64) -> tuple[Float64, Float64]:
        return (
            white[: self.hidden.size].reshape(self.hidden.shape),
            white[self.hidden.size :].reshape(self.output.shape),
        )
