"""Pool the windows of several score stores under one index."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import WINDOW_FRAMES
from crydistill.corpora.clip import Clip
from crydistill.errors import CorpusError
from crydistill.taxonomy import CLASSES
from crydistill.teacher.scores import ScoreStore, gather_windows

Indices = npt.NDArray[np.int64]
_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True)
class WindowPool:
    """All windows of the scored clips, in the clips' order.

    clips : the clips that have scores
    stores : the store of each clip's frames and scores, parallel to `clips`
    clip_of : index into `clips` of each window, `[n]`
    window_of : index of each window within its clip, `[n]`
    """

    clips: Sequence[Clip]
    stores: Sequence[ScoreStore]
    clip_of: Indices
    window_of: Indices

    def __len__(self) -> int:
        return len(self.clip_of)

    @cached_property
    def cry_scores(self) -> npt.NDArray[np.float32]:
        """The teacher's cry score of each window, `[n]`, from 0 to 2."""
        return np.concatenate(
            [store.cry_scores(clip.id) for clip, store in zip(self.clips, self.stores, strict=True)]
        )

    def patches(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Log-mel patches of the given windows, `[k, 96, 64]` float32."""
        out = np.empty((len(indices), WINDOW_FRAMES, MEL_BANDS), dtype=np.float32)
        for store, which in self._by_store(indices):
            out[which] = gather_windows(store.all_frames, self._frame_starts[indices[which]])
        return out

    def logits(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Teacher logits of the given windows, `[k, 521]` float32."""
        out = np.empty((len(indices), CLASSES), dtype=np.float32)
        for store, which in self._by_store(indices):
            out[which] = store.all_logits[self._score_rows[indices[which]]]
        return out

    def per_clip(self, values: npt.NDArray[_Value]) -> list[npt.NDArray[_Value]]:
        """Split per-window values (`[n, ...]`) into one array per clip."""
        return np.split(values, np.flatnonzero(np.diff(self.clip_of)) + 1)

    def _by_store(self, indices: Indices) -> Iterable[tuple[ScoreStore, npt.NDArray[np.bool_]]]:
        numbers = self._store_numbers[indices]
        for number in np.unique(numbers):
            yield self._distinct_stores[number], numbers == number

    @cached_property
    def _distinct_stores(self) -> list[ScoreStore]:
        return list({id(store): store for store in self.stores}.values())

    @cached_property
    def _store_numbers(self) -> Indices:
        number = {id(store): n for n, store in enumerate(self._distinct_stores)}
        return np.array([number[id(store)] for store in self.stores])[self.clip_of]

    @cached_property
    def _frame_starts(self) -> Indices:
        return np.concatenate(
            [s.window_frame_starts(c.id) for c, s in zip(self.clips, self.stores, strict=True)]
        )

    @cached_property
    def _score_rows(self) -> Indices:
        return np.concatenate(
            [s.window_rows(c.id) for c, s in zip(self.clips, self.stores, strict=True)]
        )


def window_pool(parts: Iterable[tuple[ScoreStore, Sequence[Clip]]]) -> WindowPool:
    """Pool the windows of clips in one or more stores, skipping clips without scores.

    Raises
    ------
    CorpusError
        if no clip has scores.
    """
    pairs = [(clip, store) for store, clips in parts for clip in clips if clip.id in store]
    if not pairs:
        raise CorpusError("none of the clips has been scored; run `crydistill score` first")
    counts = [store.entries[clip.id].windows for clip, store in pairs]
    return WindowPool(
        clips=[clip for clip, _ in pairs],
        stores=[store for _, store in pairs],
        clip_of=np.repeat(np.arange(len(pairs)), counts),
        window_of=np.concatenate([np.arange(count) for count in counts]),
    )
