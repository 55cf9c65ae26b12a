"""The night composed of the validation clips, on which checkpoints and presets are chosen.

Its log-mel frames are kept, so that it is rendered once for all seeds and recipes.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from crydistill import atomic
from crydistill.audio.mel import SAMPLE_RATE, MelStream
from crydistill.audio.windows import window_count, windows
from crydistill.corpora.clip import Clip, Label
from crydistill.errors import StoreError
from crydistill.evaluation.scorers import StudentNetwork
from crydistill.experiment.streams import StreamOptions
from crydistill.json_file import read_json
from crydistill.nights.alarms import Episode, ScoredStream
from crydistill.nights.bouts import COMPOSITION_VERSION
from crydistill.nights.night import ClipNight, clip_nights
from crydistill.run_directory import fingerprint
from crydistill.stages.context import Context
from crydistill.teacher.rows import Float16

OPTIONS = StreamOptions(episodes=200)
"""More episodes than at other nights: checkpoints differ by few of them."""

_SEED = 0
_WINDOWS_AT_ONCE = 1024


@dataclass(frozen=True)
class ValidationNight:
    """Frames of a night, `[frames, 64]` float16, memory-mapped, and its episodes of crying."""

    frames: Float16
    episodes: tuple[Episode, ...]

    @property
    def windows(self) -> int:
        return window_count(len(self.frames))

    def patches(self) -> Iterator[np.ndarray[tuple[int, int, int], np.dtype[np.float32]]]:
        """The windows in order, in blocks `[n, 96, 64]`."""
        view = windows(self.frames)
        for start in range(0, len(view), _WINDOWS_AT_ONCE):
            yield np.ascontiguousarray(view[start : start + _WINDOWS_AT_ONCE], dtype=np.float32)

    def scored(self, scores: np.ndarray[tuple[int], np.dtype[np.float32]]) -> ScoredStream:
        """The night with a student's scores of its windows."""
        return ScoredStream(scores, self.episodes)


def validation_night(context: Context) -> ValidationNight:
    """Compose and render the night, or open it if it was rendered before."""
    key = fingerprint(
        COMPOSITION_VERSION, context.data_key(context.splits.validation), asdict(OPTIONS), _SEED
    )
    directory = context.config.stores / f"validation-night-{key[:8]}"
    frames, facts = directory / "frames.npy", directory / "night.json"
    if not facts.is_file():
        directory.mkdir(parents=True, exist_ok=True)
        _render(context, _composed(context), frames, facts)
    found = read_json(facts, "delete it, and the night is made again", error=StoreError)
    episodes = tuple(Episode(**episode) for episode in found["episodes"])
    return ValidationNight(np.load(frames, mmap_mode="r"), episodes)


def heard_night(context: Context, network: StudentNetwork) -> ScoredStream:
    """The night with a student's scores of its windows."""
    night, listener = validation_night(context), network.listener()
    scores = []
    with context.progress("validation night", night.windows, "windows") as advance:
        for patches in night.patches():
            scores.append(listener.push(patches))
            advance(len(patches))
    return night.scored(np.concatenate(scores))


def _composed(context: Context) -> ClipNight:
    corpora: dict[str, list[Clip]] = {}
    for corpus, clips in context.splits.validation:
        labelled = [clip for clip in clips if clip.label is not Label.UNLABELLED]
        corpora.setdefault(corpus.store_name, []).extend(labelled)
    (night,) = clip_nights(corpora, options=OPTIONS, seeds=[_SEED], progress=context.progress)
    return night


def _render(context: Context, night: ClipNight, frames: Path, facts: Path) -> None:
    mel, parts = MelStream(), []
    with context.progress("validation night", round(night.seconds), "seconds") as advance:
        for block in night.blocks():
            parts.append(mel.push(block).astype(np.float16))
            advance(len(block) // SAMPLE_RATE)
    with atomic.replacing(frames) as temporary, Path(temporary).open("wb") as file:
        np.save(file, np.concatenate(parts))
    # The episodes are written last: with them, the night is complete.
    episodes = [asdict(episode) for episode in night.episodes]
    atomic.write_text(facts, json.dumps({"episodes": episodes}) + "\n")
