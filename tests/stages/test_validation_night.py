"""The night on which checkpoints and presets are chosen."""

import numpy as np
import pytest

from crydistill.audio.windows import window_count
from crydistill.stages.validation_night import ValidationNight


@pytest.mark.parametrize("frames", [0, 95, 96, 200, 48 * 2_100 + 7])
def test_its_windows_in_blocks(frames: int) -> None:
    rows = np.random.default_rng(0).standard_normal((frames, 64)).astype(np.float16)
    night = ValidationNight(rows, ())
    blocks = list(night.patches())
    assert night.windows == window_count(frames) == sum(map(len, blocks))
    assert all(block.dtype == np.float32 and block.flags.c_contiguous for block in blocks)
    for number, patch in enumerate(patch for block in blocks for patch in block):
        np.testing.assert_array_equal(patch, rows[48 * number : 48 * number + 96])
