"""Students for tests: quantised once per session, shared by the tests of three rooms."""

from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from crydistill.audio.mel import SAMPLE_RATE, log_mel
from crydistill.audio.windows import WINDOW_SAMPLES, windows
from crydistill.quantize.int8 import quantize_ptq
from crydistill.student.dscnn import dscnn
from crydistill.student.manifest import (
    FrontEnd,
    Int8Calibration,
    ModelFile,
    Port,
    Provenance,
    StudentManifest,
    TeacherInfo,
    ThresholdPreset,
    TrainingData,
    save_manifest,
    sha256_of_ids,
)
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.interpreters import Float32


@cache
def synthetic_patches(count: int = 200, seed: int = 0) -> Float32:
    """Log-mel patches of chirps in noise, from silence to full scale."""
    rng = np.random.default_rng(seed)
    time = np.arange(WINDOW_SAMPLES) / SAMPLE_RATE
    patches = []
    for _ in range(count):
        low, sweep = rng.uniform(150, 3000), rng.uniform(-2000, 2000)
        tone = np.sin(2 * np.pi * (low * time + 0.5 * sweep * time**2))
        noise = rng.normal(size=WINDOW_SAMPLES) * 10 ** rng.uniform(-4, -0.5)
        audio = 10 ** rng.uniform(-4, 0) * tone + noise
        patches.append(windows(log_mel(audio.astype(np.float32)))[0])
    return np.stack(patches)


def seeded_model(outputs: int = 521, seed: int = 0) -> keras.Model:
    """The reference student, its normalisation and biases no longer those of a fresh network."""
    keras.utils.set_random_seed(seed)
    return stirred(dscnn(outputs), seed)


def stirred(model: keras.Model, seed: int = 0) -> keras.Model:
    """Give every BatchNorm and bias other than starting values."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, gamma.shape),
                    rng.normal(0, 0.3, beta.shape),
                    rng.normal(0, 0.3, mean.shape),
                    rng.uniform(0.3, 2, variance.shape),
                ]
            )
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, rng.normal(0, 1, bias.shape)])
    return model


@cache
def _reference_model() -> keras.Model:
    return seeded_model()


@cache
def _reference_tflite() -> bytes:
    return quantize_ptq(_reference_model(), synthetic_patches())


def residual_maps(patch: keras.KerasTensor) -> keras.KerasTensor:
    """Maps `[24, 16, 8]` of a patch, by operators that the reference student does not use."""
    layers = keras.layers
    x = layers.ZeroPadding2D(1)(patch)
    x = layers.Conv2D(8, 3, 2, activation="relu")(x)
    x = layers.AveragePooling2D(2)(x)
    y = layers.DepthwiseConv2D(3, 1, "same", activation="relu6")(x)
    return layers.ReLU()(layers.Add()([x, layers.Conv2D(8, 1)(y)]))


@cache
def _residual_model() -> keras.Model:
    """A small network with the operators that the reference student does not use."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    patch = keras.Input((96, 64, 1))
    x = residual_maps(patch)
    x = layers.AveragePooling2D((6, 4))(x)
    x = layers.Conv2D(8, 3, 2)(layers.Reshape((8, 8, 2))(x))
    return stirred(keras.Model(patch, layers.Dense(4)(layers.Flatten()(x))))


@cache
def _residual_tflite() -> bytes:
    return quantize_ptq(_residual_model(), synthetic_patches())


def manifest_for(tflite: bytes, **changes: Any) -> StudentManifest:
    """Return a manifest that fits a `.tflite` with YAMNet's outputs, with some fields changed."""
    facts = inspect_tflite(tflite)
    fields: dict[str, Any] = {
        "name": "test",
        "architecture": "dscnn",
        "tflite": ModelFile(sha256=facts.sha256, size_bytes=facts.size_bytes),
        "front_end": FrontEnd(),
        "input": Port(**vars(facts.input)),
        "output": Port(**vars(facts.output)),
        "activation": "softmax",
        "outputs": "yamnet-521",
        "cry_outputs": (19, 20),
        "ops": facts.ops,
        "macs": facts.macs,
        "parameters": 80_713,
        "arena": None,
        "presets": {"default": ThresholdPreset(threshold=0.1, n=5, m=9, hold_seconds=10)},
        "training": TrainingData(summary="none", licences={}, private=False),
        "teacher": TeacherInfo(name="none", sha256="0" * 64),
        "calibration": Int8Calibration(
            corpus="synthetic", split="train", windows=2, ids_sha256=sha256_of_ids("ab")
        ),
        "provenance": Provenance(
            package_version="0", git_commit=None, config_sha256="0" * 64, seed=0
        ),
    }
    return StudentManifest(**(fields | changes))


@pytest.fixture(scope="session")
def patches() -> Float32:
    """200 synthetic log-mel patches, `[200, 96, 64]`."""
    return synthetic_patches()


@pytest.fixture(scope="session")
def reference_model() -> keras.Model:
    """The reference student, not trained."""
    return _reference_model()


@pytest.fixture(scope="session")
def reference_tflite() -> bytes:
    """The same, quantised."""
    return _reference_tflite()


@pytest.fixture(scope="session")
def residual_model() -> keras.Model:
    """A network with every allowed operator but MEAN, not trained."""
    return _residual_model()


@pytest.fixture(scope="session")
def residual_tflite() -> bytes:
    """The same, quantised."""
    return _residual_tflite()


@pytest.fixture
def student_dir(tmp_path: Path, reference_tflite: bytes) -> Path:
    """A directory with `student.tflite` and `student.json`."""
    (tmp_path / "student.tflite").write_bytes(reference_tflite)
    save_manifest(tmp_path / "student.json", manifest_for(reference_tflite))
    return tmp_path
