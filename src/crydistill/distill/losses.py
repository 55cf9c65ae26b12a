"""What the student is asked to reproduce. Both losses take the teacher's logits as target."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from crydistill.errors import ConfigError

KL_EPSILON = 1e-8

Loss = Callable[[Any, Any], Any]
"""(teacher logits `[n, k]`, student logits `[n, k]`) to loss per window `[n]`."""


def kl_softmax(teacher_logits: Any, student_logits: Any) -> Any:
    """KL divergence from the teacher's scores to the student's softmax.

    `sum_c p_c (ln(p_c + e) - ln(q_c + e))` with p the teacher's independent sigmoid scores as they
    are (they do not sum to one), q the student's softmax and e = 1e-8.
    """
    p = ops.sigmoid(teacher_logits)
    q = ops.softmax(student_logits, axis=-1)
    return ops.sum(p * (ops.log(p + KL_EPSILON) - ops.log(q + KL_EPSILON)), axis=-1)


def sigmoid_bce(
    temperature: float = 1.0, class_weights: npt.NDArray[np.float32] | None = None
) -> Loss:
    """Binary cross-entropy between independent probabilities, weighted mean over the classes.

    Teacher and student logits are divided by `temperature` and the loss multiplied by its square,
    which keeps the gradient's size (Hinton et al. 2015, "Distilling the knowledge in a neural
    network"). `class_weights` `[k]` are relative.
    """

    def loss(teacher_logits: Any, student_logits: Any) -> Any:
        target = ops.sigmoid(teacher_logits / temperature)
        x = student_logits / temperature
        # The usual stable form of -t ln s(x) - (1 - t) ln(1 - s(x)).
        bce = ops.maximum(x, 0.0) - x * target + ops.log1p(ops.exp(-ops.abs(x)))
        if class_weights is None:
            mean = ops.mean(bce, axis=-1)
        else:
            weights = ops.convert_to_tensor(class_weights / class_weights.sum())
            mean = ops.sum(bce * weights, axis=-1)
        return temperature**2 * mean

    return loss


def named_loss(
    name: str,
    *,
    temperature: float = 1.0,
    class_weights: npt.NDArray[np.float32] | None = None,
) -> Loss:
    """Make a loss by name: `kl_softmax` or `sigmoid_bce`.

    Raises
    ------
    ConfigError
        if the name is unknown, or options are given to a loss that has none.
    """
    if name == "sigmoid_bce":
        return sigmoid_bce(temperature, class_weights)
    if name == "kl_softmax":
        if temperature != 1.0 or class_weights is not None:
            raise ConfigError(
                "training.loss kl_softmax takes no temperature or class weights; use sigmoid_bce"
            )
        return kl_softmax
    raise ConfigError(f"training.loss '{name}' is not one of kl_softmax, sigmoid_bce")
