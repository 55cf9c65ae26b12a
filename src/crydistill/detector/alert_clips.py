"""Save the audio around alerts, and around what nearly raised one, to a folder of bounded size.

Of a near-miss that an alert follows before it is written, the alert's clip is kept alone.
"""

from collections import deque
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from crydistill.atomic import write_bytes
from crydistill.audio.encoding import encoded
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.boundary import require_outside_work_tree
from crydistill.detector.clip_folder import LIMIT_MEGABYTES, ClipKind, room_for
from crydistill.detector.vote import Scores, VoteSettings, vote_statistic
from crydistill.errors import ConfigError

NEAR_SHARE = 0.5
"""A near-miss would have raised an alert at this share of the threshold."""

NEAR_PAUSE_SECONDS = 60.0
"""From one near-miss to the next: a sound that goes on for hours fills no folder."""

CLIP_TIME = "%Y%m%dT%H%M%S"
"""In a clip's name: when its alert went on."""

CLIP_BEFORE_SECONDS, CLIP_AFTER_SECONDS, MAX_CLIP_SECONDS = 10.0, 5.0, 120.0


def is_near_miss(recent: Scores, settings: VoteSettings) -> bool:
    """Whether the last m scores, `[m]`, nearly raise an alert: one vote short, or just too quiet.

    Examples
    --------
    >>> settings = VoteSettings(threshold=0.4, n=2, m=3)
    >>> [is_near_miss(np.float32(scores), settings)
    ...  for scores in ([0, 0.5, 0], [0.3, 0.3, 0], [0.3, 0.1, 0])]
    [True, True, False]
    """
    votes = int((recent >= np.float32(settings.threshold)).sum())
    level = vote_statistic(recent, settings.n, settings.m)[-1]
    return 0 < votes >= settings.n - 1 or bool(level >= NEAR_SHARE * settings.threshold)


class AlertClips:
    """Saves the audio around alerts and near-misses as files in a folder. Such clips are private.

    Parameters
    ----------
    folder : created if missing; must lie outside git work trees
    before, after : seconds to keep before an alert's onset and after its end
    longest : maximum clip length in seconds, even if the alert continues
    limit : bytes that the folder's clips may take together; older ones that nobody reviewed are
        deleted for new ones (`clip_folder.room_for`)

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
        limit: int = LIMIT_MEGABYTES * 1_000_000,
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
        self._near = False  # whether the clip in progress is a near-miss
        self._near_from = 0  # sample from which on the next near-miss may begin
        self._limit = limit
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
        try:
            if self._start is not None and not self._near:
                self._write()  # the previous clip, still in its tail
        finally:
            self._begin(ClipKind.ALERT, onset - self._before, when)

    def near_miss(self, onset: int, when: datetime) -> None:
        """Begin a clip, or go on with it: sound from sample `onset` on nearly raised an alert."""
        if self._start is None and onset >= self._near_from:
            self._begin(ClipKind.NEAR_MISS, onset - self._before, when)
            self._near_from = self._next + int(NEAR_PAUSE_SECONDS * SAMPLE_RATE)
        if self._near and self._start is not None:
            self._stop = min(self._start + self._longest, self._next + self._after)

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
        in_progress = self._start is not None
        try:
            if in_progress:
                self._write()
        finally:
            if in_progress and resume:
                self._start, self._stop = position, position + self._longest
            self._blocks.clear()
            self._first = self._next = self._near_from = position

    def _begin(self, kind: ClipKind, start: int, when: datetime) -> None:
        self._start = max(self._first, start)
        self._stop = self._start + self._longest
        self._name = f"{kind}-{when.strftime(CLIP_TIME)}"
        self._near = kind is ClipKind.NEAR_MISS

    def _write(self) -> None:
        start, self._start, self._near = self._start, None, False
        assert start is not None
        together = np.concatenate([*self._blocks, np.empty(0, dtype=np.float32)])
        clip = together[start - self._first : self._stop - self._first]
        if len(clip) == 0:
            return
        file = encoded(clip)
        with room_for(self._folder, len(file), limit=self._limit):
            write_bytes(self._free_path(), file)
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
