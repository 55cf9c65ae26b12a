"""What turns a student's logits into scores: softmax or sigmoid, as its manifest says."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

Activation = Literal["softmax", "sigmoid"]


def activate(logits: npt.NDArray[np.float32], activation: Activation) -> npt.NDArray[np.float32]:
    """Scores of logits `[n, outputs]`: one distribution a row (softmax), or each for itself."""
    scores = softmax(logits, axis=-1) if activation == "softmax" else expit(logits)
    return np.asarray(scores, dtype=np.float32)
