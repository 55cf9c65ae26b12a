"""Define a student's outputs: the teacher's 521 classes, or a few outputs of its own.

A student with outputs of its own also learns the teacher's classes, as an auxiliary task that
improves the layers below; that part of its last layer is removed before export.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import keras
import numpy as np
import numpy.typing as npt
from scipy.special import expit

from crydistill.errors import ConfigError
from crydistill.student.layers import plain
from crydistill.taxonomy import class_mids, cry_indices, cry_score, index_of


@dataclass(frozen=True)
class Heads:
    """A student's own outputs; with none, it predicts the teacher's classes.

    names : of the outputs; the first is the cry score
    classes : for each output, the indices of the teacher's classes it covers
    """

    names: tuple[str, ...] = ()
    classes: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def from_mids(cls, outputs: Mapping[str, Sequence[str]]) -> Self:
        """Look up the classes of each output.

        Raises
        ------
        ConfigError
            if an output has no class, or one that YAMNet does not have.
        """
        for name, mids in outputs.items():
            if not mids:
                raise ConfigError(f"student.outputs.{name}: name at least one class (MID)")
            for mid in mids:
                if mid not in class_mids():
                    raise ConfigError(f"student.outputs.{name}: YAMNet has no class {mid}")
        classes = tuple(tuple(index_of(mid) for mid in mids) for mids in outputs.values())
        return cls(tuple(outputs), classes)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def cry_outputs(self) -> tuple[int, ...]:
        """Indices of the outputs whose scores add up to the cry score."""
        return (0,) if self.names else cry_indices()

    def targets(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Teacher's probability of each output, `[n, outputs]`, from its logits, `[n, 521]`.

        The scores of an output's classes are summed and capped at 1, as in the cry score.
        """
        columns = [cry_score(expit(logits), indices) for indices in self.classes]
        return np.asarray(np.minimum(np.stack(columns, axis=1), 1.0), dtype=np.float32)


def cut(model: keras.Model, outputs: int, scale: float = 1.0, offset: float = 0.0) -> keras.Model:
    """Copy a trained model with only the first `outputs` of its logits.

    Parameters
    ----------
    scale, offset : folded into the first logit, which becomes `scale * logit + offset`

    Returns
    -------
    keras.Model of stock Keras layers.
    """
    trained = plain(model)
    last = trained.layers[-1]
    dense = keras.layers.Dense(outputs, name=last.name)
    short = keras.Model(trained.input, dense(last.input), name=model.name)
    kernel, bias = (weights[..., :outputs].copy() for weights in last.get_weights())
    kernel[:, 0] *= scale
    bias[0] = scale * bias[0] + offset
    dense.set_weights([kernel, bias])
    return short
