"""Save the audio around alerts to a folder."""

from collections import deque
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import soundfile

from crydistill.atomic import replacing
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.boundary import require_outside_work_tree
from crydistill.errors import ConfigError

CLIP_BEFORE_SECONDS, CLIP_AFTER_SECONDS, MAX_CLIP_SECONDS = 10.0, 5.0, 120.0


class AlertClips:
    """Saves the audio around each alert as a file in a folder. Such clips are private.

    Parameters
    ----------
    folder : created if missing; must lie outside git work trees
    before, after : seconds to keep before an alert's onset and after its end
    longest : maximum clip length in seconds, even if the alert continues

    Raises
    ------
    CorpusError
        if the folder is inside a git work tree.
    ConfigError
        if a length is negative, the margins do not fit into the longest clip, or nothing can be
        written into the folder.
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
                f"alert clips of at most {longest:g} s cannot include {before:g} s before and "
                f"{after:g} s after an alert; allow longer clips"
            )
        self._folder = Path(folder)
        _require_writable(self._folder)
        self._before, self._after, self._longest = (
            int(seconds * SAMPLE_RATE) for seconds in (before, after, longest)
        )
        self._blocks: deque[Samples] = deque()
        self._first = self._next = 0  # sample index of the blocks' start and end
        self._start: int | None = None  # of the clip in progress
        self._stop = 0
        self._name = ""
        self.saved = 0

    def push(self, samples: Samples) -> None:
        """Add the next samples; write the clip that they complete, if any."""
        self._blocks.append(samples)
        self._next += len(samples)
        if self._start is not None and self._next >= self._stop:
            self._write()
        kept_from = self._next - self._longest if self._start is None else self._start
        while self._blocks and self._first + len(self._blocks[0]) <= kept_from:
            self._first += len(self._blocks.popleft())

    def begin(self, onset: int, when: datetime) -> None:
        """Begin a clip: an alert with its onset at sample `onset` went on at time `when`."""
        if self._start is not None:
            self._write()  # the previous clip, still in its tail
        self._start = max(self._first, onset - self._before)
        self._stop = self._start + self._longest
        self._name = f"alert-{when:%Y%m%dT%H%M%S}"

    def end(self) -> None:
        """Close the clip soon: the alert went off."""
        if self._start is not None:
            self._stop = min(self._stop, self._next + self._after)

    def interrupt(self, position: int, *, resume: bool = False) -> None:
        """Write the clip in progress: the audio breaks off and resumes at sample `position`.

        Parameters
        ----------
        resume : the alert is still on: keep what follows the break in another clip
        """
        if self._start is not None:
            self._write()
            if resume:
                self._start, self._stop = position, position + self._longest
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


def _require_writable(folder: Path) -> None:
    """Fail now, and not with the first alert."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"{folder}: clips of alerts cannot be saved there ({error.strerror}); choose another "
            "folder"
        ) from error
