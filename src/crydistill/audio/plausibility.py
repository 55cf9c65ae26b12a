"""Check decoded samples for silence, wrong scaling and channels that cancel."""

import numpy as np

from crydistill.audio.file_slice import Block
from crydistill.audio.mel import Samples

SILENCE_PEAK = 1e-4
"""A recording whose peak is below this (-80 dBFS) is reported as silent."""

_TOO_LOUD = 16.0
"""Samples above this (24 dB over full scale) are no sound but integers written as float."""

_LOUD = 2.0
_INTEGER_BITS = (8, 16, 24, 32)

_CANCELLED = 0.25
"""Channels cancel whose mean has less than this share of the power it has if they are unrelated."""

_DEAD_SECONDS = 10


class Downmix:
    """Makes one channel of several: their mean, or the strongest once they cancel in it."""

    def __init__(self) -> None:
        self._channel: int | None = None

    def mono(self, block: Block) -> Samples:
        """Samples `[n]` of a block `[n, channels]`."""
        if block.shape[1] == 1:
            return block[:, 0]
        with np.errstate(over="ignore", invalid="ignore"):  # the check refuses what gives these
            mean = np.asarray(block.mean(axis=1, dtype=np.float32))
            if self._channel is None or self._channel >= block.shape[1]:
                self._channel = _strongest_if_cancelling(block, mean)
        return mean if self._channel is None else np.ascontiguousarray(block[:, self._channel])

    @property
    def remarks(self) -> list[str]:
        if self._channel is None:
            return []
        return [f"the channels cancel each other: channel {self._channel + 1} alone is read"]


def _strongest_if_cancelling(block: Block, mean: Samples) -> int | None:
    powers = np.square(block, dtype=np.float64).mean(axis=0)
    unrelated = float(powers.sum()) / block.shape[1] ** 2
    power = float(np.square(mean, dtype=np.float64).mean())
    audible = float(powers.max()) > SILENCE_PEAK**2
    return int(powers.argmax()) if audible and power < _CANCELLED * unrelated else None


class SampleCheck:
    """Watches mono samples at the file's own rate."""

    def __init__(self) -> None:
        self._low, self._high = np.inf, -np.inf
        self._dead = 0
        self._rate = 0
        self._begun = np.empty(0, dtype=np.float32)
        self._seconds = 0.0

    def look(self, mono: Samples, rate: int) -> None:
        """Take note of the next samples.

        Raises
        ------
        ValueError
            if they are no sound: not finite, or far above full scale.
        """
        if len(mono) == 0:
            return
        low, high = float(mono.min()), float(mono.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("contains NaN or infinite samples; export it again")
        self._low, self._high = min(self._low, low), max(self._high, high)
        if self._peak > _TOO_LOUD:
            raise ValueError(_too_loud(self._peak))
        self._count_dead(mono, rate)
        self._seconds += len(mono) / rate

    def _count_dead(self, mono: Samples, rate: int) -> None:
        """Count the seconds without a signal; one that a block begins, the next one ends."""
        if rate == self._rate:
            mono = np.concatenate([self._begun, mono])
        whole, self._begun = np.split(mono, [len(mono) // rate * rate])
        self._rate = rate
        if len(whole):
            seconds = whole.reshape(-1, rate)
            self._dead += int((seconds.max(axis=1) == seconds.min(axis=1)).sum())

    @property
    def _peak(self) -> float:
        return max(abs(self._low), abs(self._high))

    @property
    def remarks(self) -> list[str]:
        """What a user should know, for one that is not silent."""
        if self._high < self._low:
            return []
        if self._high - self._low < 2 * SILENCE_PEAK and self._peak >= SILENCE_PEAK:
            return [f"no sound but a constant offset of {(self._low + self._high) / 2:.2g}"]
        found = []
        if self._peak > _LOUD:
            found.append(f"peaks {20 * np.log10(self._peak):.0f} dB above full scale")
        if _DEAD_SECONDS <= self._dead < self._seconds - 1:
            found.append(f"no signal at all for {self._dead} s of it")
        return found


def _too_loud(peak: float) -> str:
    bits = next((bits for bits in _INTEGER_BITS if peak <= 2 ** (bits - 1)), 0)
    if not bits:
        return f"samples of up to {peak:.3g} where full scale is 1; export it again"
    factor = 2 ** (bits - 1)
    return (
        f"samples of up to {peak:,.0f} where full scale is 1, as if {bits}-bit integers had been "
        f"written as float; divide them by {factor}: `ffmpeg -i IN -af volume=1/{factor} OUT.wav`"
    )
