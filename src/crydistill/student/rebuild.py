"""Copy a network layer by layer, with some layers changed or left out on the way."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from crydistill.student.layers import DepthwiseConv

Call = Callable[[keras.layers.Layer, list[keras.KerasTensor]], keras.KerasTensor]
"""(layer of the network, its inputs in the copy) to what stands for its output in the copy."""


_LEFT_OUT = (
    keras.layers.InputLayer,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
)


def rebuilt(
    model: keras.Model,
    start: keras.KerasTensor,
    source: keras.KerasTensor,
    wanted: Sequence[keras.KerasTensor],
    call: Call,
) -> list[keras.KerasTensor]:
    """Compute from `source` what a network computes from its tensor `start`.

    Parameters
    ----------
    wanted : tensors of the network that depend on nothing but `start`
    call : what to do at each layer between, in order

    Returns
    -------
    What `call` gave for the wanted tensors.
    """
    there = {id(start): source}
    for layer in model.layers:
        known = all(id(tensor) in there for tensor in inputs_of(layer))
        if known and not isinstance(layer, keras.layers.InputLayer):
            there[id(layer.output)] = call(layer, [there[id(each)] for each in inputs_of(layer)])
    return [there[id(tensor)] for tensor in wanted]


def copied(layer: keras.layers.Layer, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Call of a copy of the layer as it is."""
    return called(type(layer).from_config(layer.get_config()), inputs, layer.get_weights())


def folding(model: keras.Model, kinds: Mapping[Any, Any] | None = None) -> Call:
    """Make the call that folds each BatchNorm into the convolution before it and drops dropout.

    Parameters
    ----------
    model : the network to be rebuilt
    kinds : classes to replace by others that take the same configuration and weights
    """

    def call(layer: keras.layers.Layer, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        if isinstance(layer, _LEFT_OUT):
            return inputs[0]
        config, weights = layer.get_config(), layer.get_weights()
        behind = followers(model, layer)
        if len(behind) == 1 and isinstance(behind[0], keras.layers.BatchNormalization):
            config["use_bias"] = True
            weights = _folded_weights(layer, behind[0])
        kind = (kinds or {}).get(type(layer), type(layer))
        return called(kind.from_config(config), inputs, weights)

    return call


def called(
    layer: keras.layers.Layer,
    inputs: list[keras.KerasTensor],
    weights: list[npt.NDArray[np.float32]],
) -> keras.KerasTensor:
    """Call a layer and give it weights."""
    output = layer(inputs if len(inputs) > 1 else inputs[0])
    layer.set_weights(weights)
    return output


def followers(model: keras.Model, layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that read a layer's output."""
    return [
        other
        for other in model.layers
        if other is not layer and any(tensor is layer.output for tensor in inputs_of(other))
    ]


def inputs_of(layer: keras.layers.Layer) -> list[keras.KerasTensor]:
    """The tensors that a layer reads."""
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _folded_weights(
    layer: keras.layers.Layer, norm: keras.layers.BatchNormalization
) -> list[npt.NDArray[np.float32]]:
    """Kernel and bias of a convolution without a bias with the BatchNorm after it folded in."""
    (kernel,) = layer.get_weights()
    gamma, beta, mean, variance = norm.get_weights()
    scale = gamma / np.sqrt(variance + norm.epsilon)
    outputs = (1, 1, -1, 1) if isinstance(layer, DepthwiseConv) else (1, 1, 1, -1)
    return [kernel * scale.reshape(outputs), beta - mean * scale]
