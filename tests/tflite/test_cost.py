import keras

from crydistill.student.dscnn import BLOCKS, STEM_FILTERS
from crydistill.tflite.cost import layer_costs, layer_work, total_macs
from crydistill.tflite.file import read_tflite


def test_macs_of_the_reference_student(reference_tflite: bytes) -> None:
    # Height x width of the result x window x channels in x filters, layer by layer.
    height, width, channels = 48, 32, STEM_FILTERS
    expected = [height * width * 3 * 3 * 1 * STEM_FILTERS]
    for stride, filters in BLOCKS:
        height, width = height // stride, width // stride
        expected.append(height * width * 3 * 3 * channels)
        expected.append(height * width * channels * filters)
        channels = filters
    expected += [0, 128 * 521]
    layers = layer_costs(read_tflite(reference_tflite))
    assert [layer.macs for layer in layers] == expected
    assert total_macs(layers) == sum(expected) == 1_171_072


def test_weights_are_the_parameters_with_batchnorm_folded(
    reference_tflite: bytes, reference_model: keras.Model
) -> None:
    norms = [x for x in reference_model.layers if isinstance(x, keras.layers.BatchNormalization)]
    folded = sum(3 * layer.gamma.shape[0] for layer in norms)
    layers = layer_costs(read_tflite(reference_tflite))
    assert sum(layer.weights for layer in layers) == reference_model.count_params() - folded


def test_only_products_count(residual_tflite: bytes) -> None:
    costs = {layer.operator: layer for layer in layer_costs(read_tflite(residual_tflite))}
    for operator in ("PAD", "AVERAGE_POOL_2D", "ADD", "RESHAPE"):
        assert (costs[operator].macs, costs[operator].weights) == (0, 0)
    assert costs["FULLY_CONNECTED"].macs == 72 * 4
    assert costs["FULLY_CONNECTED"].weights == 72 * 4 + 4


def test_work_counts_rows_of_taps_and_what_is_read(residual_tflite: bytes) -> None:
    work = layer_work(read_tflite(residual_tflite))
    assert [layer.operator for layer in work].count("RESHAPE") == 0
    first = next(layer for layer in work if layer.operator == "CONV_2D")
    # 3x3 on one channel by eight filters: three rows of taps at each of their positions.
    assert (first.macs, first.rows) == (9 * first.outputs, 3 * first.outputs // 8)
    assert {layer.rows for layer in work if layer.operator in ("ADD", "FULLY_CONNECTED")} == {0}
    add = next(layer for layer in work if layer.operator == "ADD")
    assert (add.macs, add.reads) == (0, 2 * add.outputs)
