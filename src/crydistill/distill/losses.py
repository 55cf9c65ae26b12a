"""Distillation losses: KL divergence, binary cross-entropy, online hard example mining."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from crydistill.distill.targets import PROBABILITY_FLOOR
from crydistill.metrics.agreement import KL_EPSILON

Loss = Callable[[Any, Any], Any]
"""(targets `[n, k]`, student logits `[n, k]`) to loss per window `[n]`.

The targets are the teacher's logits; for a student with heads, the probabilities from
`crydistill.distill.targets.head_targets`.
"""


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
        bce = _cross_entropy(target, x)
        if class_weights is None:
            mean = ops.mean(bce, axis=-1)
        else:
            weights = ops.convert_to_tensor(class_weights / class_weights.sum())
            mean = ops.sum(bce * weights, axis=-1)
        return temperature**2 * mean

    return loss


def headed_bce(heads: int, auxiliary_weight: float, temperature: float = 1.0) -> Loss:
    """Binary cross-entropy, summed over the first `heads` columns and averaged over the others.

    The others are the teacher's classes, auxiliary outputs that only exist in training; their mean
    is multiplied by `auxiliary_weight`. The temperature works as in `sigmoid_bce`: above 1 it puts
    weight on how improbable something is, which separates a little crying from none.
    """

    def loss(targets: Any, student_logits: Any) -> Any:
        p = ops.clip(targets, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
        softened = ops.sigmoid((ops.log(p) - ops.log1p(-p)) / temperature)
        x = ops.convert_to_tensor(student_logits) / temperature
        bce = temperature**2 * _cross_entropy(softened, x)
        own, auxiliary = bce[..., :heads], bce[..., heads:]
        return ops.sum(own, axis=-1) + auxiliary_weight * ops.mean(auxiliary, axis=-1)

    return loss


def stream_loss(of_windows: Loss, window_weight: float, temperature: float) -> Loss:
    """Loss of a student with memory, for each window of a stretch.

    Parameters
    ----------
    of_windows : loss of the window network, which has outputs of its own in training
    window_weight : of that loss; the memory's has weight 1
    temperature : of the memory's binary cross-entropy, as in `sigmoid_bce`

    Returns
    -------
    Loss from targets `[batch, windows, 2 + k]` (weight of the memory's loss, its target as a logit,
    targets of the window network) and logits `[batch, windows, 1 + outputs]`.
    """

    def loss(targets: Any, student_logits: Any) -> Any:
        targets = ops.convert_to_tensor(targets)
        counts, taught = targets[..., 0], ops.sigmoid(targets[..., 1] / temperature)
        memory = temperature**2 * _cross_entropy(taught, student_logits[..., 0] / temperature)
        windows = of_windows(targets[..., 2:], student_logits[..., 1:])
        return counts * memory + window_weight * windows

    return loss


def mine_hard_examples(loss: Loss, share: float) -> Loss:
    """Online hard example mining: count only the windows of a batch with the greatest loss.

    Shrivastava et al. 2016, "Training region-based object detectors with online hard example
    mining". The hard windows are chosen anew at each step, by the current student.

    Parameters
    ----------
    share : of a batch's windows that count, above 0 to 1; the loss of the others is 0, and that of
        the hard ones is scaled up so that the batch's mean is the mean over them
    """

    def hard_loss(targets: Any, student_logits: Any) -> Any:
        losses = loss(targets, student_logits)
        least = ops.quantile(ops.stop_gradient(losses), 1 - share)
        counts = ops.cast(losses >= least, losses.dtype)
        return losses * counts / ops.mean(counts)

    return hard_loss if share < 1 else loss


def _cross_entropy(target: Any, x: Any) -> Any:
    """-t ln s(x) - (1 - t) ln(1 - s(x)) in the usual numerically stable form."""
    return ops.maximum(x, 0.0) - x * target + ops.log1p(ops.exp(-ops.abs(x)))
