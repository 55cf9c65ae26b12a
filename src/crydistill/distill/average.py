"""A running average of the weights: what training wobbles around, rather than where it stopped.

Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the decay rises
from 0 as in Tensorflow's ExponentialMovingAverage, so that early steps do not linger.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import numpy.typing as npt

EVERY = 8
"""Steps from one update to the next; fetching weights at each would cost more than it gives."""


class WeightAverage:
    """Exponential average of a model's weights, BatchNorm's statistics among them."""

    def __init__(self, model: keras.Model, decay: float) -> None:
        """Begin with the weights as they are; `decay` is per training step, 0 to 1."""
        self._model, self._decay = model, decay
        self.steps = 0
        self.weights: list[npt.NDArray[np.float32]] = _copied(model)

    def after_step(self) -> None:
        """Take the weights in, every few steps."""
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
        """Have the model work with the averaged weights for a while."""
        own = _copied(self._model)
        self._model.set_weights(self.weights)
        try:
            yield
        finally:
            self._model.set_weights(own)


def _copied(model: keras.Model) -> list[npt.NDArray[np.float32]]:
    # On some backends `get_weights` hands out the very memory the optimiser writes to.
    return [np.array(weight) for weight in model.get_weights()]
