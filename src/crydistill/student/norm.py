"""Batch normalisation that trains fast on either backend.

Keras writes it as a chain of elementwise operations. On a CPU these cost more than all
convolutions of a small student; PyTorch has one kernel for the lot.
"""

from typing import Any

import keras


class BatchNorm(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Keras's BatchNormalization over the last axis; trains with PyTorch's own kernel there."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training or keras.backend.backend() != "torch":
            return super().call(inputs, training=training, mask=mask)
        import torch

        # A patch has one channel, so that PyTorch cannot tell which of its two memory layouts it
        # has, and would go on in the slower one: channels last is twice as fast.
        inputs = inputs.contiguous()
        # Keras keeps the share of the old average, PyTorch asks for that of the new one.
        normed = torch.nn.functional.batch_norm(
            torch.movedim(inputs, -1, 1),
            self.moving_mean.value,
            self.moving_variance.value,
            self.gamma.value,
            self.beta.value,
            training=True,
            momentum=1 - self.momentum,
            eps=self.epsilon,
        )
        return torch.movedim(normed, 1, -1)


def plain(model: keras.Model) -> keras.Model:
    """Copy a model with Keras's own BatchNormalization, so that anybody can load the saved file."""

    def plain_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = keras.layers.BatchNormalization if isinstance(layer, BatchNorm) else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=plain_layer)
    copy.set_weights(model.get_weights())
    return copy


CUSTOM_OBJECTS = {"BatchNorm": BatchNorm}
"""What `keras.saving.load_model` must be told of to load a checkpoint of training."""
