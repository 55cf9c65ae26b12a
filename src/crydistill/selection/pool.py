"""Pool the windows of several score stores under one index.

A pool keeps a few numbers for each clip. What is long as the windows (`clip_of`, `cry_scores`) is
made where it is asked for and kept from then on: 4 bytes a window each.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import WINDOW_FRAMES, WINDOW_HOP_FRAMES
from crydistill.corpora.clip import Clip
from crydistill.errors import CorpusError
from crydistill.taxonomy import CLASSES
from crydistill.teacher.scores import ScoreStore

Indices = npt.NDArray[np.integer]
INDEX = np.int32
"""Type of what is kept for every window: fifty times AudioSet fit into it."""

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True)
class WindowPool:
    """All windows of the scored clips, in the clips' order.

    clips : the clips that have scores
    stores : the store of each clip's frames and scores, parallel to `clips`
    counts : windows of each clip, `[clips]`
    parts : number of clips that each part of the pool has, in the parts' order
    """

    clips: Sequence[Clip]
    stores: Sequence[ScoreStore]
    counts: Indices
    parts: Sequence[int]

    def __len__(self) -> int:
        return int(self.bounds[-1])

    @cached_property
    def bounds(self) -> npt.NDArray[np.int64]:
        """Index of each clip's first window, and behind them of the end, `[clips + 1]`."""
        return np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)

    @cached_property
    def clip_of(self) -> Indices:
        """Index into `clips` of each window, `[n]`."""
        return np.repeat(np.arange(len(self.clips), dtype=INDEX), self.counts)

    def window_of(self, index: int) -> int:
        """Index of a window within its clip."""
        return int(index - self.bounds[self.clip_of[index]])

    @cached_property
    def cry_scores(self) -> npt.NDArray[np.float32]:
        """The teacher's cry score of each window, `[n]`, from 0 to 2."""
        out = np.empty(len(self), dtype=np.float32)
        places = zip(self.clips, self.stores, self.bounds, self.bounds[1:], strict=False)
        for clip, store, start, stop in places:
            out[start:stop] = store.cry_scores(clip.id)
        return out

    def patches(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Log-mel patches of the given windows, `[k, 96, 64]` float32."""
        out = np.empty((len(indices), WINDOW_FRAMES, MEL_BANDS), dtype=np.float32)
        for clip, which, windows in self._by_clip(indices):
            frames = np.asarray(self.stores[clip].frames(self.clips[clip].id))
            for at, window in zip(which.tolist(), windows.tolist(), strict=True):
                start = WINDOW_HOP_FRAMES * window
                out[at] = frames[start : start + WINDOW_FRAMES]
        return out

    def logits(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Teacher logits of the given windows, `[k, 521]` float32."""
        out = np.empty((len(indices), CLASSES), dtype=np.float32)
        for clip, which, windows in self._by_clip(indices):
            out[which] = np.asarray(self.stores[clip].logits(self.clips[clip].id))[windows]
        return out

    def per_clip(self, values: npt.NDArray[_Value]) -> list[npt.NDArray[_Value]]:
        """Split per-window values (`[n, ...]`) into one array per clip."""
        return np.split(values, self.bounds[1:-1])

    def _clips_of(self, indices: Indices) -> npt.NDArray[np.int64]:
        return np.searchsorted(self.bounds, indices, side="right") - 1

    def _by_clip(
        self, indices: Indices
    ) -> Iterator[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Clip by clip: positions among the given windows, and their windows within the clip.

        Only the rows of clips in it are touched, and each clip once, whatever the order.
        """
        indices = np.asarray(indices)
        if len(indices) == 0:
            return
        clips = self._clips_of(indices)
        windows = indices - self.bounds[clips]
        order = np.argsort(clips, kind="stable")
        starts = np.flatnonzero(np.diff(clips[order], prepend=-1))
        for which in np.split(order, starts[1:]):
            yield int(clips[which[0]]), which, windows[which]


def window_pool(parts: Iterable[tuple[ScoreStore, Sequence[Clip]]]) -> WindowPool:
    """Pool the windows of clips in one or more stores, skipping clips without scores.

    Raises
    ------
    CorpusError
        if no clip has scores.
    """
    clips: list[Clip] = []
    stores: list[ScoreStore] = []
    counts: list[int] = []
    of_part: list[int] = []
    for store, listed in parts:
        before = len(clips)
        for clip in listed:
            if clip.id in store:
                clips.append(clip)
                stores.append(store)
                counts.append(store.entries[clip.id].windows)
        of_part.append(len(clips) - before)
    if not clips:
        raise CorpusError("none of the clips has been scored; run `crydistill score` first")
    return WindowPool(clips, stores, np.array(counts), of_part)
