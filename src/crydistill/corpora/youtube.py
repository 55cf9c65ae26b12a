"""AudioSet's audio from YouTube: ten seconds a segment, at a guest's pace, none lost or doubled.

Layout of a download folder:

    ID.flac        16 kHz mono, 16 bit; there only after it was decoded and checked
    ledger.jsonl   what came of every attempt (see `crydistill.corpora.ledger`)
    .parts/        attempts in flight; emptied at the next start

A kill leaves at most the attempts in flight, and perhaps a file whose ledger line is not written
yet: the next run checks it and adopts it.

Only what YouTube states plainly is final. A bare "Video unavailable" is believed when it comes
again an hour later, since YouTube's limits for guests last "up to an hour".
"""

import dataclasses
import math
import os
import shutil
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from crydistill.audio.files import read_audio
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.corpora.audioset import Segment
from crydistill.corpora.clip import Clip
from crydistill.corpora.ledger import FINAL, GONE, Entry, Ledger, State, read_ledger
from crydistill.corpora.ytdlp import (
    SHORTFALL_SECONDS,
    YOUTUBE_URL,
    FetchFailedError,
    Tools,
    YtDlp,
)
from crydistill.download import sha256_of
from crydistill.errors import AudioError, ConfigError, CorpusError
from crydistill.lock import exclusive
from crydistill.progress import Advance, Progress, silent

SILENCE_DBFS = -120.0
"""Level given to digital silence."""

_BELIEVED_AFTER_SECONDS = 3600.0

Fetch = Callable[[Segment, Path], Samples]
"""Brings a segment's samples; the folder is empty and at its disposal."""


@dataclass(frozen=True)
class Pace:
    """How fast, and how long to insist.

    per_hour : attempts an hour, evenly spaced; YouTube throttles guests above about 300
    workers : attempts at once
    tries : attempts at one segment in one run while the network fails
    backoff : seconds to wait after a rate limit, the next number if it still holds; then stop
    failures : attempts in a row that settle nothing before giving up
    timeout : seconds after which an attempt is killed
    """

    per_hour: float = 300.0
    workers: int = 4
    tries: int = 3
    backoff: tuple[float, ...] = (300.0, 900.0, 1800.0)
    failures: int = 20
    timeout: float = 180.0

    def __post_init__(self) -> None:
        if not self.per_hour > 0 or self.workers < 1 or self.tries < 1:
            raise ConfigError(
                f"per hour {self.per_hour:g}, workers {self.workers}, tries {self.tries}: "
                "each must be above 0"
            )


@dataclass(frozen=True)
class FetchReport:
    """What a run came to.

    states : number of the list's segments in each state; segments never tried are left out
    waiting : segments that a later run will ask about
    stopped : why the run stopped before the list's end, and how to go on; empty if it did not
    """

    states: Mapping[State, int]
    waiting: int
    stopped: str = ""


def audio_path(folder: str | Path, segment: Segment) -> Path:
    """Where a segment's audio lies, or will."""
    return Path(folder) / f"{segment.youtube_id}.flac"


def fetched_clips(segments: Iterable[Segment], folder: str | Path) -> list[Clip]:
    """The clips of those segments whose audio is here.

    Raises
    ------
    CorpusError
        if there is none at all.
    """
    ledger = read_ledger(folder)
    clips = []
    for segment in segments:
        entry, path = ledger.get(segment.youtube_id), audio_path(folder, segment)
        if entry and entry.is_of(segment) and entry.state is State.DONE and path.is_file():
            clips.append(segment.clip(path))
    if not clips:
        raise CorpusError(
            f"{folder}: none of the list's audio is here; run `crydistill fetch audioset`"
        )
    return clips


def fetch_segments(
    segments: Sequence[Segment],
    folder: str | Path,
    tools: Tools | None,
    *,
    pace: Pace = Pace(),
    url_template: str = YOUTUBE_URL,
    render: Callable[[Segment], Samples] | None = None,
    progress: Progress = silent,
) -> FetchReport:
    """Fetch what is neither here nor known to be gone.

    Parameters
    ----------
    tools : as `find_tools` returns them; None for a list of synthetic segments only
    url_template : address of a video, with `{id}` in the id's place
    render : makes the audio of synthetic segments

    Raises
    ------
    CorpusError
        if the ledger is malformed, the folder cannot be written, or a segment needs tools or a
        renderer that is not given.
    BusyError
        if another process is fetching into the same folder.
    """
    _check_list(segments, tools, render)
    folder = Path(folder).resolve()
    try:
        with exclusive(folder / ".lock"), Ledger(folder) as ledger:
            shutil.rmtree(_parts(folder), ignore_errors=True)
            _parts(folder).mkdir()
            left = [segment for segment in segments if not _is_settled(segment, folder, ledger)]
            with progress("fetch audioset", len(left), "segments") as advance:
                run = _Run(folder, ledger, pace, advance)
                if render is not None:
                    run.render([segment for segment in left if segment.synthetic], render)
                if tools is not None:
                    source = YtDlp(tools, url_template, pace.timeout)
                    run.download([segment for segment in left if not segment.synthetic], source)
            shutil.rmtree(_parts(folder), ignore_errors=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise CorpusError(f"{folder}: cannot be written ({error})") from error
    entries = [ledger.of(segment) for segment in segments]
    states = Counter(entry.state for entry in entries if entry)
    waiting = sum(entry is None or entry.state not in FINAL for entry in entries)
    return FetchReport(states, waiting, run.stopped)


def _check_list(
    segments: Sequence[Segment],
    tools: Tools | None,
    render: Callable[[Segment], Samples] | None,
) -> None:
    if render is None and any(segment.synthetic for segment in segments):
        raise CorpusError("the list holds synthetic segments, and nothing to render them with")
    if tools is None and not all(segment.synthetic for segment in segments):
        raise CorpusError("the list holds videos, which need yt-dlp and ffmpeg")
    twice = [name for name, n in Counter(s.youtube_id for s in segments).items() if n > 1]
    if twice:
        raise CorpusError(f"the list holds {twice[0]} twice; remove one of the two rows")


class _Gate:
    """Says when the next attempt may start: evenly spaced, and not into a rate limit."""

    def __init__(self, pace: Pace, first_delay: float) -> None:
        self._pace = pace
        self._spacing = 3600.0 / pace.per_hour
        self._opens = time.monotonic() + first_delay
        self._limits = 0
        self.draining = False

    def delay(self, flying: int) -> float | None:
        """Seconds until another attempt may start; None if not before one has ended."""
        # After a limit a single attempt goes ahead, to see whether it still holds.
        room = 0 if self.draining else 1 if self._limits else self._pace.workers
        return max(0.0, self._opens - time.monotonic()) if flying < room else None

    def passed(self) -> None:
        """An attempt has started."""
        self._opens = max(self._opens, time.monotonic()) + self._spacing

    def heard(self, state: State) -> None:
        """An attempt has ended."""
        if state is State.RATE_LIMITED:
            self.draining = True
        elif state in FINAL and not self.draining:
            self._limits = 0

    def back_off(self) -> bool:
        """After the attempts of a limit have drained: wait longer than last time, or give up."""
        if self._limits == len(self._pace.backoff):
            return False
        self._opens = time.monotonic() + self._pace.backoff[self._limits]
        self._limits += 1
        self.draining = False
        return True


class _Run:
    """One pass over the segments that are left.

    stopped : why it ended early; empty if it did not
    """

    def __init__(self, folder: Path, ledger: Ledger, pace: Pace, advance: Advance) -> None:
        self._folder = folder
        self._ledger = ledger
        self._pace = pace
        self._advance = advance
        self._tries: Counter[str] = Counter()
        self._failures = 0
        self.stopped = ""

    def render(self, segments: Iterable[Segment], render: Callable[[Segment], Samples]) -> None:
        """Make the audio of synthetic segments."""
        for segment in segments:
            entry = _attempt(segment, self._folder, lambda synthetic, _: render(synthetic))
            self._ledger.append(entry)
            self._advance(1)

    def download(self, segments: Sequence[Segment], source: YtDlp) -> None:
        """Fetch the segments; nothing runs any more when this ends, in whatever way."""
        pool = ThreadPoolExecutor(self._pace.workers)
        try:
            self._download(deque(segments), source.fetch, pool)
        finally:
            source.stop()
            pool.shutdown(cancel_futures=True)

    def _download(self, queue: deque[Segment], fetch: Fetch, pool: ThreadPoolExecutor) -> None:
        flying: dict[Future[Entry], Segment] = {}
        gate = _Gate(self._pace, self._delay_from_last_run())
        while flying or (queue and not self.stopped):
            if gate.draining and not flying and not gate.back_off():
                self.stopped = _LIMIT_NOTE
                return
            delay = gate.delay(len(flying)) if queue and not self.stopped else None
            if delay == 0.0:
                segment = queue.popleft()
                flying[pool.submit(_attempt, segment, self._folder, fetch)] = segment
                gate.passed()
            elif flying:
                for future in wait(flying, delay, FIRST_COMPLETED).done:
                    segment, entry = flying.pop(future), future.result()
                    gate.heard(entry.state)
                    self._settle(segment, entry, queue)
            elif delay:
                time.sleep(delay)

    def _settle(self, segment: Segment, entry: Entry, queue: deque[Segment]) -> None:
        """Write an attempt's outcome down, and put the segment back if it is to be tried again."""
        entry = self._believed(segment, entry)
        self._ledger.append(entry)
        if entry.state is State.RATE_LIMITED:
            queue.appendleft(segment)
            return
        self._failures = 0 if entry.state in FINAL else self._failures + 1
        self._tries[segment.youtube_id] += 1
        if entry.state is State.NETWORK and self._tries[segment.youtube_id] < self._pace.tries:
            queue.append(segment)
        else:
            self._advance(1)
        if self._failures == self._pace.failures and queue:
            self.stopped = (
                f"{self._failures} attempts in a row came to nothing, the last one with: "
                f"{entry.detail}; see to that and run the same command again, it goes on from here"
            )

    def _believed(self, segment: Segment, entry: Entry) -> Entry:
        """Take "unavailable" for removed where YouTube said so an hour ago already."""
        since = self._ledger.unavailable_since(segment)
        waited = since is not None and entry.time - since >= _BELIEVED_AFTER_SECONDS
        if entry.state is State.UNAVAILABLE and waited:
            return dataclasses.replace(entry, state=State.REMOVED)
        return entry

    def _delay_from_last_run(self) -> float:
        """Restarting does not buy a faster pace."""
        last = max((entry.time for entry in self._ledger.last.values()), default=0.0)
        spacing = 3600.0 / self._pace.per_hour
        return min(max(0.0, last + spacing - time.time()), spacing)


_LIMIT_NOTE = (
    "YouTube limits this guest's rate, and went on after every wait; run the same command again in "
    "an hour or two, it goes on from here, if need be at a lower --per-hour"
)


def _attempt(segment: Segment, folder: Path, fetch: Fetch) -> Entry:
    """Fetch, decode, check, rename: the file is there if and only if the entry says done."""
    with tempfile.TemporaryDirectory(dir=_parts(folder), ignore_cleanup_errors=True) as name:
        tools_folder, part = Path(name) / "tools", Path(name) / "part.flac"
        tools_folder.mkdir()
        try:
            _write(part, fetch(segment, tools_folder))
            entry = _checked(segment, part)
        except FetchFailedError as error:
            return _entry(segment, error.state, str(error))
        part.replace(audio_path(folder, segment))
        return entry


def _write(path: Path, samples: Samples) -> None:
    with path.open("wb") as file:
        soundfile.write(file, np.clip(samples, -1.0, 1.0), SAMPLE_RATE, "PCM_16", format="FLAC")
        file.flush()
        os.fsync(file.fileno())


def _checked(segment: Segment, path: Path) -> Entry:
    """Decode the file that is to stay; return the entry that says what is in it."""
    try:
        audio = read_audio(path)
    except AudioError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise FetchFailedError(State.BAD_MEDIA, reason) from error
    if abs(audio.duration - segment.seconds) > SHORTFALL_SECONDS:
        raise FetchFailedError(
            State.BAD_MEDIA, f"{audio.duration:.2f} s of {segment.seconds:.2f} s"
        )
    power = float(np.mean(np.square(audio.samples, dtype=np.float64)))
    return dataclasses.replace(
        _entry(segment, State.DONE),
        sha256=sha256_of(path),
        seconds=round(audio.duration, 3),
        level_dbfs=round(10 * math.log10(power), 1) if power else SILENCE_DBFS,
    )


def _is_settled(segment: Segment, folder: Path, ledger: Ledger) -> bool:
    """Whether there is nothing left to ask; adopts a file that a killed run left behind."""
    entry, path = ledger.of(segment), audio_path(folder, segment)
    if entry and entry.state in GONE:
        return True
    if not path.is_file():
        return False
    if entry and entry.state is State.DONE:
        return True
    try:
        found = _checked(segment, path)
    except FetchFailedError:
        return False
    ledger.append(dataclasses.replace(found, detail="found here, checked"))
    return True


def _entry(segment: Segment, state: State, detail: str = "") -> Entry:
    now = round(time.time(), 3)
    return Entry(segment.youtube_id, segment.start, segment.end, state, now, detail)


def _parts(folder: Path) -> Path:
    return folder / ".parts"
