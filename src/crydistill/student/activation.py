"""Turn a student's logits into scores with the activation its manifest names."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

Activation = Literal["softmax", "sigmoid"]


def activate(logits: npt.NDArray[np.float32], activation: Activation) -> npt.NDArray[np.float32]:
    """Activated logits `[n, outputs]`: one distribution per row, or independent scores."""
    scores = softmax(logits, axis=-1) if activation == "softmax" else expit(logits)
    return np.asarray(scores, dtype=np.float32)
