import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from crydistill.student.layers import BatchNorm

PROGRAM = """
import keras
import numpy as np
from crydistill.student.layers import BatchNorm, Conv, DepthwiseConv

rng = np.random.default_rng(0)
x = rng.normal(2, 3, (8, 12, 6, 16)).astype(np.float32)

def show(values, digits):
    print(np.round(keras.ops.convert_to_numpy(values).ravel()[:5], digits).tolist())

layer = BatchNorm()
show(layer(x, training=True), 4)
show(layer.moving_mean.value, 4)
show(layer.moving_variance.value, 3)
for size in (x, x[:, :11, :5], x[..., :1]):
    for layer in (
        Conv(8, 3, 2, "same", use_bias=False),
        Conv(8, 7, 4, "same", use_bias=False),
        Conv(8, 1, use_bias=False),
        DepthwiseConv(3, 2, "same", use_bias=False),
        DepthwiseConv(5, 1, "same", use_bias=False),
        DepthwiseConv(3, 1, use_bias=False),
    ):
        layer.build(size.shape)
        layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
        y = layer(size)
        print(y.shape[1:] == layer.compute_output_shape(size.shape)[1:])
        show(y, 3)
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow's kernel")
@pytest.mark.parametrize("shape", [(8, 6, 4, 16), (1, 1, 2, 3)])
def test_tensorflows_kernel_learns_what_keras_own_layer_does(shape: tuple[int, ...]) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(2, 3, shape), tf.float32)
    wanted = tf.constant(rng.normal(size=shape), tf.float32)
    found = []
    for layer in (BatchNorm(), keras.layers.BatchNormalization()):
        layer.build(shape)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=True) * wanted)
        found.append(
            [
                loss,
                *layer.get_weights(),
                *tape.gradient(loss, [x, layer.gamma.value, layer.beta.value]),
            ]
        )
        found[-1].append(layer(x, training=False))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_frozen_layer_is_keras_own() -> None:
    x = np.random.default_rng(0).normal(2, 3, (8, 6, 4, 16)).astype(np.float32)
    ours, theirs = BatchNorm(trainable=False), keras.layers.BatchNormalization(trainable=False)
    np.testing.assert_array_equal(
        np.asarray(ours(x, training=True)), np.asarray(theirs(x, training=True))
    )


def test_pytorch_calculates_alike() -> None:
    pytest.importorskip("torch", reason="PyTorch, an optional second backend, is not installed")

    def printed(backend: str) -> str:
        environment = {**os.environ, "KERAS_BACKEND": backend}
        return subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    ours, theirs = printed("torch").splitlines(), printed("tensorflow").splitlines()
    assert len(ours) == len(theirs) == 39
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(json.loads(one.lower()), json.loads(other.lower()), atol=2e-3)
