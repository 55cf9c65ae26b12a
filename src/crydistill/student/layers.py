"""Keras layers that train fast on either backend; saved students use stock layers (`plain`).

For a small student on a CPU, Keras's overhead around the backend's kernels costs more than the
arithmetic: batch normalisation is a chain of elementwise operations, and on PyTorch each
convolution copies its input to channels first and back.
"""

from typing import Any

import keras


def on_torch() -> bool:
    """Whether PyTorch is the Keras backend."""
    return bool(keras.backend.backend() == "torch")


class BatchNorm(keras.layers.BatchNormalization):  # type: ignore[misc]
    """BatchNormalization of `[n, h, w, c]` over the last axis; trains with the backend's kernel."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training or not self.trainable:
            return super().call(inputs, training=training, mask=mask)
        if on_torch():
            return self._on_torch(inputs)
        # In bfloat16, Keras takes care that the statistics are of float32.
        if keras.backend.backend() == "tensorflow" and inputs.dtype == "float32":
            return self._on_tensorflow(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _on_tensorflow(self, inputs: Any) -> Any:
        import tensorflow as tf

        kernel = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.size(inputs) / tf.size(self.gamma), tf.float32)
        variance = kernel.batch_variance * (count - 1) / count  # Keras averages the biased one
        for average, new in (
            (self.moving_mean, kernel.batch_mean),
            (self.moving_variance, variance),
        ):
            average.assign(average * self.momentum + new * (1 - self.momentum))
        return kernel.y

    def _on_torch(self, inputs: Any) -> Any:
        import torch

        # Keras's momentum weighs the old average, PyTorch's the new value.
        normed = torch.nn.functional.batch_norm(
            _channels_first(inputs),
            self.moving_mean.value,
            self.moving_variance.value,
            self.gamma.value,
            self.beta.value,
            training=True,
            momentum=1 - self.momentum,
            eps=self.epsilon,
        )
        return torch.movedim(normed, 1, -1)


class Conv(keras.layers.Conv2D):  # type: ignore[misc]
    """Conv2D, channels last; on PyTorch without Keras's layout copies."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        if not on_torch():
            return super().convolution_op(inputs, kernel)
        filters = keras.ops.convert_to_tensor(kernel).permute(3, 2, 0, 1)
        return _convolution(inputs, filters, self.strides, self.padding)


class DepthwiseConv(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """DepthwiseConv2D, channels last; on PyTorch without Keras's layout copies."""

    def call(self, inputs: Any) -> Any:
        outputs = self.depthwise_op(inputs, self.kernel)
        return outputs + self.bias if self.use_bias else outputs

    def depthwise_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve each channel of `[n, h, w, c]` with its own kernel, `[kh, kw, c, 1]`."""
        if not on_torch():
            return keras.ops.depthwise_conv(
                inputs, kernel, self.strides, self.padding, data_format="channels_last"
            )
        filters = keras.ops.convert_to_tensor(kernel).permute(2, 3, 0, 1)
        return _convolution(inputs, filters, self.strides, self.padding, inputs.shape[-1])


def _convolution(
    inputs: Any, filters: Any, strides: tuple[int, int], padding: str, groups: int = 1
) -> Any:
    """Convolve `[n, h, w, c]` with `[out, c / groups, kh, kw]`, padded as TensorFlow does."""
    import torch

    if padding == "same":
        pads = []
        for size, kernel, stride in zip(
            inputs.shape[2:0:-1], filters.shape[:1:-1], strides[::-1], strict=True
        ):
            total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            pads += [total // 2, total - total // 2]
        even = pads[0] == pads[1] and pads[2] == pads[3]
    else:
        pads, even = [0, 0, 0, 0], True
    if not even:
        inputs = torch.nn.functional.pad(inputs, (0, 0, *pads))
    convolved = torch.nn.functional.conv2d(
        _channels_first(inputs),
        filters.contiguous(memory_format=torch.channels_last),
        stride=strides,
        padding=(pads[2], pads[0]) if even else 0,
        groups=groups,
    )
    return torch.movedim(convolved, 1, -1)


def _channels_first(inputs: Any) -> Any:
    """View the same memory as `[n, c, h, w]`.

    A patch has one channel, so PyTorch cannot tell which memory layout it is in and would continue
    in the slower one; channels last is twice as fast.
    """
    import torch

    return torch.movedim(inputs.contiguous(), -1, 1)


CUSTOM_OBJECTS = {layer.__name__: layer for layer in (BatchNorm, Conv, DepthwiseConv)}
"""`custom_objects` that `keras.saving.load_model` needs to load a training checkpoint."""

_PLAIN = {
    BatchNorm: keras.layers.BatchNormalization,
    Conv: keras.layers.Conv2D,
    DepthwiseConv: keras.layers.DepthwiseConv2D,
}


def plain(model: keras.Model) -> keras.Model:
    """Copy a model with stock Keras layers, so that anybody can load the saved file."""

    def plain_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        return _PLAIN.get(type(layer), type(layer)).from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=plain_layer)
    copy.set_weights(model.get_weights())
    return copy
