import numpy as np
import pytest

from crydistill.audio.mel import frame_count
from crydistill.audio.windows import (
    WINDOW_SAMPLES,
    window_count,
    window_start_seconds,
    windows,
)


def test_a_window_is_15600_samples() -> None:
    assert WINDOW_SAMPLES == 15_600
    assert window_count(frame_count(WINDOW_SAMPLES)) == 1
    assert window_count(frame_count(WINDOW_SAMPLES - 1)) == 0


@pytest.mark.parametrize(
    ("frames", "count"), [(0, 0), (95, 0), (96, 1), (143, 1), (144, 2), (6000, 124)]
)
def test_windows_start_every_48_frames(frames: int, count: int) -> None:
    rows = np.arange(frames, dtype=np.float32)[:, None] * np.ones(64, dtype=np.float32)
    view = windows(rows)
    assert view.shape == (count, 96, 64)
    for number in range(count):
        assert np.array_equal(view[number], rows[48 * number : 48 * number + 96])


def test_start_times() -> None:
    np.testing.assert_allclose(window_start_seconds(3), [0, 0.48, 0.96])
