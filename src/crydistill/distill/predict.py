"""What a Keras student says of a pool's windows."""

import keras
import numpy as np
import numpy.typing as npt

from crydistill.selection.pool import Indices, WindowPool

_BATCH = 512


def predict_logits(
    model: keras.Model, pool: WindowPool, indices: Indices
) -> npt.NDArray[np.float32]:
    """Logits of some windows of a pool, `[len(indices), outputs]` float32."""
    rows = [
        keras.ops.convert_to_numpy(
            model.predict_on_batch(pool.patches(indices[start : start + _BATCH])[..., None])
        )
        for start in range(0, len(indices), _BATCH)
    ]
    return np.concatenate(rows).astype(np.float32)
