"""Run a Keras student on a pool's windows."""

from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt

from crydistill.selection.pool import Indices, WindowPool
from crydistill.student.keras_model import logits_of

_WINDOWS_AT_ONCE = 1024
"""Windows whose patches are in memory at once: 25 MB."""


def predict_logits(
    model: keras.Model, pool: WindowPool, indices: Indices
) -> npt.NDArray[np.float32]:
    """Logits of some windows of a pool, `[len(indices), outputs]` float32."""
    return np.concatenate([logits_of(model, patches) for patches in patch_blocks(pool, indices)])


def patch_blocks(pool: WindowPool, indices: Indices) -> Iterator[npt.NDArray[np.float32]]:
    """Log-mel patches of some windows of a pool, in blocks `[n, 96, 64]` that fit into memory."""
    for start in range(0, len(indices), _WINDOWS_AT_ONCE):
        yield pool.patches(indices[start : start + _WINDOWS_AT_ONCE])
