from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from tests.student_fixtures import seeded_model, stirred, synthetic_patches

from crydistill.distill.losses import sigmoid_bce
from crydistill.distill.step import training_step
from crydistill.errors import ConfigError
from crydistill.quantize.int8 import quantize_ptq
from crydistill.quantize.qat import (
    CUSTOM_OBJECTS,
    Rounded,
    fake_quantized,
    without_fake_quantization,
)
from crydistill.student.crynet import crynet

PATCHES = synthetic_patches()


@pytest.fixture(scope="module")
def residual() -> keras.Model:
    keras.utils.set_random_seed(0)
    return stirred(crynet(outputs=5, stem=16, stages=((16, 2), (32, 2)), dropout=0.2))


@pytest.fixture(scope="module")
def rounding(residual: keras.Model) -> keras.Model:
    return fake_quantized(residual, PATCHES)


def logits(model: keras.Model) -> np.ndarray:
    return np.asarray(model.predict(PATCHES[..., None], verbose=0))


def test_folding_changes_nothing(residual: keras.Model, rounding: keras.Model) -> None:
    free = without_fake_quantization(rounding)
    np.testing.assert_allclose(logits(free), logits(residual), rtol=1e-4, atol=1e-4)
    kinds = {type(layer) for layer in free.layers}
    assert keras.layers.BatchNormalization not in kinds
    assert all(kind.__module__.startswith("keras.") for kind in kinds)


def test_rounding_shows_but_does_not_mislead(residual: keras.Model, rounding: keras.Model) -> None:
    free, rounded = logits(residual), logits(rounding)
    error = np.abs(free - rounded).mean() / free.std()
    assert 1e-4 < error < 0.03


@pytest.mark.parametrize("architecture", ["residual", "reference"])
def test_rounds_where_and_as_the_converter_does(residual: keras.Model, architecture: str) -> None:
    """Every int8 tensor between input and logits has its scale, and no other is rounded."""
    model = residual if architecture == "residual" else seeded_model()
    rounding = fake_quantized(model, PATCHES)
    ours = [layer.step for layer in rounding.layers if isinstance(layer, Rounded)]
    interpreter = Interpreter(
        model_content=quantize_ptq(without_fake_quantization(rounding), PATCHES)
    )
    made = [place for op in interpreter._get_ops_details() for place in op["outputs"]]
    places = [interpreter.get_input_details()[0]["index"], *made[:-1]]
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    theirs = [details[place]["quantization"][0] for place in places]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_zero_stays_zero_and_there_are_256_steps() -> None:
    layer = Rounded(-1.3, 4.2)
    values = np.linspace(-3, 6, 10_001, dtype=np.float32)
    found = keras.ops.convert_to_numpy(layer(values))
    assert keras.ops.convert_to_numpy(layer(np.zeros(1, dtype=np.float32)))[0] == 0
    assert len(np.unique(np.round(found / layer.step))) == 256
    inside = (values > found.min()) & (values < found.max())
    assert np.abs(found - values)[inside].max() <= layer.step * 0.501


def test_it_trains_through_the_rounding(residual: keras.Model) -> None:
    model = fake_quantized(residual, PATCHES)
    optimizer = keras.optimizers.AdamW(1e-3)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, loss=sigmoid_bce(), jit_compile=False)
    step = training_step(model, sigmoid_bce())
    before = model.get_weights()
    targets = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
    losses = [float(step(PATCHES[:64, ..., None], targets)) for _ in range(20)]
    assert losses[-1] < 0.95 * losses[0]
    moved = [np.abs(a - b).max() > 0 for a, b in zip(before, model.get_weights(), strict=True)]
    assert all(moved)


def test_a_checkpoint_comes_back(rounding: keras.Model, tmp_path: Path) -> None:
    rounding.save(tmp_path / "best.keras")
    again = keras.saving.load_model(
        tmp_path / "best.keras", custom_objects=CUSTOM_OBJECTS, compile=False
    )
    np.testing.assert_array_equal(logits(again), logits(rounding))


def test_an_unknown_layer_is_refused(residual_model: keras.Model) -> None:
    with pytest.raises(ConfigError, match=r"training\.qat: cannot quantize a Zero"):
        fake_quantized(residual_model, PATCHES)
