import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from crydistill.student.norm import BatchNorm

PROGRAM = """
import sys
import keras
import numpy as np
from crydistill.student.norm import BatchNorm

x = np.random.default_rng(0).normal(2, 3, (8, 6, 4, 16)).astype(np.float32)
layer = BatchNorm()
y = layer(x, training=True)
print(np.round(keras.ops.convert_to_numpy(y).ravel()[:5], 4).tolist())
print(np.round(keras.ops.convert_to_numpy(layer.moving_mean.value)[:5], 4).tolist())
print(np.round(keras.ops.convert_to_numpy(layer.moving_variance.value)[:5], 3).tolist())
"""


def test_is_keras_own_layer_elsewhere() -> None:
    x = np.random.default_rng(0).normal(2, 3, (8, 6, 4, 16)).astype(np.float32)
    ours, theirs = BatchNorm(), keras.layers.BatchNormalization()
    for training in (True, False):
        np.testing.assert_array_equal(
            np.asarray(ours(x, training=training)), np.asarray(theirs(x, training=training))
        )


def test_pytorch_normalises_alike() -> None:
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

    assert printed("torch") == printed("tensorflow")
