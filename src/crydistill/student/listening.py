"""How a student hears a stream of windows, whatever runs its network."""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from crydistill.student.activation import activate
from crydistill.student.manifest import StudentManifest
from crydistill.taxonomy import cry_score

Float32 = npt.NDArray[np.float32]

_BLOCK = 512
"""Windows whose outputs are held at once, whatever the recording's length."""


class WindowListener(ABC):
    """One stream of windows, heard by a student.

    Windows are pushed in their order, as many at a time as there are; the scores do not depend on
    how many. What a student with memory remembers goes on from push to push until `reset`.
    """

    def __init__(self, manifest: StudentManifest) -> None:
        self._manifest = manifest

    @abstractmethod
    def reset(self) -> None:
        """Forget what was heard: a gap in the audio, or another recording."""

    @abstractmethod
    def logits(self, patches: Float32) -> Float32:
        """Outputs of the network before any activation, for the next windows.

        Parameters
        ----------
        patches : log-mel `[n, 96, 64]`

        Returns
        -------
        np.ndarray [shape=(n, outputs)], float32
        """

    def probabilities(self, patches: Float32) -> Float32:
        """Scores of all classes of the next windows, `[n, outputs]`, each 0 to 1."""
        return activate(self.logits(patches), self._manifest.activation)

    def push(self, patches: Float32) -> Float32:
        """One cry score for each of the next windows, `[n]`.

        It is the sum of the scores of the manifest's cry outputs.
        """
        scores = np.empty(len(patches), dtype=np.float32)
        for start in range(0, len(patches), _BLOCK):
            block = slice(start, start + _BLOCK)
            outputs = self.probabilities(patches[block])
            scores[block] = cry_score(outputs, self._manifest.cry_outputs)
        return scores
