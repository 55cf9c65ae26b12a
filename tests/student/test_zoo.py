import pytest

from crydistill.errors import ConfigError
from crydistill.student import zoo


@pytest.mark.parametrize("name", sorted(zoo.ARCHITECTURES))
def test_every_architecture_maps_patches_to_logits(name: str) -> None:
    model = zoo.build(name)
    assert model.input_shape == (None, 96, 64, 1)
    assert model.output_shape == (None, 521)


def test_options_reach_the_builder() -> None:
    assert zoo.build("dscnn", outputs=2).output_shape == (None, 2)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'resnet'.*one of .*dscnn"):
        zoo.build("resnet")


def test_unknown_option_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'dscnn': no option 'depth'; it has .*outputs"):
        zoo.build("dscnn", depth=3)
