"""Streams as audio files, for a student with memory to train on.

Each stream is composed of its own cast of clips like a night (`crydistill.nights.streams`). Few
children and few phones have to stand for all: before it plays, every group of clips is made larger
or smaller (played slower or faster) and recorded anew, and the whole stream goes through another
microphone. Which of its stretches hold sounds that nobody labelled as free of cries is kept beside
it.
"""

import itertools
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from crydistill import atomic
from crydistill.audio.files import read_audio
from crydistill.audio.mel import SAMPLE_RATE
from crydistill.audio.variation import Variation, vary
from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.corpora.clip import Clip, Label
from crydistill.detector.vote import WINDOW_SECONDS
from crydistill.errors import StoreError
from crydistill.experiment.streams import StreamOptions
from crydistill.json_file import read_json
from crydistill.nights.streams import StreamPlan, compose, measure_clips, render
from crydistill.processes import in_processes
from crydistill.progress import Progress, silent
from crydistill.seeds import generator
from crydistill.selection.casting import Cast

STREAMS_VERSION = 3
"""Incremented with every audible change."""

EPISODES = 6
"""Episodes of crying in a stream."""

LEAST_GAP_SECONDS, MEAN_GAP_SECONDS = 0.5, 1.5
"""Shorter gaps than at night: there is nothing to learn from background alone."""

_STREAMS_PER_PROCESS = 4

_UNVARIED = Variation(
    speed=0.0, room=0.0, noise=0.0, microphone=0.0, band_limit=0.0, level=0.0, bits=0.0
)
_ANOTHER_SOURCE = replace(_UNVARIED, speed=1.0, microphone=0.5, band_limit=0.1, recorder=0.2)
"""How every group's clips are varied; a stream draws its rooms and levels itself."""

_ANOTHER_DEVICE = replace(_UNVARIED, microphone=0.5, band_limit=0.2, bits=0.15, recorder=0.3)
"""How a whole stream is varied."""
_REMEDY = "delete it, and it is made again"


@dataclass(frozen=True)
class StreamFile:
    """A stream on disk.

    clip : the file as a clip of a corpus, unlabelled
    unsure : stretches in seconds, `[n, 2]`, in which something plays that is not labelled noncry
    """

    clip: Clip
    unsure: npt.NDArray[np.float64]

    def surely_no_cry(self, windows: int, seconds: float) -> npt.NDArray[np.bool_]:
        """Whether nothing unsure sounds in the last `seconds` of each window, `[windows]`."""
        ends = np.arange(windows) * WINDOW_HOP_SECONDS + WINDOW_SECONDS
        starts = ends - seconds
        overlaps = (self.unsure[:, 0] < ends[:, None]) & (self.unsure[:, 1] > starts[:, None])
        return np.asarray(~overlaps.any(axis=1))


def write_streams(
    directory: str | Path,
    casts: Sequence[Cast],
    *,
    seed: int,
    progress: Progress = silent,
) -> list[StreamFile]:
    """Write a stream of each cast, those that are missing, on all processors.

    A stream depends only on its cast, the seed and its number.

    Raises
    ------
    AudioError
        if a clip can no longer be read.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    numbered = list(enumerate(casts))
    missing = [one for one in numbered if not _paths(directory, one[0])[1].is_file()]
    with progress("streams", len(missing), "streams") as advance:
        for _ in in_processes(
            partial(_write, directory, seed), missing, least=_STREAMS_PER_PROCESS
        ):
            advance(1)
    return [_read(directory, number, cast) for number, cast in numbered]


def _paths(directory: Path, number: int) -> tuple[Path, Path]:
    """The audio, and what is known of it, which is written last."""
    return directory / f"stream-{number:05}.flac", directory / f"stream-{number:05}.json"


def _write(directory: Path, seed: int, numbered: tuple[int, Cast]) -> None:
    number, cast = numbered
    audio, facts = _paths(directory, number)
    with tempfile.TemporaryDirectory(prefix=".varied-", dir=directory) as varied:
        plan = _plan(_varied(cast, seed, number, Path(varied)), seed, number)
        played = np.concatenate(list(render(plan)))
    samples = vary(played, (), _ANOTHER_DEVICE, generator(seed, "stream file", str(number)))
    unsure = _unsure(plan, cast, late=(len(played) - len(samples)) / SAMPLE_RATE)
    with atomic.replacing(audio) as temporary:
        soundfile.write(temporary, samples, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    atomic.write_text(facts, json.dumps({"unsure_s": unsure}) + "\n")


def _varied(cast: Cast, seed: int, number: int, directory: Path) -> Cast:
    """The cast with clips that sound of another size and through another microphone."""

    def another(clip: Clip) -> Clip:
        path = directory / f"{next(numbers)}.wav"
        # The clips of a group draw alike: they are of one child, recorded in one way.
        rng = generator(seed, "stream group", str(number), clip.group)
        samples = vary(read_audio(clip.path).samples, (), _ANOTHER_SOURCE, rng)
        soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")
        return replace(clip, path=path)

    numbers = itertools.count()
    return replace(
        cast,
        cries=tuple(another(clip) for clip in cast.cries),
        sounds=tuple(another(clip) for clip in cast.sounds),
    )


def _plan(cast: Cast, seed: int, number: int) -> StreamPlan:
    measured, _ = measure_clips([*cast.cries, *cast.sounds, *cast.bed])
    return compose(
        sounds=cast.sounds,
        cries=cast.cries,
        bed=cast.bed,
        measured=measured,
        options=StreamOptions(
            episodes=EPISODES,
            least_gap_seconds=LEAST_GAP_SECONDS,
            mean_gap_seconds=MEAN_GAP_SECONDS,
        ),
        seed=int(generator(seed, "stream plan", str(number)).integers(2**31)),
    )


def _unsure(plan: StreamPlan, cast: Cast, late: float) -> list[list[float]]:
    """Where sounds not labelled noncry play, in seconds of the file without its `late` start."""
    sure = {clip.id for clip in (*cast.sounds, *cast.bed) if clip.label is Label.NONCRY}
    tail = plan.options.reverberation_seconds[1]
    return [
        [
            round(item.start / SAMPLE_RATE - late, 3),
            round(item.stop / SAMPLE_RATE + tail - late, 3),
        ]
        for item in plan.placed
        if item.path is not None and item.clip not in sure
    ]


def _read(directory: Path, number: int, cast: Cast) -> StreamFile:
    audio, facts = _paths(directory, number)
    stretches = read_json(facts, _REMEDY, error=StoreError).get("unsure_s")
    unsure = np.array(stretches, dtype=np.float64).reshape(-1, 2)
    clip = Clip(
        audio.name,
        audio,
        Label.UNLABELLED,
        group=audio.stem,
        source="streams",
        private=any(one.private for one in (*cast.cries, *cast.sounds, *cast.bed)),
    )
    return StreamFile(clip, unsure)
