"""Which windows the check of an INT8 student hears."""

import numpy as np

from crydistill.selection.pool import WindowPool
from crydistill.stages.quantize import CHECKED_WINDOWS, _checked_windows

LENGTHS = (30, 7, 120, 90, 60)


def pool() -> WindowPool:
    return WindowPool(
        clips=[None] * len(LENGTHS),  # type: ignore[list-item]
        stores=[],
        counts=np.array(LENGTHS),
        parts=[len(LENGTHS)],
    )


def test_a_student_with_memory_hears_whole_clips_one_after_another() -> None:
    windows = pool()
    checked = _checked_windows(windows, remembers=True, seed=1)
    assert len(checked) == CHECKED_WINDOWS == len(set(checked.tolist()))
    starts = np.flatnonzero(np.diff(checked, prepend=-2) != 1)
    heard = np.split(checked, starts[1:])
    assert all(windows.window_of(clip[0]) == 0 for clip in heard)
    assert all(len(clip) == LENGTHS[windows.clip_of[clip[0]]] for clip in heard[:-1])
    again = [_checked_windows(windows, remembers=True, seed=seed)[0] for seed in range(9)]
    assert len(set(again)) > 1


def test_without_memory_the_windows_are_of_any_clips() -> None:
    checked = _checked_windows(pool(), remembers=False, seed=1)
    assert len(checked) == CHECKED_WINDOWS == len(set(checked.tolist()))
    assert (np.diff(checked) == 1).mean() < 0.1
