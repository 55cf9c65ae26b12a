"""Make replayed features: a student's embeddings of a stream of public training clips."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crydistill.corpora.clip import Clip
from crydistill.errors import CorpusError
from crydistill.experiment.streams import StreamOptions
from crydistill.feedback.embeddings import embeddings
from crydistill.feedback.replay import Replay
from crydistill.nights.alarms import ScoredStream
from crydistill.nights.streams import compose, measure_clips, render
from crydistill.progress import Progress, silent
from crydistill.seeds import generator
from crydistill.student.runtime import TfliteStudent


@dataclass(frozen=True)
class ReplayOptions:
    """What a replay is composed of.

    sounds : number of clips without a cry, drawn evenly over their sources
    episodes : of crying
    """

    sounds: int = 1_200
    episodes: int = 150


def make_replay(
    clips: Sequence[Clip],
    student: TfliteStudent,
    origin: Mapping[str, Any],
    *,
    options: ReplayOptions | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Replay:
    """Compose a stream of public clips and remember what a student remembers of it.

    Parameters
    ----------
    clips : openly licensed and of training groups; whatever is measured must not share a group
    student : with a memory
    origin : goes into the replay, with what was drawn

    Raises
    ------
    CorpusError
        if a clip is private, or there are none with or none without a cry.
    """
    options = options or ReplayOptions()
    private = next((clip for clip in clips if clip.private), None)
    if private is not None:
        raise CorpusError(f"{private.id}: is private; features are replayed of public clips only")
    sounds = _drawn(clips, options.sounds, seed)
    cries = [clip for clip in clips if clip.is_cry]
    measured, _ = measure_clips([*sounds, *cries], progress=progress)
    plan = compose(
        sounds=sounds, cries=cries, bed=[], measured=measured,
        options=StreamOptions(episodes=options.episodes), seed=seed,
    )  # fmt: skip
    with progress("hearing the replay", plan.samples, "samples") as advance:
        heard = embeddings(student, render(plan), on_heard=advance)
    played = {item.clip for item in plan.placed}
    licences = Counter(clip.licence for clip in clips if clip.id in played)
    return Replay(
        heard,
        ScoredStream(np.zeros(len(heard), dtype=np.float32), plan.episodes).bounds,
        student.manifest.tflite.sha256,
        {**origin, **asdict(options), "seed": seed, "licences": dict(sorted(licences.items()))},
    )


def _drawn(clips: Sequence[Clip], count: int, seed: int) -> list[Clip]:
    """Clips without a cry, one after the other from each source."""
    rng = generator(seed, "replay")
    waiting: dict[str, list[Clip]] = {}
    for clip in clips:
        if clip.label == "noncry":
            waiting.setdefault(clip.source, []).append(clip)
    shuffled = [[members[i] for i in rng.permutation(len(members))] for members in waiting.values()]
    drawn = []
    for turn in range(max(map(len, shuffled), default=0)):
        drawn += [members[turn] for members in shuffled if turn < len(members)]
    return drawn[:count]
