"""Exponential moving average of the weights, validated and kept in place of the last weights.

Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the decay ramps
up from 0 as in TensorFlow's ExponentialMovingAverage, so that early steps do not linger.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import numpy.typing as npt

EVERY = 8
"""Steps between updates; copying the weights at every step would cost more than it gains."""


class WeightAverage:
    """Exponential moving average (EMA) of a model's weights, including BatchNorm statistics."""

    def __init__(self, model: keras.Model, decay: float) -> None:
        """Start from the current weights; `decay` is per training step, 0 to 1."""
        self._model, self._decay = model, decay
        self.steps = 0
        self.weights: list[npt.NDArray[np.float32]] = _copied(model)

    def after_step(self) -> None:
        """Update the average, every `EVERY` steps."""
        self.steps += 1
        if self.steps % EVERY:
            return
        updates = self.steps // EVERY
        keep = min(self._decay**EVERY, (1 + updates) / (10 + updates))
        self.weights = [
            keep * mean + (1 - keep) * weight
            for mean, weight in zip(self.weights, self._model.get_weights(), strict=True)
        ]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Swap the averaged weights into the model for the duration of a `with` block."""
        own = _copied(self._model)
        self._model.set_weights(self.weights)
        try:
            yield
        finally:
            self._model.set_weights(own)


def _copied(model: keras.Model) -> list[npt.NDArray[np.float32]]:
    # On some backends `get_weights` returns the very memory that the optimiser writes to.
    return [np.array(weight) for weight in model.get_weights()]
