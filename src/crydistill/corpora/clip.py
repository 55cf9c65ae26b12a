"""A clip is one recording with labels and a group; a corpus is a list of clips."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Label(StrEnum):
    """What a clip is known to hold."""

    CRY = "cry"
    NONCRY = "noncry"
    UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Clip:
    """One recording. Listing it reads no audio.

    id : unique within a corpus; for files below a root, their relative path
    path : where the audio lies
    label : cry, noncry or unlabelled, for the clip as a whole (a weak label)
    group : recordings of one person, device or source item; a group stays in one split
    mids : AudioSet classes of the clip, where known
    category : the source's own class name, for tables ("Cat", "baby laugh")
    source : the corpus the clip came from
    licence : of the recording, as its source states it
    native_rate : sample rate in hertz of the original recording, None where unknown
    private : nothing derived from the clip may be published
    """

    id: str
    path: Path
    label: Label
    group: str
    mids: tuple[str, ...] = ()
    category: str = ""
    source: str = ""
    licence: str = ""
    native_rate: int | None = None
    private: bool = False

    @property
    def is_cry(self) -> bool:
        return self.label is Label.CRY


Corpus = Sequence[Clip]


def duplicate_ids(clips: Iterable[Clip]) -> list[str]:
    """Ids that more than one clip claims, in order of appearance."""
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for clip in clips:
        if clip.id in seen:
            twice[clip.id] = None
        seen.add(clip.id)
    return list(twice)
