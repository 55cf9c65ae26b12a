import sys
from collections.abc import Callable

import keras
import numpy as np
import pytest
from tests.student_fixtures import seeded_model, synthetic_patches

from crydistill.audio.mel import LogMel
from crydistill.errors import ConfigError, MissingExtraError, ModelError
from crydistill.quantize.int8 import quantize_ptq
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.file import OPERATOR_KINDS
from crydistill.tflite.interpreters import LiteRt, dequantize, quantize


def test_reference_student_fits_its_budget(reference_tflite: bytes) -> None:
    assert len(reference_tflite) <= 100_608


def test_int8_from_end_to_end(reference_tflite: bytes) -> None:
    facts = inspect_tflite(reference_tflite, aligned=True)
    assert facts.input.shape == (1, 96, 64, 1)
    assert facts.output.shape == (1, 521)
    assert facts.ops == {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 1, "MEAN": 1}
    # All parameters but BatchNorm's four per channel, which fold into one bias.
    assert facts.weights == 80_713 - 4 * 368 + 368


def test_same_model_and_patches_give_the_same_bytes(reference_tflite: bytes) -> None:
    # Built again: Keras numbers the layers of later models differently.
    assert quantize_ptq(seeded_model(), synthetic_patches()) == reference_tflite


def test_calibration_sets_the_input_range(reference_model: keras.Model, patches: LogMel) -> None:
    facts = inspect_tflite(quantize_ptq(reference_model, patches[:1]))
    lowest, highest = patches[0].min(), patches[0].max()
    width = max(highest, 0) - min(lowest, 0)
    assert facts.input.scale == pytest.approx(width / 255, rel=1e-4)


def test_residual_network_follows_its_float_original(
    residual_model: keras.Model, residual_tflite: bytes, patches: LogMel
) -> None:
    facts = inspect_tflite(residual_tflite)
    # So that every test of this network tests each operator; MEAN is the reference student's, the
    # other two the student's with memory.
    elsewhere = {"MEAN", "CONCATENATION", "STRIDED_SLICE"}
    assert set(facts.ops) == {kind.name for kind in OPERATOR_KINDS.values()} - elsewhere
    steps = LiteRt(residual_tflite).run(
        quantize(patches, facts.input.scale, facts.input.zero_point)
    )
    logits = dequantize(steps, facts.output.scale, facts.output.zero_point)
    expected = residual_model.predict(patches, verbose=0)
    assert np.abs(logits - expected).mean() < 3 * facts.output.scale


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p[:0], "at least one"),
        (lambda p: p[:, :, :32], r"\[n, 96, 64\]"),
        (lambda p: p[..., None], r"\[n, 96, 64\]"),
        (lambda p: np.full_like(p, np.nan), "NaN"),
    ],
)
def test_refuses_odd_calibration_patches(
    reference_model: keras.Model, patches: LogMel, spoil: Callable[[LogMel], LogMel], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        quantize_ptq(reference_model, spoil(patches[:2]))


def test_refuses_a_network_with_its_activation_inside(patches: LogMel) -> None:
    patch = keras.Input((96, 64, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, 2)(patch))
    model = keras.Model(patch, keras.layers.Dense(2, activation="softmax")(x))
    with pytest.raises(ModelError, match="operator SOFTMAX is not one of"):
        quantize_ptq(model, patches[:2])


def test_refuses_a_network_of_another_input(patches: LogMel) -> None:
    patch = keras.Input((32, 32, 3))
    model = keras.Model(patch, keras.layers.GlobalAveragePooling2D()(patch), name="photo")
    with pytest.raises(ModelError, match="cannot convert 'photo'") as caught:
        quantize_ptq(model, patches[:2])
    assert "\n" not in str(caught.value)


def test_needs_tensorflow(
    monkeypatch: pytest.MonkeyPatch, reference_model: keras.Model, patches: LogMel
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        quantize_ptq(reference_model, patches[:2])


def test_needs_the_tensorflow_backend(
    monkeypatch: pytest.MonkeyPatch, reference_model: keras.Model, patches: LogMel
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ConfigError, match="KERAS_BACKEND"):
        quantize_ptq(reference_model, patches[:2])


def test_converter_is_quiet(
    capfd: pytest.CaptureFixture[str], reference_model: keras.Model, patches: LogMel
) -> None:
    quantize_ptq(reference_model, patches[:2])
    assert capfd.readouterr() == ("", "")
