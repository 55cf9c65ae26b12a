import subprocess
from pathlib import Path

import pytest
from tests.firmware.programs import make, need_machine, under_qemu

from crydistill.device import emulator
from crydistill.errors import ConfigError

PRINTED = """loop_of_4000000 4000040
front_end_per_second 100
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


def test_an_emulator_whose_clock_does_not_count_instructions_is_refused() -> None:
    four_times = PRINTED.replace("loop_of_4000000 4000040", "loop_of_4000000 16000000")
    with pytest.raises(ConfigError, match=r"cost\.elf: the emulator counted 16,000,000 instruc"):
        emulator._counted(four_times, Path("cost.elf"))


@pytest.mark.parametrize("machine", sorted(emulator.MACHINES.keys() - {"lx106"}))
def test_a_failed_program_fails_under_emulation(machine: str, tmp_path: Path) -> None:
    """The kernels' comparison without its arguments; the lx106's libc is too small for that."""
    need_machine(machine)
    make(f"kernels-{machine}", BUILD=str(tmp_path))
    command = under_qemu(machine)(tmp_path / f"kernels-{machine}.elf", [])
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode != 0
