"""How windows are weighted by where they are from, and what selecting leaves unloaded."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from crydistill.corpora.clip import Clip, Label
from crydistill.selection.pool import WindowPool, window_pool
from crydistill.stages.select import _weights
from crydistill.teacher.scores import ScoreStore, TeacherIdentity, open_for_writing

FRAMES = {"a": 96, "b": 200, "c": 300}
"""One, three and five windows."""


def store(folder: Path) -> ScoreStore:
    with open_for_writing(folder, TeacherIdentity("made up", "0" * 64)) as writer:
        for name, frames in FRAMES.items():
            writer.append(
                name, sha256="1" * 64, duration=frames / 100, notes=(),
                frames=np.zeros((frames, 64), np.float32),
                logits=np.zeros(((frames - 48) // 48, 521), np.float32),
            )  # fmt: skip
    return ScoreStore(folder)


def clips(names: str) -> list[Clip]:
    return [Clip(name, Path(name), Label.NONCRY, name) for name in names]


def weighed(
    folder: Path,
    train: Sequence[tuple[float, str]],
    *,
    varied: Sequence[tuple[float, str]] = (),
    streams: tuple[float, str] | None = None,
) -> list[float] | None:
    """Weights of the pool of corpora and varied copies (weight and clips), and streams."""
    rounds = [(None, SimpleNamespace(weight=weight), clips(names)) for weight, names in train]
    rounds += [(0, SimpleNamespace(weight=weight), clips(names)) for weight, names in varied]
    context: Any = SimpleNamespace(
        config=SimpleNamespace(
            data=SimpleNamespace(
                augmentation=SimpleNamespace(weight=0.5),
                streams=SimpleNamespace(weight=streams and streams[0]),
            ),
            student=SimpleNamespace(memory=streams),
        ),
        train_rounds=rounds,
    )
    known = store(folder)
    listed = [names for _, _, names in rounds]
    if streams:
        listed.append(clips(streams[1]))
    pool: WindowPool = window_pool([(known, names) for names in listed])
    found = _weights(context, pool)
    assert found is None or len(found) == len(pool)
    return None if found is None else found.tolist()


def test_each_window_has_the_weight_of_its_part_even_where_parts_share_a_store(
    tmp_path: Path,
) -> None:
    found = weighed(tmp_path, [(1.0, "ab"), (3.0, "c")], varied=[(3.0, "c")], streams=(0.1, "a"))
    assert found == [1.0] * 4 + [3.0] * 5 + [1.5] * 5 + [0.1]


def test_clips_without_scores_take_no_place(tmp_path: Path) -> None:
    assert weighed(tmp_path, [(1.0, "xa"), (2.0, "y"), (3.0, "bx")]) == [1.0] + [3.0] * 3


def test_equal_weights_are_none(tmp_path: Path) -> None:
    assert weighed(tmp_path, [(2.0, "a"), (2.0, "b"), (5.0, "")]) is None
    assert weighed(tmp_path, [(2.0, "a"), (2.0, "b")], streams=(2.0, "c")) is None


def test_selecting_loads_no_keras() -> None:
    """It would take a quarter of the memory that a million clips need, and seconds."""
    script = "import sys, crydistill.stages.select; print({'keras', 'torch'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr
