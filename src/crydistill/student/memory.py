"""Memory: a student that hears several seconds, by what it remembers of the windows before.

A window network reduces each window to a small embedding; the memory holds the embeddings of the
last few windows, and a causal convolution over them and the current one gives the cry score. In
training the whole network runs on stretches of consecutive windows (`on_streams`). On a device it
runs once a window (`with_state`), with the memory as an input and an output: the caller hands the
output back with the next window. An empty memory, at the start and after a gap in the audio, is all
zeros, which is also what embeddings are of windows that say nothing.

The state is a list of embeddings rather than the state of a recurrent network: int8 rounding cannot
accumulate in it, and after as many windows as it holds nothing is left of what was before.

A memory learns what a cry is from fewer sources than the window network, and is surer of them than
of others. So the cry logit may be a *blend*: the memory's, which is trained alone, plus the window
network's own, the mean of the last two windows. On a device one of the embedding's values carries
the window network's logit, and one filter the mean; nothing is computed that was not before.

Sources: Bai et al. 2018, "An empirical evaluation of generic convolutional and recurrent networks
for sequence modeling", for causal convolutions in place of recurrence; Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models", for blending a model with the one it was made of where
sounds are unlike those of training.
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
_WINDOW_LOGITS = "window_logits"
"""Names of the layers that `with_state` takes over."""

_LOWEST = 8.0
"""Window logits below minus this count as this: no threshold lies there, and an empty memory, all
zeros, then stands for windows without a cry."""

Weights = tuple[Floats, Floats]
"""Kernel and bias of a layer."""


@dataclass(frozen=True)
class Memory:
    """Shape of a student's memory.

    windows : number of windows before the current one that it holds
    embedding : values kept of each window
    hidden : filters of the convolution over the windows
    blend : weight of the window network's own cry logit, the mean of two windows, beside the
        memory's; above 0, one value and one filter serve it
    """

    windows: int = 12
    embedding: int = 16
    hidden: int = 24
    blend: float = 0.0

    @property
    def learned(self) -> tuple[int, int]:
        """Values of the embedding and filters that are trained."""
        passed = int(self.blend > 0)
        return self.embedding - passed, self.hidden - passed

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
    values, filters = memory.learned
    embedded = keras.layers.Dense(values, activation="relu", name=EMBEDDING)(features)
    kept = Streams(windows, name="embeddings")(embedded)
    hidden = keras.layers.Conv1D(
        filters, memory.windows + 1, padding="causal", activation="relu", name=HIDDEN
    )(kept)
    cry = keras.layers.Dense(1, name=OUTPUT)(hidden)
    of_windows = Streams(windows, name=_WINDOW_LOGITS)(logits)
    together = keras.layers.Concatenate(name="outputs")([cry, of_windows])
    whole = keras.Model(streams, together, name=f"{model.name}_memory")
    for layer in whole.layers:
        if layer.name not in (EMBEDDING, HIDDEN, OUTPUT):
            layer.trainable = joint
    return whole


def with_state(
    model: keras.Model, memory: Memory, scale: float = 1.0, offset: float = 0.0
) -> keras.Model:
    """Turn a network trained on streams into the one that a device runs once a window.

    Parameters
    ----------
    model : of `on_streams`
    memory : with which it was made
    scale, offset : folded into the cry logit, which becomes `scale * logit + offset`

    Returns
    -------
    keras.Model of stock Keras layers from log-mel `[n, 96, 64, 1]` and memory `[n, windows,
    embedding]`, oldest window first, to logits `[n, 1]` and the memory for the next window.
    """
    head = _head(model, memory)
    patch = keras.Input((WINDOW_FRAMES, MEL_BANDS, 1), name="log_mel")
    kept = keras.Input((memory.windows, memory.embedding), name="memory")
    embedding = keras.layers.Dense(memory.embedding, activation="relu", name=EMBEDDING)
    newest = keras.layers.Reshape((1, memory.embedding), name="newest")
    heard = keras.layers.Concatenate(axis=1, name="heard")(
        [kept, newest(embedding(_features(model, patch)))]
    )
    flat = keras.layers.Flatten(name="flat")(heard)
    hidden = keras.layers.Dense(memory.hidden, activation="relu", name=HIDDEN)
    last = keras.layers.Dense(1, name="logits")
    logits = last(hidden(flat))
    following = keras.layers.Cropping1D((1, 0), name="next_memory")(heard)
    stateful = keras.Model([patch, kept], [logits, following], name=model.name)
    embedding.set_weights(head.embedding)
    kernel, bias = head.hidden
    hidden.set_weights([kernel.reshape(-1, memory.hidden), bias])
    weights, logit_bias = head.output
    last.set_weights([scale * weights, scale * logit_bias + offset])
    return plain(stateful)


def stream_logits(
    model: keras.Model, memory: Memory, patches: Iterable[Floats], starts: Sequence[int] = (0,)
) -> Floats:
    """Cry logits that a network trained on streams gives consecutive windows.

    Parameters
    ----------
    model : of `on_streams`
    memory : with which it was made
    patches : log-mel windows in blocks, `[n, 96, 64]` each
    starts : windows at which a stream begins, with an empty memory; ascending from 0

    Returns
    -------
    One logit per window, `[n]`, as the network of `with_state` gives them.
    """
    head = _head(model, memory)
    source = keras.Input((WINDOW_FRAMES, MEL_BANDS, 1))
    network = keras.Model(source, _features(model, source))
    network.compile(jit_compile=False)
    kernel, bias = head.embedding
    embedded = np.concatenate(
        [np.maximum(logits_of(network, block) @ kernel + bias, 0) for block in patches]
    )
    kernel, bias = head.hidden
    hidden = np.concatenate(
        [_remembered(part, kernel) for part in np.split(embedded, list(starts)[1:])]
    )
    weights, logit_bias = head.output
    return np.asarray((np.maximum(hidden + bias, 0) @ weights + logit_bias)[:, 0], np.float32)


@dataclass(frozen=True, eq=False)
class _Head:
    """Kernel and bias of the device's layers behind the window network's features.

    embedding : `[features, size]`
    hidden : `[windows + 1, size, filters]`
    output : `[filters, 1]`
    """

    embedding: Weights
    hidden: Weights
    output: Weights


def _head(model: keras.Model, memory: Memory) -> _Head:
    learned = _Head(*(tuple(model.get_layer(n).get_weights()) for n in (EMBEDDING, HIDDEN, OUTPUT)))
    if memory.blend == 0:
        return learned
    logits = model.get_layer(_WINDOW_LOGITS).input
    (dense,) = [layer for layer in model.layers if layer.output is logits]
    kernel, bias = dense.get_weights()
    return _blended(learned, (kernel[:, 0], bias[0]), memory.blend)


def _blended(head: _Head, own: tuple[Floats, np.float32], weight: float) -> _Head:
    """Add the window network's own cry logit by one more value and filter.

    Both are positive, so that ReLU lets them pass. Kernels are int8 with one scale each: how the
    factors of the three layers are chosen, each kernel's largest weight grows, or falls short, by
    the same ratio.
    """
    kernel, bias = own
    (values, value_bias), (filters, filter_bias), (output, output_bias) = (
        head.embedding, head.hidden, head.output,
    )  # fmt: skip
    largest = [float(np.abs(weights).max()) for weights in (values, filters, output)]
    wanted = [float(np.abs(kernel).max()), 0.5, weight]
    ratio = np.cbrt(np.prod(wanted) / np.prod(largest))
    of_value, of_filter, of_output = (
        ratio * most / needed for most, needed in zip(largest, wanted, strict=True)
    )
    taps, size, count = filters.shape
    wider = np.zeros((taps, size + 1, count + 1), np.float32)
    wider[:, :size, :count] = filters
    wider[-2:, size, count] = 0.5 * of_filter
    return _Head(
        (
            np.c_[values, of_value * kernel].astype(np.float32),
            np.r_[value_bias, of_value * (bias + _LOWEST)].astype(np.float32),
        ),
        (wider, np.r_[filter_bias, 0].astype(np.float32)),
        (
            np.r_[output, [[weight * of_output]]].astype(np.float32),
            (output_bias - weight * _LOWEST).astype(np.float32),
        ),
    )


def _features(model: keras.Model, source: keras.KerasTensor) -> keras.KerasTensor:
    """The window network's features of `source`, `[n, features]`."""
    windows, features = model.get_layer("windows").output, model.get_layer(EMBEDDING).input
    (found,) = rebuilt(model, windows, source, [features], copied)
    return found


def _remembered(embedded: Floats, kernel: Floats) -> Floats:
    """Causal convolution of a stream's embeddings, `[n, size]`, from an empty memory."""
    taps, size, _ = kernel.shape
    padded = np.concatenate([np.zeros((taps - 1, size), np.float32), embedded])
    return sum(
        (padded[tap : tap + len(embedded)] @ kernel[tap] for tap in range(taps)),
        np.zeros((1, kernel.shape[-1]), np.float32),
    )
