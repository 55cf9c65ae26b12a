"""What an epoch of training shows the student: single windows, or stretches of streams.

A feed gives an epoch's batches as a pure function of the epoch's number, so that a resumed training
ends with the weights of an uninterrupted one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crydistill.audio.windows import WINDOW_HOP_FRAMES
from crydistill.distill.colouring import Colouring, coloured
from crydistill.distill.masking import masked
from crydistill.distill.mixing import mixed
from crydistill.distill.targets import Targets
from crydistill.errors import ConfigError
from crydistill.selection.pool import Indices, WindowPool
from crydistill.selection.sampler import Sampler

Floats = npt.NDArray[np.float32]

_FROM_THE_START = 0.25
"""Share of the streams whose stretches begin with their first window."""

Batch = tuple[Floats, Floats]
"""Inputs of the network and targets of the loss."""


class Feed(Protocol):
    """The batches of every epoch.

    batch_windows : windows in a batch
    """

    @property
    def batch_windows(self) -> int: ...

    def steps(self, epoch: int) -> int:
        """Number of batches in an epoch; at least 1."""
        ...

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, in order."""
        ...


@dataclass(frozen=True)
class WindowFeed:
    """Batches of single windows, in the sampler's order.

    targets : what the loss compares the student's logits with, for windows of the pool
    mask_frames, mask_bands : see `crydistill.distill.masking.masked`
    mixup : alpha of `crydistill.distill.mixing.mixed`, for targets that are probabilities; 0
        disables it
    colouring : how each window is coloured; None: not at all
    seed : of masking, mixup and colouring
    """

    pool: WindowPool
    targets: Targets
    sampler: Sampler
    batch_windows: int
    mask_frames: int = 0
    mask_bands: int = 0
    mixup: float = 0.0
    colouring: Colouring | None = None
    seed: int = 0

    def steps(self, epoch: int) -> int:
        """Number of complete batches; a handful of windows would give poor BatchNorm statistics.

        Raises
        ------
        ConfigError
            if there are none.
        """
        return self._complete(len(self.sampler.epoch(epoch)))

    def _complete(self, windows: int) -> int:
        if windows < self.batch_windows:
            raise ConfigError(
                f"an epoch has {windows} windows, fewer than training.batch_size "
                f"{self.batch_windows}; use a smaller batch or more recordings"
            )
        return windows // self.batch_windows

    def batches(self, epoch: int) -> Iterator[Batch]:
        size, indices = self.batch_windows, self.sampler.epoch(epoch)
        rng = np.random.default_rng([self.seed, epoch, 3])
        for step in range(self._complete(len(indices))):
            batch = indices[step * size : (step + 1) * size]
            patches = self.pool.patches(batch)
            if self.colouring:
                patches = coloured(patches, self.colouring, rng)
            patches, taught = mixed(patches, self.targets(batch), self.mixup, rng)
            patches = masked(patches, self.mask_frames, self.mask_bands, rng)
            yield patches[..., None], taught


@dataclass(frozen=True)
class StreamFeed:
    """Batches of stretches of consecutive windows.

    An epoch cuts each stream into stretches from a random window on, in random order; some streams
    from their first window, so that a student learns to begin. In other stretches it has not heard
    what the teacher had, and the memory's first windows do not count.

    pool : the windows of the streams, each stream a clip
    targets : the memory's target and the window network's, for windows of the pool, `[n, 1 + k]`
    length : windows in a stretch
    stretches : in a batch
    warm_up : windows at the start of a stretch whose memory does not count
    colouring : how each stretch is coloured; None: not at all
    seed : of where stretches begin, their order and colouring
    """

    pool: WindowPool
    targets: Targets
    length: int
    stretches: int
    warm_up: int
    colouring: Colouring | None = None
    seed: int = 0

    @property
    def batch_windows(self) -> int:
        return self.length * self.stretches

    def steps(self, epoch: int) -> int:
        """Number of complete batches.

        Raises
        ------
        ConfigError
            if there are none.
        """
        return self._complete(len(self._starts(epoch)))

    def _complete(self, found: int) -> int:
        if found < self.stretches:
            raise ConfigError(
                f"the streams have {found} stretches of {self.length} windows, fewer than "
                f"training.memory.stretches {self.stretches}; give longer streams or use smaller "
                "batches"
            )
        return found // self.stretches

    def batches(self, epoch: int) -> Iterator[Batch]:
        starts = self._starts(epoch)
        rng = np.random.default_rng([self.seed, epoch, 5])
        for step in range(self._complete(len(starts))):
            chosen = starts[step * self.stretches : (step + 1) * self.stretches]
            windows = (chosen[:, None] + np.arange(self.length)).ravel()
            shape = (self.stretches, self.length)
            patches = self.pool.patches(windows)
            patches = patches.reshape(*shape, *patches.shape[1:])
            if self.colouring:
                patches = _coloured_stretches(patches, self.colouring, rng)
            counts = (np.arange(self.length) >= self.warm_up)[None] | self._begins[chosen, None]
            taught = self.targets(windows).reshape(*shape, -1)
            weighted = np.concatenate([counts[..., None], taught], axis=-1, dtype=np.float32)
            yield patches, weighted

    @cached_property
    def _begins(self) -> npt.NDArray[np.bool_]:
        """Whether each window is the first of its stream, `[n]`."""
        return np.diff(self.pool.clip_of, prepend=-1) > 0

    def _starts(self, epoch: int) -> Indices:
        """First window of each stretch of an epoch, in random order."""
        rng = np.random.default_rng([self.seed, epoch, 4])
        counts = np.bincount(self.pool.clip_of)
        firsts = np.cumsum(counts) - counts
        starts = [
            np.arange(first + self._offset(rng), first + count, self.length)
            for first, count in zip(firsts, counts, strict=True)
        ]
        whole = [
            found[found + self.length <= first + count]
            for found, first, count in zip(starts, firsts, counts, strict=True)
        ]
        return rng.permutation(np.concatenate(whole))

    def _offset(self, rng: np.random.Generator) -> int:
        return 0 if rng.random() < _FROM_THE_START else int(rng.integers(self.length))


def _coloured_stretches(stretches: Floats, options: Colouring, rng: np.random.Generator) -> Floats:
    """Colour the frames that overlapping windows share, `[stretches, windows, 96, 64]`."""
    first, others = stretches[:, 0], stretches[:, 1:, -WINDOW_HOP_FRAMES:]
    count, _, bands = first.shape
    frames = np.concatenate([first, others.reshape(count, -1, bands)], axis=1)
    changed = coloured(frames, options, rng)
    starts = WINDOW_HOP_FRAMES * np.arange(stretches.shape[1])
    return changed[:, starts[:, None] + np.arange(first.shape[1])]
