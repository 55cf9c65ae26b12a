"""Run an FP32 student with Keras."""

from pathlib import Path

import keras
import numpy as np

from crydistill.errors import ModelError
from crydistill.student.listening import Float32, WindowListener
from crydistill.student.manifest import StudentManifest

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


def outputs_of(model: keras.Model) -> int:
    """Number of logits of a student."""
    return int(model.outputs[0].shape[-1])


def logits_of(model: keras.Model, patches: Float32) -> Float32:
    """Logits of log-mel patches, `[n, outputs]` float32 for `[n, 96, 64]`.

    A student with memory hears the patches as one stream from its beginning.
    """
    return KerasStream(model).logits(patches)


class KerasStream:
    """A network in Keras that hears one window after another.

    A network with memory maps [log_mel `[n, 96, 64, 1]`, memory `[n, windows, size]`] to [logits
    `[n, outputs]`, memory]; the memory that comes out is the one that went in, without its oldest
    and with the newest embedding. Embeddings do not depend on the memory, so a batch is computed
    twice instead of window by window: once for the embeddings, once with the memories made of them.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._memory_shape = tuple(model.inputs[1].shape[1:]) if len(model.inputs) > 1 else None
        self.reset()

    def reset(self) -> None:
        """Forget all windows so far."""
        self._heard = np.zeros(self._memory_shape or (0, 0), dtype=np.float32)

    def logits(self, patches: Float32) -> Float32:
        """Logits of the next windows, `[n, outputs]` float32 for `[n, 96, 64]`."""
        rows = [np.empty((0, outputs_of(self._model)), dtype=np.float32)]
        for start in range(0, len(patches), _BATCH):
            batch = patches[start : start + _BATCH, ..., None]
            rows.append(self._predict(batch if self._memory_shape is None else self._inputs(batch)))
        return np.concatenate(rows, dtype=np.float32)

    def _inputs(self, batch: Float32) -> list[Float32]:
        """The batch with each window's memory."""
        windows, size = self._memory_shape or (0, 0)
        nothing = np.zeros((len(batch), windows, size), dtype=np.float32)
        newest = self._predict([batch, nothing], output=1)[:, -1]
        heard = np.concatenate([self._heard, newest])
        self._heard = heard[len(batch) :]
        before = np.lib.stride_tricks.sliding_window_view(heard[:-1], windows, axis=0)
        return [batch, before.transpose(0, 2, 1)]

    def _predict(self, inputs: Float32 | list[Float32], output: int = 0) -> Float32:
        found = self._model.predict_on_batch(inputs)
        chosen = found if self._memory_shape is None else found[output]
        return np.asarray(keras.ops.convert_to_numpy(chosen), dtype=np.float32)


class KerasListener(WindowListener):
    """One stream of windows, heard by an FP32 student."""

    def __init__(self, manifest: StudentManifest, model: keras.Model) -> None:
        super().__init__(manifest)
        self._stream = KerasStream(model)

    def reset(self) -> None:
        self._stream.reset()

    def logits(self, patches: Float32) -> Float32:
        return self._stream.logits(patches)
