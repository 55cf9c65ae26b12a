import keras
import numpy as np
import pytest

from crydistill.student.crynet import crynet


def test_layers_follow_the_rules_of_the_fast_kernels() -> None:
    """Channels in multiples of 16, even sizes before stride 2, stride 1 in 1x1 convolutions."""
    for layer in crynet().layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            if layer.strides == (2, 2):
                assert [size % 2 for size in layer.input.shape[1:3]] == [0, 0], layer.name
            if layer.kernel_size == (1, 1):
                assert layer.strides == (1, 1)
            assert layer.output.shape[-1] % 16 == 0
            assert not layer.use_bias


def test_blocks_that_keep_their_shape_have_a_shortcut() -> None:
    model = crynet(stages=((32, 1), (64, 3), (64, 1)))
    added = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert added == ["stage2_block2_add", "stage2_block3_add"]


@pytest.mark.parametrize("kernel", [3, 5])
def test_options_shape_the_network(kernel: int) -> None:
    model = crynet(2, stem=32, stages=[[32, 1], [48, 1]], kernel=kernel, dropout=0.1)
    assert model.get_layer("stem").filters == 32
    assert model.get_layer("stage2_block1_depthwise").kernel_size == (kernel, kernel)
    assert model.get_layer("pool").input.shape == (None, 12, 8, 48)
    assert model.output_shape == (None, 2)


def test_dropout_is_for_training_only() -> None:
    model = crynet(1, dropout=0.5)
    patch = np.random.default_rng(0).standard_normal((2, 96, 64, 1)).astype(np.float32)
    first, second = (np.asarray(model(patch, training=False)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
