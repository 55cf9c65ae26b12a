"""Pools give each window's own rows, whatever the order, and keep little for each."""

from pathlib import Path

import numpy as np
import pytest

from crydistill.audio.windows import WINDOW_FRAMES, WINDOW_HOP_FRAMES
from crydistill.corpora.clip import Clip, Label
from crydistill.errors import CorpusError
from crydistill.selection.pool import WindowPool, window_pool
from crydistill.teacher.scores import ScoreStore, TeacherIdentity, open_for_writing

LENGTHS = ((3, 1, 7), (2, 5))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[ScoreStore]:
    rng = np.random.default_rng(0)
    found = []
    for number, lengths in enumerate(LENGTHS):
        folder = tmp_path_factory.mktemp(f"store{number}")
        with open_for_writing(folder, TeacherIdentity("made up", "0" * 64)) as writer:
            for clip, windows in enumerate(lengths):
                frames = WINDOW_FRAMES + WINDOW_HOP_FRAMES * (windows - 1) + 5
                writer.append(
                    f"{clip}",
                    sha256="1" * 64,
                    duration=1.0,
                    notes=(),
                    frames=rng.normal(size=(frames, 64)).astype(np.float32),
                    logits=rng.normal(size=(windows, 521)).astype(np.float32),
                )
        found.append(ScoreStore(folder))
    return found


@pytest.fixture(scope="module")
def pool(stores: list[ScoreStore]) -> WindowPool:
    def clips(*names: str) -> list[Clip]:
        return [Clip(name, Path(name), Label.CRY, name) for name in names]

    return window_pool(
        [
            (stores[0], clips("2", "0", "none")),
            (stores[1], clips("1", "0")),
            (stores[0], clips("1")),
        ]
    )


def test_every_window_has_its_own_rows(pool: WindowPool, stores: list[ScoreStore]) -> None:
    """As gathered from the stores' files directly, bit for bit, in any order and repeatedly."""
    order = [(0, "2"), (0, "0"), (1, "1"), (1, "0"), (0, "1")]
    frames, rows, scores = [], [], []
    for number, name in order:
        store = stores[number]
        for start in range(0, WINDOW_HOP_FRAMES * store.entries[name].windows, WINDOW_HOP_FRAMES):
            frames.append(store.frames(name)[start : start + WINDOW_FRAMES])
        rows.append(store.logits(name))
        scores.append(store.cry_scores(name))
    assert len(pool) == len(frames) == 18
    indices = np.concatenate([np.random.default_rng(1).permutation(18), [4, 4, 17, 0]])
    assert np.array_equal(pool.patches(indices), np.array(frames, np.float32)[indices])
    assert np.array_equal(pool.logits(indices), np.concatenate(rows).astype(np.float32)[indices])
    assert np.array_equal(pool.cry_scores, np.concatenate(scores))
    assert pool.clip_of.tolist() == np.repeat(np.arange(5), [7, 3, 5, 2, 1]).tolist()
    assert [pool.window_of(index) for index in (0, 6, 7, 17)] == [0, 6, 0, 0]
    assert [len(part) for part in pool.per_clip(pool.cry_scores)] == [7, 3, 5, 2, 1]


def test_no_windows_asked_for(pool: WindowPool) -> None:
    assert pool.patches(np.array([], dtype=int)).shape == (0, 96, 64)
    assert pool.logits(np.array([], dtype=int)).shape == (0, 521)


def test_nothing_is_scored(stores: list[ScoreStore]) -> None:
    with pytest.raises(CorpusError, match="none of the clips has been scored"):
        window_pool([(stores[0], [Clip("x", Path("x"), Label.CRY, "x")])])
