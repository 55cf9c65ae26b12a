"""The C engine against Google's TFLite Micro interpreter: bit for bit."""

import keras
import numpy as np
import pytest
from tests.device.conftest import non_persistent_bytes
from tests.firmware.programs import Program, build, need
from tests.student_fixtures import manifest_for, stirred, synthetic_patches

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import WINDOW_FRAMES
from crydistill.device.c_arena import plan_arena
from crydistill.quantize.int8 import quantize_ptq
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.file import read_tflite
from crydistill.tflite.interpreters import Int8, TfliteMicro, quantize

pytest.importorskip("tflite_micro", reason="needs Google's TFLite Micro interpreter")

ARENA = 1 << 20
COMPARED = 1_000


def int8_patches(tflite: bytes, count: int = COMPARED) -> Int8:
    """Audio, noise over the whole int8 range, and drifts along time and bands."""
    port, rng = inspect_tflite(tflite).input, np.random.default_rng(0)
    audio = quantize(synthetic_patches(count * 3 // 5), port.scale, port.zero_point)
    noise = rng.integers(-128, 128, (count // 5, WINDOW_FRAMES, MEL_BANDS))
    rest = count - len(audio) - len(noise)
    along_time = np.cumsum(rng.normal(0, 30, (rest, WINDOW_FRAMES, 1)), axis=1)
    along_bands = np.cumsum(rng.normal(0, 30, (rest, 1, MEL_BANDS)), axis=2)
    drift = np.abs((along_time + along_bands) % 510 - 255) - 128  # reflected at both ends
    return np.concatenate([audio, noise.astype(np.int8), drift.astype(np.int8)])


def assert_equals_tflite_micro(program: Program, tflite: bytes, count: int = COMPARED) -> None:
    windows = int8_patches(tflite, count)
    outputs = inspect_tflite(tflite).output.shape[-1]
    expected = TfliteMicro(tflite, ARENA).run(windows)
    assert len(expected) == count
    # A network with constant output would hide every difference.
    assert len(np.unique(expected, axis=0)) > count * 3 // 4
    np.testing.assert_array_equal(program.network(windows, outputs), expected)


def test_student(program: Program, student_tflite: bytes) -> None:
    assert_equals_tflite_micro(program, student_tflite)


def test_student_under_sanitizers(sanitized: Program, student_tflite: bytes) -> None:
    assert_equals_tflite_micro(sanitized, student_tflite, 100)


def test_student_under_emulation(emulated: Program, student_tflite: bytes) -> None:
    assert_equals_tflite_micro(emulated, student_tflite, 20)


def test_residual_network(residual_tflite: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """PAD, AVERAGE_POOL_2D, ADD, RESHAPE, RELU6."""
    assert_equals_tflite_micro(_small(residual_tflite, tmp_path_factory), residual_tflite)


def test_unusual_layers(tmp_path_factory: pytest.TempPathFactory) -> None:
    tflite = quantize_ptq(unusual_model(), synthetic_patches())
    assert_equals_tflite_micro(_small(tflite, tmp_path_factory), tflite)


@pytest.mark.parametrize("seed", range(3))
def test_random_residual_networks(
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """ADD over one and several layers, kernels square and oblong; no more arena than TFLM's."""
    tflite = quantize_ptq(random_residual_model(seed), synthetic_patches())
    assert inspect_tflite(tflite).ops["ADD"] >= 2
    assert plan_arena(read_tflite(tflite)).size <= non_persistent_bytes(tflite, capfd)
    assert_equals_tflite_micro(_small(tflite, tmp_path_factory), tflite)


def random_residual_model(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    rng, layers = np.random.default_rng(seed), keras.layers
    kernels = [(3, 3), (5, 5), (1, 3), (3, 1), (5, 1)]
    patch = keras.Input((WINDOW_FRAMES, MEL_BANDS, 1))
    channels = int(rng.choice([8, 12, 16]))
    x = layers.Conv2D(channels, 3, 2, "same", activation="relu")(patch)
    x = layers.AveragePooling2D(2)(x)
    for _ in range(3):
        y = x
        for _ in range(int(rng.integers(1, 3))):
            kernel = kernels[int(rng.integers(len(kernels)))]
            y = layers.DepthwiseConv2D(kernel, padding="same", use_bias=False)(y)
            y = layers.ReLU(6)(layers.BatchNormalization()(y))
            y = layers.BatchNormalization()(layers.Conv2D(channels, 1, use_bias=False)(y))
        x = layers.Add()([x, y] if rng.random() < 0.5 else [y, x])
        x = layers.ReLU()(x) if rng.random() < 0.5 else x
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(24, 1, activation="relu")(x))
    return stirred(keras.Model(patch, layers.Dense(12)(x)), seed)


def unusual_model() -> keras.Model:
    """Dilations, depth multipliers, odd sizes and padding, pooling at the edge."""
    keras.utils.set_random_seed(2)
    layers = keras.layers
    patch = keras.Input((WINDOW_FRAMES, MEL_BANDS, 1))
    x = layers.DepthwiseConv2D((5, 4), 3, "same", depth_multiplier=6, activation="relu6")(patch)
    x = layers.Conv2D(5, (3, 2), dilation_rate=2, padding="valid")(x)
    y = layers.DepthwiseConv2D(3, dilation_rate=(3, 2), padding="same", use_bias=False)(x)
    x = layers.Add()([layers.Conv2D(5, 1, activation="relu")(y), x])
    x = layers.AveragePooling2D((3, 5), 2, "same")(x)
    x = layers.ReLU()(layers.Conv2D(7, 4, 3, "same")(layers.ZeroPadding2D(((2, 0), (1, 3)))(x)))
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Flatten()(layers.Conv2D(9, 1)(x))
    return stirred(keras.Model(patch, layers.Dense(3, activation=None)(x)), 2)


def _small(tflite: bytes, tmp_path_factory: pytest.TempPathFactory) -> Program:
    need("make", "gcc")
    outputs = inspect_tflite(tflite).output.shape[-1]
    names = tuple(f"class {i}" for i in range(outputs))
    manifest = manifest_for(tflite, outputs=names, cry_outputs=(0,))
    return build("sanitize", tflite, manifest, tmp_path_factory.mktemp("small"), CC="gcc")
