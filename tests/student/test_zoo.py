import pytest
from tests.student_fixtures import stirred, synthetic_patches

from crydistill.errors import ConfigError
from crydistill.quantize.int8 import quantize_ptq
from crydistill.quantize.qat import fake_quantized
from crydistill.student import zoo
from crydistill.student.heads import cut
from crydistill.tflite.check import inspect_tflite


@pytest.mark.parametrize("name", sorted(zoo.ARCHITECTURES))
def test_every_architecture_maps_patches_to_logits(name: str) -> None:
    model = zoo.build(name)
    assert model.input_shape == (None, 96, 64, 1)
    assert model.output_shape == (None, 521)


@pytest.mark.parametrize("name", sorted(zoo.ARCHITECTURES))
def test_every_architecture_can_be_cut_to_outputs_of_its_own(name: str) -> None:
    assert cut(zoo.build(name, outputs=5), 1).output_shape == (None, 1)


@pytest.mark.parametrize("name", sorted(zoo.ARCHITECTURES))
def test_every_architecture_becomes_a_tflite_that_is_accepted(name: str) -> None:
    model = stirred(zoo.build(name, outputs=5))
    assert inspect_tflite(quantize_ptq(model, synthetic_patches())).output.shape == (1, 5)


@pytest.mark.parametrize("name", sorted(zoo.ARCHITECTURES))
def test_every_architecture_can_round_in_training(name: str) -> None:
    model = stirred(zoo.build(name, outputs=5))
    assert fake_quantized(model, synthetic_patches()).output_shape == (None, 5)


def test_options_reach_the_builder() -> None:
    assert zoo.build("dscnn", outputs=2).output_shape == (None, 2)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'resnet'.*one of .*dscnn"):
        zoo.build("resnet")


def test_unknown_option_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'dscnn': no option 'depth'; it has .*outputs"):
        zoo.build("dscnn", depth=3)
