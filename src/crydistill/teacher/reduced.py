"""Logits reduced to what training uses: the highest, the cries, their strongest rival.

A row of `2 * top + 5` float16 numbers stands for the 521 logits of a window:

    classes of the highest logits   [top]  whole numbers below 2,048 are exact in float16
    these logits                    [top]
    the cries' logits               [2]    always exact, so cry scores are unchanged
    strongest rival: class, logit   [2]    the only rival that `rival_floor` targets depend on
    logit of every class left out   [1]    with their mean odds, so that their sum is kept
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.taxonomy import CLASSES, cry_indices, rival_indices
from crydistill.teacher.rows import Float16, Rows

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reduction:
    """How many of the highest logits a store keeps.

    top : from 1 to 256, besides the cries and their strongest rival
    """

    top: int

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return 2 * self.top + len(cry_indices()) + 3

    def reduced(self, logits: npt.NDArray[np.floating]) -> Float16:
        """Rows `[n, width]` of logits `[n, 521]`."""
        logits = np.asarray(logits, dtype=np.float32)
        window = np.arange(len(logits))
        rivals = np.array(rival_indices())
        rival = rivals[np.argmax(logits[:, rivals], axis=1)]
        others = logits.copy()
        others[:, list(cry_indices())] = -np.inf
        others[window, rival] = -np.inf
        # Stable, so that equal logits are kept in the order of their classes on every machine.
        classes = np.argsort(-others, axis=1, kind="stable")[:, : self.top]
        highest = np.take_along_axis(others, classes, axis=1)
        np.put_along_axis(others, classes, -np.inf, axis=1)
        left_out = CLASSES - self.top - len(cry_indices()) - 1
        rest = np.logaddexp.reduce(others, axis=1, dtype=np.float64) - np.log(left_out)
        columns = [
            classes,
            highest,
            logits[:, list(cry_indices())],
            np.stack([rival, logits[window, rival], rest], axis=1),
        ]
        return np.concatenate(columns, axis=1, dtype=np.float16, casting="unsafe")

    def dense(self, rows: Float16) -> Float16:
        """Logits `[n, 521]` of rows `[n, width]`."""
        count, top, cries = len(rows), self.top, len(cry_indices())
        logits = np.repeat(rows[:, -1:], CLASSES, axis=1)
        classes = rows[:, :top].astype(np.int64)
        np.put_along_axis(logits, classes, rows[:, top : 2 * top], axis=1)
        logits[:, list(cry_indices())] = rows[:, 2 * top : 2 * top + cries]
        logits[np.arange(count), rows[:, -3].astype(np.int64)] = rows[:, -2]
        return logits


class DenseRows:
    """The logits `[*, 521]` of reduced rows."""

    def __init__(self, rows: Rows, reduction: Reduction) -> None:
        self._rows, self._reduction = rows, reduction

    def __len__(self) -> int:
        return len(self._rows)

    def between(self, start: int, stop: int) -> Float16:
        """Logits of consecutive windows."""
        return self._reduction.dense(self._rows.between(start, stop))
