"""Memory: a student that hears several seconds, by what it remembers of the windows before.

A window network reduces each window to a small embedding; the memory holds the embeddings of the
last few windows, and a causal convolution over them and the current one gives the cry score. In
training the whole network runs on stretches of consecutive windows (`on_streams`). On a device it
runs once a window (`with_state`), with the memory as an input and an output: the caller hands the
output back with the next window. An empty memory, at the start and after a gap in the audio, is all
zeros, which is also what embeddings are of windows that say nothing.

The state is a list of embeddings rather than the state of a recurrent network: int8 rounding cannot
accumulate in it, and after as many windows as it holds nothing is left of what was before.

Source: Bai et al. 2018, "An empirical evaluation of generic convolutional and recurrent networks
for sequence modeling", for causal convolutions in place of recurrence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import WINDOW_FRAMES
from crydistill.student.keras_model import logits_of
from crydistill.student.layers import plain
from crydistill.student.rebuild import copied, folding, rebuilt

Floats = npt.NDArray[np.float32]

EMBEDDING, HIDDEN, OUTPUT = "embedding", "memory_hidden", "memory_logit"
"""Names of the layers that `with_state` takes over."""


@dataclass(frozen=True)
class Memory:
    """Shape of a student's memory.

    windows : number of windows before the current one that it holds
    embedding : values kept of each window
    hidden : filters of the convolution over the windows
    """

    windows: int = 12
    embedding: int = 16
    hidden: int = 24

    def kernel_weights(self, features: int) -> int:
        """Number of weights, without biases, behind a window network's features."""
        convolution = (self.windows + 1) * self.embedding * self.hidden
        return features * self.embedding + convolution + self.hidden


class Windows(keras.layers.Layer):  # type: ignore[misc]
    """From streams `[batch, windows, 96, 64]` to windows `[batch * windows, 96, 64, 1]`."""

    def call(self, inputs: Any) -> Any:
        return ops.reshape(inputs, (-1, WINDOW_FRAMES, MEL_BANDS, 1))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (None, WINDOW_FRAMES, MEL_BANDS, 1)


class Streams(keras.layers.Layer):  # type: ignore[misc]
    """From values of windows, `[batch * windows, n]`, to streams, `[batch, windows, n]`."""

    def __init__(self, windows: int, **options: Any) -> None:
        super().__init__(**options)
        self.windows = windows

    def call(self, inputs: Any) -> Any:
        return ops.reshape(inputs, (-1, self.windows, inputs.shape[-1]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (None, self.windows, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "windows": self.windows}


CUSTOM_OBJECTS = {layer.__name__: layer for layer in (Windows, Streams)}
"""`custom_objects` that `keras.saving.load_model` needs to load a training checkpoint."""


def on_streams(model: keras.Model, memory: Memory, windows: int, *, joint: bool) -> keras.Model:
    """Give a window network a memory, to train on stretches of consecutive windows.

    BatchNorm is folded into the convolutions: windows of a stretch are so alike that their averages
    would mislead it, and training is half as fast again without.

    Parameters
    ----------
    model : from windows `[n, 96, 64, 1]` to logits `[n, outputs]`, trained; its weights are copied
    windows : length of a stretch
    joint : whether the window network learns, or only the memory

    Returns
    -------
    keras.Model from `[batch, windows, 96, 64]` to `[batch, windows, 1 + outputs]`: the cry logit of
    the memory, then the window network's logits.
    """
    streams = keras.Input((windows, WINDOW_FRAMES, MEL_BANDS), name="streams")
    last = model.layers[-1]
    source = Windows(name="windows")(streams)
    features, logits = rebuilt(
        model, model.input, source, [last.input, last.output], folding(model)
    )
    embedded = keras.layers.Dense(memory.embedding, activation="relu", name=EMBEDDING)(features)
    kept = Streams(windows, name="embeddings")(embedded)
    hidden = keras.layers.Conv1D(
        memory.hidden, memory.windows + 1, padding="causal", activation="relu", name=HIDDEN
    )(kept)
    cry = keras.layers.Dense(1, name=OUTPUT)(hidden)
    of_windows = Streams(windows, name="window_logits")(logits)
    together = keras.layers.Concatenate(name="outputs")([cry, of_windows])
    whole = keras.Model(streams, together, name=f"{model.name}_memory")
    for layer in whole.layers:
        if layer.name not in (EMBEDDING, HIDDEN, OUTPUT):
            layer.trainable = joint
    return whole


def with_state(model: keras.Model, scale: float = 1.0, offset: float = 0.0) -> keras.Model:
    """Turn a network trained on streams into the one that a device runs once a window.

    Parameters
    ----------
    model : of `on_streams`
    scale, offset : folded into the cry logit, which becomes `scale * logit + offset`

    Returns
    -------
    keras.Model of stock Keras layers from log-mel `[n, 96, 64, 1]` and memory `[n, windows,
    embedding]`, oldest window first, to logits `[n, 1]` and the memory for the next window.
    """
    hidden, output = model.get_layer(HIDDEN), model.get_layer(OUTPUT)
    kernel, bias = hidden.get_weights()
    taps, size, filters = kernel.shape
    patch = keras.Input((WINDOW_FRAMES, MEL_BANDS, 1), name="log_mel")
    memory = keras.Input((taps - 1, size), name="memory")
    windows, embedding = model.get_layer("windows").output, model.get_layer(EMBEDDING).output
    (embedded,) = rebuilt(model, windows, patch, [embedding], copied)
    newest = keras.layers.Reshape((1, size), name="newest")(embedded)
    heard = keras.layers.Concatenate(axis=1, name="heard")([memory, newest])
    flat = keras.layers.Flatten(name="flat")(heard)
    dense = keras.layers.Dense(filters, activation="relu", name=HIDDEN)
    last = keras.layers.Dense(1, name="logits")
    logits = last(dense(flat))
    following = keras.layers.Cropping1D((1, 0), name="next_memory")(heard)
    stateful = keras.Model([patch, memory], [logits, following], name=model.name)
    dense.set_weights([kernel.reshape(taps * size, filters), bias])
    weights, logit_bias = output.get_weights()
    last.set_weights([scale * weights, scale * logit_bias + offset])
    return plain(stateful)


def stream_logits(
    model: keras.Model, patches: Iterable[Floats], starts: Sequence[int] = (0,)
) -> Floats:
    """Cry logits that a network trained on streams gives consecutive windows.

    Parameters
    ----------
    model : of `on_streams`
    patches : log-mel windows in blocks, `[n, 96, 64]` each
    starts : windows at which a stream begins, with an empty memory; ascending from 0

    Returns
    -------
    One logit per window, `[n]`, as the network of `with_state` gives them.
    """
    source = keras.Input((WINDOW_FRAMES, MEL_BANDS, 1))
    windows, embedding = model.get_layer("windows").output, model.get_layer(EMBEDDING).output
    embedder = keras.Model(source, rebuilt(model, windows, source, [embedding], copied)[0])
    embedder.compile(jit_compile=False)
    embedded = np.concatenate([logits_of(embedder, block) for block in patches])
    kernel, bias = model.get_layer(HIDDEN).get_weights()
    weights, logit_bias = model.get_layer(OUTPUT).get_weights()
    hidden = np.concatenate(
        [_remembered(part, kernel) for part in np.split(embedded, list(starts)[1:])]
    )
    return np.asarray((np.maximum(hidden + bias, 0) @ weights + logit_bias)[:, 0], np.float32)


def _remembered(embedded: Floats, kernel: Floats) -> Floats:
    """Causal convolution of a stream's embeddings, `[n, size]`, from an empty memory."""
    taps, size, _ = kernel.shape
    padded = np.concatenate([np.zeros((taps - 1, size), np.float32), embedded])
    return sum(
        (padded[tap : tap + len(embedded)] @ kernel[tap] for tap in range(taps)),
        np.zeros((1, kernel.shape[-1]), np.float32),
    )
