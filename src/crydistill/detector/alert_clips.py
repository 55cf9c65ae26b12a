"""The sound around alerts, saved into a folder of the user's choice."""

from collections import deque
from datetime import datetime
from pathlib import Path

import numpy as np
import soundfile

from crydistill.atomic import replacing
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.boundary import require_outside_work_tree
from crydistill.errors import ConfigError

CLIP_BEFORE_SECONDS, CLIP_AFTER_SECONDS, MAX_CLIP_SECONDS = 10.0, 5.0, 120.0


class AlertClips:
    """Saves the sound around each alert as a file in a folder. Such clips are private.

    Parameters
    ----------
    folder : made if missing; outside git work trees
    before, after : seconds to keep before an alert's onset and after its end
    longest : seconds after which a clip is closed though the alert goes on

    Raises
    ------
    CorpusError
        if the folder lies in a git work tree.
    ConfigError
        if the lengths are not positive or contradict each other.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        before: float = CLIP_BEFORE_SECONDS,
        after: float = CLIP_AFTER_SECONDS,
        longest: float = MAX_CLIP_SECONDS,
    ) -> None:
        require_outside_work_tree(folder, "clips of alerts (they are private)")
        if not (0 <= before < longest and 0 <= after < longest):
            raise ConfigError(
                f"clips of {longest:g} s with {before:g} s before and {after:g} s after an alert "
                "cannot be made; lengthen the first"
            )
        self._folder = Path(folder)
        self._before, self._after, self._longest = (
            int(seconds * SAMPLE_RATE) for seconds in (before, after, longest)
        )
        self._blocks: deque[Samples] = deque()
        self._first = self._next = 0  # samples since listening began: of the blocks, and after them
        self._start: int | None = None  # of the clip in work
        self._stop = 0
        self._name = ""
        self.saved = 0

    def push(self, samples: Samples) -> None:
        """Take the next samples; write the clip that they complete."""
        self._blocks.append(samples)
        self._next += len(samples)
        if self._start is not None and self._next >= self._stop:
            self._write()
        kept_from = self._next - self._longest if self._start is None else self._start
        while self._blocks and self._first + len(self._blocks[0]) <= kept_from:
            self._first += len(self._blocks.popleft())

    def begin(self, onset: int, when: datetime) -> None:
        """An alert went on that began at sample `onset`."""
        if self._start is not None:
            self._write()  # the tail of the clip before; the alert's own begins anew
        self._start = max(self._first, onset - self._before)
        self._stop = self._start + self._longest
        self._name = f"alert-{when:%Y%m%dT%H%M%S}"

    def end(self) -> None:
        """The alert went off: keep on for a moment and close the clip."""
        if self._start is not None:
            self._stop = min(self._stop, self._next + self._after)

    def interrupt(self, position: int) -> None:
        """The sound stops here and goes on at sample `position`; write what there is."""
        if self._start is not None:
            self._write()
        self._blocks.clear()
        self._first = self._next = position

    def _write(self) -> None:
        start, self._start = self._start, None
        assert start is not None
        together = np.concatenate([*self._blocks, np.empty(0, dtype=np.float32)])
        clip = together[start - self._first : self._stop - self._first]
        if len(clip) == 0:
            return
        with replacing(self._free_path()) as temporary:
            soundfile.write(temporary, clip, SAMPLE_RATE, subtype="PCM_16")
        self.saved += 1

    def _free_path(self) -> Path:
        path, number = self._folder / f"{self._name}.wav", 1
        while path.exists():
            number += 1
            path = self._folder / f"{self._name}-{number}.wav"
        return path
