"""Download AudioSet segments from YouTube: rate-limited, resumable, without duplicates.

Layout of a download folder:

    ID.flac        16 kHz mono, 16 bit; appears only after it was decoded and checked
    ledger.jsonl   outcome of every attempt (see `crydistill.corpora.ledger`)
    .parts/        attempts in progress; emptied at the next start

A kill loses at most the attempts in progress. It may leave a file without its ledger line, which
the next run checks and keeps.

Only an explicit statement from YouTube is final. A bare "Video unavailable" counts as removed if it
is repeated an hour later, since YouTube's rate limits for guests last "up to an hour".
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

from crydistill.audio.encoding import encoded
from crydistill.audio.files import read_audio
from crydistill.audio.mel import Samples
from crydistill.corpora.audioset import Segment
from crydistill.corpora.clip import Clip
from crydistill.corpora.ledger import FINAL, GONE, Ledger, LedgerEntry, State, read_ledger
from crydistill.corpora.ytdlp import (
    SHORTFALL_SECONDS,
    YOUTUBE_URL,
    FetchFailedError,
    Tools,
    YtDlp,
    check_tools,
)
from crydistill.download import sha256_of
from crydistill.errors import AudioError, ConfigError, CorpusError
from crydistill.lock import exclusive
from crydistill.progress import Advance, Progress, silent

SILENCE_DBFS = -120.0
"""Level given to digital silence."""

_REMOVED_AFTER_SECONDS = 3600.0

Fetch = Callable[[Segment, Path], Samples]
"""Downloads a segment's samples, using an empty temporary folder."""


@dataclass(frozen=True)
class Pace:
    """Request rate, retries and backoff.

    per_hour : attempts per hour, evenly spaced; YouTube throttles guests above about 300
    workers : maximum number of concurrent attempts
    tries : attempts per segment and run on network failures
    backoff : seconds to wait after a rate limit; the next value if it persists, then the run stops
    failures : consecutive attempts without a final result before giving up
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
    """Result of a run.

    states : number of the list's segments in each state, without segments never tried
    waiting : number of segments that a later run will try
    stopped : why the run stopped early and how to resume; empty if it did not
    """

    states: Mapping[State, int]
    waiting: int
    stopped: str = ""


def audio_path(folder: str | Path, segment: Segment) -> Path:
    """Path of a segment's audio, whether or not it exists yet."""
    return Path(folder) / f"{segment.youtube_id}.flac"


def fetched_clips(segments: Iterable[Segment], folder: str | Path) -> list[Clip]:
    """List the clips of the segments that have been downloaded.

    Raises
    ------
    CorpusError
        if there is none.
    """
    ledger = read_ledger(folder)
    clips = []
    for segment in segments:
        entry, path = ledger.get(segment.youtube_id), audio_path(folder, segment)
        if entry and entry.is_of(segment) and entry.state is State.DONE and path.is_file():
            clips.append(segment.clip(path))
    if not clips:
        raise CorpusError(
            f"{folder}: none of the list's audio is there; run `crydistill fetch audioset`"
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
    """Download all segments that are neither present nor known to be gone.

    Parameters
    ----------
    tools : from `find_tools`; None if all segments are synthetic
    url_template : URL of a video, with `{id}` for its id
    render : synthesises the audio of synthetic segments

    Raises
    ------
    CorpusError
        if the ledger is malformed, the folder cannot be written, or a segment needs tools or a
        renderer that was not given.
    SetupError
        if this machine lacks something that a download needs. It is found before the first download
        where possible, and nothing is recorded about the videos.
    BusyError
        if another process is fetching into the same folder.
    """
    _check_list(segments, tools, render)
    folder = Path(folder).resolve()
    try:
        with exclusive(folder / ".lock"), Ledger(folder) as ledger:
            shutil.rmtree(_parts(folder), ignore_errors=True)
            _parts(folder).mkdir()
            left = unsettled(segments, folder, ledger)
            videos = [segment for segment in left if not segment.synthetic]
            if videos and tools is not None:
                check_tools(tools)
            with progress("fetch audioset", len(left), "segments") as advance:
                run = _Run(folder, ledger, pace, advance)
                if render is not None:
                    run.render([segment for segment in left if segment.synthetic], render)
                if tools is not None:
                    source = YtDlp(tools, url_template, pace.timeout)
                    run.download(videos, source)
            shutil.rmtree(_parts(folder), ignore_errors=True)
    except OSError as error:
        raise CorpusError(f"{folder}: cannot be written ({error})") from error
    entries = [ledger.of(segment) for segment in segments]
    states = Counter(entry.state for entry in entries if entry)
    waiting = sum(entry is None or entry.state not in FINAL for entry in entries)
    return FetchReport(states, waiting, run.stopped)


def unsettled(segments: Iterable[Segment], folder: Path, ledger: Ledger) -> list[Segment]:
    """The segments that need a download; files that a killed run left are checked and kept."""
    return [segment for segment in segments if not _is_settled(segment, folder, ledger)]


def _check_list(
    segments: Sequence[Segment],
    tools: Tools | None,
    render: Callable[[Segment], Samples] | None,
) -> None:
    if render is None and any(segment.synthetic for segment in segments):
        raise CorpusError("the list has synthetic segments, but no renderer was given")
    if tools is None and not all(segment.synthetic for segment in segments):
        raise CorpusError("the list has videos, which need yt-dlp and ffmpeg")
    twice = [name for name, n in Counter(s.youtube_id for s in segments).items() if n > 1]
    if twice:
        raise CorpusError(f"the list has {twice[0]} twice; remove one of the two rows")


class _RateLimiter:
    """Client-side rate limiter: spaces attempts evenly and backs off after a rate limit."""

    def __init__(self, pace: Pace, first_delay: float) -> None:
        self._pace = pace
        self._spacing = 3600.0 / pace.per_hour
        self._opens = time.monotonic() + first_delay
        self._limits = 0
        self.draining = False

    def delay(self, in_flight: int) -> float | None:
        """Seconds until another attempt may start; None if one has to end first."""
        # After a rate limit, a single attempt probes whether it still applies.
        room = 0 if self.draining else 1 if self._limits else self._pace.workers
        return max(0.0, self._opens - time.monotonic()) if in_flight < room else None

    def started(self) -> None:
        """Record that an attempt has started."""
        self._opens = max(self._opens, time.monotonic()) + self._spacing

    def ended(self, state: State) -> None:
        """Record the state of an attempt that has ended."""
        if state is State.RATE_LIMITED:
            self.draining = True
        elif state in FINAL and not self.draining:
            self._limits = 0

    def back_off(self) -> bool:
        """Start the next, longer backoff once all attempts have ended; False to give up."""
        if self._limits == len(self._pace.backoff):
            return False
        self._opens = time.monotonic() + self._pace.backoff[self._limits]
        self._limits += 1
        self.draining = False
        return True


class _Run:
    """One pass over the remaining segments.

    stopped : why it stopped early; empty if it did not
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
        """Synthesise the audio of synthetic segments."""
        for segment in segments:
            entry = _attempt(segment, self._folder, lambda synthetic, _: render(synthetic))
            self._ledger.append(entry)
            self._advance(1)

    def download(self, segments: Sequence[Segment], source: YtDlp) -> None:
        """Download the segments; no process is left running, even on an exception."""
        pool = ThreadPoolExecutor(self._pace.workers)
        try:
            self._download(deque(segments), source.fetch, pool)
        finally:
            source.stop()
            pool.shutdown(cancel_futures=True)

    def _download(self, queue: deque[Segment], fetch: Fetch, pool: ThreadPoolExecutor) -> None:
        in_flight: dict[Future[LedgerEntry], Segment] = {}
        limiter = _RateLimiter(self._pace, self._delay_from_last_run())
        while in_flight or (queue and not self.stopped):
            if limiter.draining and not in_flight and not limiter.back_off():
                self.stopped = _RATE_LIMIT_MESSAGE
                return
            delay = limiter.delay(len(in_flight)) if queue and not self.stopped else None
            if delay == 0.0:
                segment = queue.popleft()
                in_flight[pool.submit(_attempt, segment, self._folder, fetch)] = segment
                limiter.started()
            elif in_flight:
                for future in wait(in_flight, delay, FIRST_COMPLETED).done:
                    segment, entry = in_flight.pop(future), future.result()
                    limiter.ended(entry.state)
                    self._settle(segment, entry, queue)
            elif delay:
                time.sleep(delay)

    def _settle(self, segment: Segment, entry: LedgerEntry, queue: deque[Segment]) -> None:
        """Record an attempt's outcome, and requeue the segment for a retry if needed."""
        entry = self._confirm_removed(segment, entry)
        self._ledger.append(entry)
        if entry.state is State.RATE_LIMITED:
            # Last, so that a video that only asks to sign in does not keep the others waiting.
            queue.append(segment)
            return
        self._failures = 0 if entry.state in FINAL else self._failures + 1
        self._tries[segment.youtube_id] += 1
        if entry.state is State.NETWORK and self._tries[segment.youtube_id] < self._pace.tries:
            queue.append(segment)
        else:
            self._advance(1)
        if self._failures == self._pace.failures and queue:
            self.stopped = (
                f"{self._failures} attempts in a row failed, the last one with: {entry.detail}; "
                "fix the cause and run the same command again to resume"
            )

    def _confirm_removed(self, segment: Segment, entry: LedgerEntry) -> LedgerEntry:
        """Treat "unavailable" as removed if YouTube already reported it an hour ago."""
        since = self._ledger.unavailable_since(segment)
        waited = since is not None and entry.time - since >= _REMOVED_AFTER_SECONDS
        if entry.state is State.UNAVAILABLE and waited:
            return dataclasses.replace(entry, state=State.REMOVED)
        return entry

    def _delay_from_last_run(self) -> float:
        """Keep the request spacing across restarts."""
        last = max((entry.time for entry in self._ledger.last.values()), default=0.0)
        spacing = 3600.0 / self._pace.per_hour
        return min(max(0.0, last + spacing - time.time()), spacing)


_RATE_LIMIT_MESSAGE = (
    "YouTube's rate limit persisted after every wait; run the same command again in an hour or two "
    "to resume, with a lower --per-hour if needed"
)


def _attempt(segment: Segment, folder: Path, fetch: Fetch) -> LedgerEntry:
    """Fetch, decode, check, rename: the file exists if and only if the entry is done."""
    with tempfile.TemporaryDirectory(dir=_parts(folder), ignore_cleanup_errors=True) as name:
        tools_folder, part = Path(name) / "tools", Path(name) / "part.flac"
        tools_folder.mkdir()
        try:
            _write(part, fetch(segment, tools_folder))
            entry = _check_file(segment, part)
        except FetchFailedError as error:
            return _entry(segment, error.state, str(error))
        part.replace(audio_path(folder, segment))
        return entry


def _write(path: Path, samples: Samples) -> None:
    with path.open("wb") as file:
        file.write(encoded(np.clip(samples, -1.0, 1.0), form="FLAC"))
        file.flush()
        os.fsync(file.fileno())


def _check_file(segment: Segment, path: Path) -> LedgerEntry:
    """Decode and check a downloaded file; return its ledger entry."""
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
    """Whether a segment needs no download; also keeps valid files left by a killed run."""
    entry, path = ledger.of(segment), audio_path(folder, segment)
    if entry and entry.state in GONE:
        return True
    if not path.is_file():
        return False
    if entry and entry.state is State.DONE:
        return True
    try:
        found = _check_file(segment, path)
    except FetchFailedError:
        return False
    ledger.append(dataclasses.replace(found, detail="found here, checked"))
    return True


def _entry(segment: Segment, state: State, detail: str = "") -> LedgerEntry:
    now = round(time.time(), 3)
    return LedgerEntry(segment.youtube_id, segment.start, segment.end, state, now, detail)


def _parts(folder: Path) -> Path:
    return folder / ".parts"
