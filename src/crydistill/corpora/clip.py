"""Clips (a recording's path, labels and group) and corpora (lists of clips)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Label(StrEnum):
    """Label of a whole clip."""

    CRY = "cry"
    NONCRY = "noncry"
    UNLABELLED = "unlabelled"


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording; creating a clip reads no audio.

    id : unique within a corpus; for files in a folder, their relative path
    path : the audio file
    label : cry, noncry or unlabelled, for the clip as a whole (a weak label)
    group : recordings of one person, device or source item; a group stays in one split
    mids : AudioSet classes of the clip, where known
    category : the source's own class name, for tables ("Cat", "baby laugh")
    source : the corpus the clip came from
    licence : of the recording, as its source states it
    native_rate : sample rate in hertz of the original recording, None where unknown
    private : nothing derived from the clip may be published
    declared : its source states its licence, and whether it is private; recordings of which nobody
        said either may train a model, which may be published only when somebody has

    Examples
    --------
    >>> from pathlib import Path
    >>> from crydistill.corpora.clip import Clip, Label
    >>> clip = Clip("anna/1.wav", Path("audio/anna/1.wav"), Label.CRY, group="anna")
    >>> clip.is_cry, clip.group, clip.private
    (True, 'anna', False)
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
    declared: bool = True

    @property
    def is_cry(self) -> bool:
        return self.label is Label.CRY


Corpus = Sequence[Clip]


def duplicate_ids(clips: Iterable[Clip]) -> list[str]:
    """Ids shared by more than one clip, in order of appearance."""
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for clip in clips:
        if clip.id in seen:
            twice[clip.id] = None
        seen.add(clip.id)
    return list(twice)
