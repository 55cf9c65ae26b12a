"""Muon for a student's pointwise convolutions, AdamW for everything else.

The gradient's momentum, seen as a matrix from input to output channels, is replaced by the nearest
matrix whose singular values are all equal (Jordan et al. 2024, "Muon: an optimizer for hidden
layers in neural networks"), so that directions which gradients seldom point to are learnt as fast
as the common ones. Its size is matched to AdamW's steps (Liu et al. 2025, "Muon is scalable for LLM
training"), so that one learning rate serves both.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

MOMENTUM = 0.95

_RMS = 0.2
"""Root mean square of an AdamW step, in learning rates (Liu et al. 2025)."""

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
"""Coefficients of Jordan et al.: five iterations leave singular values between 0.7 and 1.2."""


class Muon(keras.optimizers.Optimizer):  # type: ignore[misc]
    """AdamW, but for kernels `[1, 1, in, out]`, which take Muon's steps."""

    def __init__(self, learning_rate: float = 1e-3, weight_decay: float = 0.0) -> None:
        super().__init__(learning_rate=learning_rate, name="muon")
        self._decay = weight_decay
        self._others = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
        self._momenta: dict[str, Any] = {}

    def build(self, variables: Sequence[Any]) -> None:
        """Make room for the momenta of these variables."""
        if self.built:
            return
        super().build(variables)
        own = [variable for variable in variables if _is_pointwise(variable)]
        momenta = self.add_optimizer_variables(own, "momentum")
        self._momenta = {v.path: momentum for v, momentum in zip(own, momenta, strict=True)}
        self._others.build([variable for variable in variables if not _is_pointwise(variable)])

    @property
    def variables(self) -> list[Any]:
        """All that a resumed training needs."""
        return [*super().variables, *self._others.variables]

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Move every variable against its gradient."""
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        self.build(trainable_variables)
        pairs = list(zip(grads, trainable_variables, strict=True))
        own = [pair for pair in pairs if _is_pointwise(pair[1])]
        others = [pair for pair in pairs if not _is_pointwise(pair[1])]
        self._others.learning_rate.assign(self.learning_rate)
        self._others.apply([gradient for gradient, _ in others], [v for _, v in others])
        for shape in sorted({tuple(variable.shape) for _, variable in own}):
            self._step([pair for pair in own if tuple(pair[1].shape) == shape])
        self.iterations.assign_add(1)

    def _step(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        """Step with kernels of one shape together, which costs less than one by one."""
        ahead = []
        for gradient, variable in pairs:
            momentum = self._momenta[variable.path]
            momentum.assign(MOMENTUM * momentum + gradient)
            ahead.append((gradient + MOMENTUM * momentum)[0, 0])
        inputs, outputs = pairs[0][1].shape[-2:]
        size = self.learning_rate * _RMS * max(inputs, outputs) ** 0.5
        steps = size * orthogonalised(ops.stack(ahead))
        keep = 1 - self.learning_rate * self._decay
        for number, (_, variable) in enumerate(pairs):
            variable.assign(keep * variable - steps[number][None, None])


def _is_pointwise(variable: Any) -> bool:
    return len(variable.shape) == 4 and tuple(variable.shape[:2]) == (1, 1)


def orthogonalised(matrices: Any) -> Any:
    """Return `U V^T` of matrices `U S V^T`, `[k, m, n]`, roughly: by Newton-Schulz iterations."""
    a, b, c = _NEWTON_SCHULZ
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = ops.swapaxes(matrices, 1, 2) if is_tall else matrices
    x = x / (ops.norm(x, axis=(1, 2), keepdims=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = ops.matmul(x, ops.swapaxes(x, 1, 2))
        x = a * x + ops.matmul(b * gram + c * ops.matmul(gram, gram), x)
    return ops.swapaxes(x, 1, 2) if is_tall else x
