"""Streams as audio files, for a student with memory to train on.

Each stream is composed of its own cast of clips like a night (`crydistill.nights.streams`), then
played a little faster or slower and through a random microphone. Where few children and few phones
have to stand for all, every group of clips can be made larger or smaller (played slower or faster)
and recorded anew before it plays. Which of a stream's stretches hold sounds that nobody labelled as
free of cries is kept beside it.
"""

import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crydistill import atomic
from crydistill.audio.augment import change_speed
from crydistill.audio.encoding import write_sound
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

STREAMS_VERSION = 2
"""Incremented with every audible change."""

EPISODES = 6
"""Episodes of crying in a stream."""

LEAST_GAP_SECONDS, MEAN_GAP_SECONDS = 0.5, 1.5
"""Shorter gaps than at night: there is nothing to learn from background alone."""

_STREAMS_PER_PROCESS = 4

_SPEEDS = (0.87, 1.15)
_ANOTHER_DEVICE = Variation(speed=0.0, room=0.0, noise=0.0, recorder=0.3, level=0.0)
"""How a whole stream is varied; it draws its rooms and levels itself."""

_ANOTHER_SOURCE = replace(_ANOTHER_DEVICE, speed=1.0, band_limit=0.1, recorder=0.2, bits=0.0)
"""How every group's clips are varied, if they are."""

_DEVICE_OF_VARIED = replace(_ANOTHER_DEVICE, band_limit=0.2)
"""How a stream is varied then: some of its groups have a narrow band already."""

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
    vary_groups: bool = False,
    wanted: Callable[[str], bool] = lambda clip_id: True,
    progress: Progress = silent,
) -> list[StreamFile]:
    """Write a stream of each cast, those that are missing, on all processors.

    Only those whose clip's id is wanted are written and returned.

    A stream depends only on its cast, the seed, its number and `vary_groups`: whether every group
    of clips has a speed and a microphone of its own, and not only the stream.

    Raises
    ------
    AudioError
        if a clip can no longer be read.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    numbered = [
        (number, cast)
        for number, cast in enumerate(casts)
        if wanted(_paths(directory, number)[0].name)
    ]
    missing = [one for one in numbered if not _paths(directory, one[0])[1].is_file()]
    with progress("streams", len(missing), "streams") as advance:
        for _ in in_processes(
            partial(_write, directory, seed, vary_groups), missing, least=_STREAMS_PER_PROCESS
        ):
            advance(1)
    return [_read(directory, number, cast) for number, cast in numbered]


def _paths(directory: Path, number: int) -> tuple[Path, Path]:
    """The audio, and what is known of it, which is written last."""
    return directory / f"stream-{number:05}.flac", directory / f"stream-{number:05}.json"


def _write(directory: Path, seed: int, vary_groups: bool, numbered: tuple[int, Cast]) -> None:
    number, cast = numbered
    audio, facts = _paths(directory, number)
    rng = generator(seed, "stream file", str(number))
    if vary_groups:
        with tempfile.TemporaryDirectory(prefix=".varied-", dir=directory) as varied:
            plan = _plan(_varied(cast, seed, number, Path(varied)), seed, number)
            played, speed = np.concatenate(list(render(plan))), 1.0
        samples = vary(played, (), _DEVICE_OF_VARIED, rng)
    else:
        plan = _plan(cast, seed, number)
        speed = float(np.exp(rng.uniform(*np.log(_SPEEDS))))
        played = change_speed(np.concatenate(list(render(plan))), speed)
        samples = vary(played, (), _ANOTHER_DEVICE, rng)
    unsure = _unsure(plan, cast, speed, late=(len(played) - len(samples)) / SAMPLE_RATE)
    write_sound(audio, samples, form="FLAC")
    atomic.write_text(facts, json.dumps({"unsure_s": unsure}) + "\n")


def _varied(cast: Cast, seed: int, number: int, directory: Path) -> Cast:
    """The cast with clips that sound of another size and through another microphone."""

    def another(clip: Clip) -> Clip:
        path = directory / f"{next(numbers)}.wav"
        # The clips of a group draw alike: they are of one child, recorded in one way.
        rng = generator(seed, "stream group", str(number), clip.group)
        samples = vary(read_audio(clip.path).samples, (), _ANOTHER_SOURCE, rng)
        write_sound(path, samples, subtype="FLOAT")
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


def _unsure(plan: StreamPlan, cast: Cast, speed: float, late: float) -> list[list[float]]:
    """Where sounds not labelled noncry play, in seconds of the file without its `late` start."""
    sure = {clip.id for clip in (*cast.sounds, *cast.bed) if clip.label is Label.NONCRY}
    tail = plan.options.reverberation_seconds[1]
    return [
        [
            round(item.start / SAMPLE_RATE / speed - late, 3),
            round((item.stop / SAMPLE_RATE + tail) / speed - late, 3),
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
