"""Run an FP32 student with Keras."""

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from crydistill.errors import ModelError

_BATCH = 512


def load_student(path: str | Path) -> keras.Model:
    """Load the `student.keras` of a run.

    Raises
    ------
    ModelError
        if it is not a Keras model that can be loaded.
    """
    try:
        model = keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: not a Keras model that can be loaded ({reason})") from error
    # On a CPU, XLA's depthwise convolutions are many times slower than a plain graph's.
    model.compile(jit_compile=False)
    return model


def logits_of(model: keras.Model, patches: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logits of log-mel patches, `[n, outputs]` float32 for `[n, 96, 64]`."""
    rows = [np.empty((0, model.output_shape[-1]), dtype=np.float32)]
    for start in range(0, len(patches), _BATCH):
        batch = patches[start : start + _BATCH, ..., None]
        rows.append(keras.ops.convert_to_numpy(model.predict_on_batch(batch)))
    return np.concatenate(rows, dtype=np.float32)
