"""Students for tests: quantised once per session, shared by the tests of three rooms."""

from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from crydistill.audio.mel import SAMPLE_RATE, log_mel
from crydistill.audio.windows import WINDOW_SAMPLES, windows
from crydistill.device.c_tables import PCM_FULL_SCALE
from crydistill.quantize.int8 import quantize_ptq
from crydistill.student import memory
from crydistill.student.dscnn import dscnn
from crydistill.student.manifest import (
    FrontEnd,
    Int8Calibration,
    Memory,
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
from crydistill.synthesis.nursery import compose, cry_share, render
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


MEMORY_WINDOWS, EMBEDDING = 4, 6
"""Memory of the test student: how many windows, and how many numbers of each."""


@cache
def nursery_sounds() -> tuple[tuple[npt.NDArray[np.int16], Float32], ...]:
    """Some synthetic cries, then one other sound of each kind; and how much of each is crying."""
    clips = compose(0)
    cries = [clip for clip in clips if clip.cries][:4]
    others = {clip.category: clip for clip in clips if not clip.cries}
    return tuple(
        (render(clip), cry_share(clip).astype(np.float32)) for clip in (*cries, *others.values())
    )


@cache
def _nursery_patches() -> tuple[Float32, ...]:
    return tuple(windows(log_mel(pcm / np.float32(PCM_FULL_SCALE))) for pcm, _ in nursery_sounds())


@cache
def _memory_model() -> keras.Model:
    """A small network from [log_mel, memory] to [logits, memory] that hears crying.

    Its weights are random but for what linear fits can teach it in no time: the direction in which
    the maps of cries lie, around which the embeddings are drawn, and the weights of the logit.
    """
    keras.utils.set_random_seed(2)
    rng = np.random.default_rng(2)
    patch = keras.Input((96, 64, 1))
    maps = keras.layers.Conv2D(24, (4, 16), (4, 1), activation="relu")(residual_maps(patch))
    features = keras.layers.GlobalAveragePooling2D()(maps)
    shape = memory.Memory(MEMORY_WINDOWS, EMBEDDING, hidden=12)
    model = memory.on_streams(
        keras.Model(patch, keras.layers.Dense(1)(features)), shape, 1, joint=True
    )
    pooled = keras.Model(patch, features)
    streams = [np.asarray(pooled(patches[..., None])) for patches in _nursery_patches()]
    every = np.concatenate(streams)
    crying = np.concatenate([share for _, share in nursery_sounds()])

    cry, _ = _linear_fit(every, crying)
    directions = _of_unit_spread(every, cry[:, None]) * [1, 1, 1, -1, 0.5, -0.5]
    directions += 0.7 * _of_unit_spread(every, rng.normal(size=(len(cry), EMBEDDING)))
    offsets = rng.uniform(-0.7, 0.7, EMBEDDING) - every.mean(axis=0) @ directions
    kernel = rng.normal(0, 0.4, (MEMORY_WINDOWS + 1, EMBEDDING, shape.hidden))
    biases = rng.normal(0, 0.3, shape.hidden)
    hidden = [_remembering(np.maximum(x @ directions + offsets, 0), kernel) for x in streams]
    weights, bias = _linear_fit(
        np.maximum(np.concatenate(hidden) + biases, 0), np.where(crying > 0.3, 3.0, -5.0)
    )
    model.get_layer(memory.EMBEDDING).set_weights([directions, offsets])
    model.get_layer(memory.HIDDEN).set_weights([kernel, biases])
    model.get_layer(memory.OUTPUT).set_weights([weights[:, None], np.array([bias])])
    return memory.with_state(model, shape)


def _remembering(embedded: Any, kernel: Any) -> Any:
    """Causal convolution of a stream's embeddings `[n, size]`, from an empty memory."""
    padded = np.pad(embedded, ((len(kernel) - 1, 0), (0, 0)))
    heard = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=0)
    return np.einsum("nst,tsh->nh", heard, kernel)


def _of_unit_spread(features: Any, directions: Any) -> Any:
    return directions / (features @ directions).std(axis=0)


def _linear_fit(features: Any, target: Any) -> tuple[Any, Any]:
    """Weights and bias by ridge regression."""
    mean, ridge = features.mean(axis=0), 0.1 * len(features) * features.var()
    centred = features - mean
    gram = centred.T @ centred + ridge * np.eye(len(mean))
    weights = np.linalg.solve(gram, centred.T @ (target - target.mean()))
    return weights, target.mean() - mean @ weights


@cache
def memory_student() -> bytes:
    """A small student with memory and every allowed operator, quantised."""
    patches = np.concatenate([*_nursery_patches(), synthetic_patches()[:40]])
    return quantize_ptq(_memory_model(), patches)


def manifest_for(tflite: bytes, **changes: Any) -> StudentManifest:
    """Return a manifest that fits a `.tflite`, with some fields changed.

    With more than one output it has YAMNet's; the only one of a student is its own.
    """
    facts = inspect_tflite(tflite)
    own: dict[str, Any] = {
        "activation": "sigmoid",
        "outputs": ("cry",),
        "cry_outputs": (0,),
        "presets": {
            "sensitive": ThresholdPreset(threshold=0.3, n=1, m=1, hold_seconds=10),
            "balanced": ThresholdPreset(threshold=0.5, n=2, m=3, hold_seconds=10),
            "quiet": ThresholdPreset(threshold=0.7, n=3, m=5, hold_seconds=10),
        },
    }
    fields: dict[str, Any] = {
        "name": "test",
        "architecture": "dscnn",
        "tflite": ModelFile(sha256=facts.sha256, size_bytes=facts.size_bytes),
        "front_end": FrontEnd(),
        "input": Port(**vars(facts.input)),
        "output": Port(**vars(facts.output)),
        "memory": Memory.of(**vars(facts.memory)) if facts.memory else None,
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
        "memory_teacher": TeacherInfo(name="one, 5 s", sha256="1" * 64) if facts.memory else None,
        "calibration": Int8Calibration(
            corpus="synthetic", split="train", windows=2, ids_sha256=sha256_of_ids("ab")
        ),
        "provenance": Provenance(
            package_version="0", git_commit=None, config_sha256="0" * 64, seed=0
        ),
    }
    fields |= own if facts.output.shape[-1] == 1 else {}
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


@pytest.fixture(scope="session")
def memory_model() -> keras.Model:
    """A network with memory, not trained."""
    return _memory_model()


@pytest.fixture(scope="session")
def memory_tflite() -> bytes:
    """The same, quantised."""
    return memory_student()


@pytest.fixture
def student_dir(tmp_path: Path, reference_tflite: bytes) -> Path:
    """A directory with `student.tflite` and `student.json`."""
    return _written(tmp_path, reference_tflite)


@pytest.fixture
def memory_dir(tmp_path: Path, memory_tflite: bytes) -> Path:
    """The same of the student with memory."""
    return _written(tmp_path / "with memory", memory_tflite)


def _written(folder: Path, tflite: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "student.tflite").write_bytes(tflite)
    save_manifest(folder / "student.json", manifest_for(tflite))
    return folder
