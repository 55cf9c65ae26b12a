"""One training step: forward pass, backward pass and optimiser update on a batch.

On PyTorch, Keras's overhead around each layer (argument checks, casting, walking structures) takes
longer than the arithmetic of a small student on a small batch. There the layers' `call` methods run
directly, one after the other.
"""

import ctypes
import inspect
import sys
from collections.abc import Callable
from typing import Any, SupportsFloat

import keras
import numpy as np
import numpy.typing as npt

from crydistill.distill.losses import Loss
from crydistill.student.layers import on_torch

Floats = npt.NDArray[np.float32]

Step = Callable[[Floats, Floats], SupportsFloat]
"""(patches `[n, 96, 64, 1]`, targets `[n, k]`) to the batch's mean loss before the update.

On a GPU the loss is still being computed when the step returns; reading its value waits for it.
"""

_MALLOC_TRIM_THRESHOLD, _MALLOC_MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt`, from its manual page."""

_NEVER = 2**31 - 1


def training_step(model: keras.Model, loss: Loss, *, mixed: bool = False) -> Step:
    """Make the training step of a compiled model, a graph of layers with one input and one output.

    The optimiser's learning rate may change between steps.

    Parameters
    ----------
    loss : the one that the model was compiled with
    mixed : compute convolutions and products in bfloat16; weights, statistics, loss and optimiser
        stay in float32. bfloat16 has float32's range, so that no gradient has to be scaled.
    """
    if on_torch():
        _reuse_freed_memory()
        return _TorchStep(model, loss, mixed=mixed)
    if mixed:
        return _MixedKerasStep(model)
    return lambda patches, targets: float(model.train_on_batch(patches, targets))


def has_gpu() -> bool:
    """Whether the Keras backend sees a GPU."""
    if on_torch():
        import torch

        return bool(torch.cuda.is_available())
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _reuse_freed_memory() -> None:
    """Have the C library keep large blocks that were freed; elsewhere than with glibc nothing.

    By default it gives a batch's activations back to the system after each step, which then clears
    every page again.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MALLOC_MMAP_MAX, 0)
        mallopt(_MALLOC_TRIM_THRESHOLD, _NEVER)


class _MixedKerasStep:
    """Keras's own step, traced while the layers compute in bfloat16.

    The layers have that policy during the first step only, which makes the graph: a model that is
    validated or saved is one of float32, which the converter knows.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._traced = False

    def __call__(self, patches: Floats, targets: Floats) -> SupportsFloat:
        if self._traced:
            return float(self._model.train_on_batch(patches, targets))
        policies = [(layer, layer.dtype_policy) for layer in self._model.layers]
        try:
            for layer, _ in policies:
                layer.dtype_policy = "mixed_bfloat16"
            return float(self._model.train_on_batch(patches, targets))
        finally:
            for layer, policy in policies:
                layer.dtype_policy = policy
            self._traced = True


class _TorchStep:
    def __init__(self, model: keras.Model, loss: Loss, *, mixed: bool) -> None:
        self._model, self._loss, self._mixed = model, loss, mixed
        self._variables = model.trainable_variables
        self._tensors = [variable.value for variable in self._variables]
        self._calls = [
            _Call(layer) for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)
        ]

    def __call__(self, patches: Floats, targets: Floats) -> SupportsFloat:
        import torch

        for tensor in self._tensors:
            tensor.grad = None
        device = self._tensors[0].device
        with torch.autocast(device.type, torch.bfloat16, enabled=self._mixed):
            logits = self._forward(torch.from_numpy(patches).to(device)).float()
        loss = self._loss(torch.from_numpy(targets).to(device), logits).mean()
        loss.backward()
        with torch.no_grad():
            self._model.optimizer.apply([tensor.grad for tensor in self._tensors], self._variables)
        return loss.detach()  # type: ignore[no-any-return]

    def _forward(self, patches: Any) -> Any:
        values = {id(self._model.inputs[0]): patches}
        for call in self._calls:
            arguments = [values[tensor] for tensor in call.inputs]
            values[call.output] = call(arguments if call.takes_list else arguments[0])
        return values[id(self._model.outputs[0])]


class _Call:
    """A layer in its model: the tensors it reads and writes, and how to call it."""

    def __init__(self, layer: keras.layers.Layer) -> None:
        self.takes_list = isinstance(layer.input, list)
        self.inputs = [id(t) for t in (layer.input if self.takes_list else [layer.input])]
        self.output = id(layer.output)
        self._call = layer.call
        knows_training = "training" in inspect.signature(layer.call).parameters
        self._options = {"training": True} if knows_training else {}

    def __call__(self, argument: Any) -> Any:
        return self._call(argument, **self._options)
