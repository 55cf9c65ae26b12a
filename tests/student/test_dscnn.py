import keras
import numpy as np
import pytest

from crydistill.audio.mel import LogMel
from crydistill.student.dscnn import dscnn


def test_reference_student_has_80713_parameters() -> None:
    assert dscnn().count_params() == 80_713


def test_every_convolution_is_normalised_and_without_bias() -> None:
    model = dscnn()
    convolutions = [
        layer
        for layer in model.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D))
    ]
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert len(convolutions) == len(norms) == 9
    assert not any(layer.use_bias for layer in convolutions)


def test_stride_2_layers_see_even_sizes() -> None:
    for layer in dscnn().layers:
        if getattr(layer, "strides", (1, 1)) == (2, 2):
            assert [size % 2 for size in layer.input.shape[1:3]] == [0, 0], layer.name


def test_takes_patches_with_and_without_channel_axis(
    reference_model: keras.Model, patches: LogMel
) -> None:
    with_axis = np.asarray(reference_model(patches[:4, :, :, None]))
    assert with_axis.shape == (4, 521)
    np.testing.assert_array_equal(np.asarray(reference_model(patches[:4])), with_axis)


def test_outputs_are_logits(reference_model: keras.Model, patches: LogMel) -> None:
    logits = reference_model.predict(patches[:4], verbose=0)
    assert logits.min() < 0
    assert logits.max() > 1


@pytest.mark.parametrize("outputs", [1, 2])
def test_number_of_outputs_is_an_option(outputs: int) -> None:
    assert dscnn(outputs).output_shape == (None, outputs)
