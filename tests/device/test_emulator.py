from pathlib import Path

import pytest

from crydistill.device import emulator
from crydistill.errors import ConfigError

PRINTED = """front_end_per_second 100
network_per_window 50
layer_conv_2d 30
layer_add 5
layer_conv_2d 15
score_per_window 3
vote_per_window 2
softmax_of_521 7
sigmoid_of_1 1
stack_bytes 9
"""


def test_layers_keep_their_order_and_do_not_mix_with_the_parts() -> None:
    found = emulator._counted(PRINTED, Path("cost.elf"))
    assert found.layers == (30, 5, 15)
    assert found.counts["network_per_window"] == 50
    assert not any(part.startswith("layer") for part in found.counts)


def test_a_part_that_is_not_printed_is_named() -> None:
    with pytest.raises(ConfigError, match="did not print vote_per_window"):
        emulator._counted(PRINTED.replace("vote_per_window 2\n", ""), Path("cost.elf"))
