"""Labelled clips, and the scores that models gave them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.corpora.clip import Corpus, Label, duplicate_ids
from crydistill.errors import CorpusError


@dataclass(frozen=True, eq=False)
class ModelScores:
    """One model's scores of every clip, in the order of the clips.

    name : for tables, plots and JSON
    windows : cry score of each window, one array `[windows]` per clip
    kl : mean over each clip's windows of the KL divergence from the teacher (see `window_kl`),
        `[clips]`; None if the model does not output the 521 classes
    """

    name: str
    windows: Sequence[npt.NDArray[Any]]
    kl: Sequence[float] | None = None


@dataclass(frozen=True, eq=False)
class EvaluatedClips:
    """Labelled clips as parallel sequences.

    labels : true for cries, bool [n]
    native_rates : sample rate in hertz of the original recording, None where unknown
    private : at least one clip is private, and so is everything derived from them
    undeclared : number of clips of which nobody stated licence and privacy (`Clip.declared`)
    """

    ids: Sequence[str]
    labels: npt.NDArray[np.bool_]
    groups: Sequence[str]
    categories: Sequence[str]
    sources: Sequence[str]
    native_rates: Sequence[int | None]
    private: bool = False
    undeclared: int = 0

    @classmethod
    def from_clips(cls, clips: Corpus) -> "EvaluatedClips":
        """Make parallel sequences of a corpus.

        Raises
        ------
        CorpusError
            if there is no clip, a clip is unlabelled, or two share an id.
        """
        if not clips:
            raise CorpusError("no clips to evaluate on; choose a split that has some")
        for clip in clips:
            if clip.label is Label.UNLABELLED:
                raise CorpusError(
                    f"{clip.id}: unlabelled; evaluate only on clips labelled cry or noncry"
                )
        if twice := duplicate_ids(clips):
            raise CorpusError(f"{twice[0]}: two clips have this id; give each its own")
        return cls(
            ids=tuple(clip.id for clip in clips),
            labels=np.array([clip.is_cry for clip in clips]),
            groups=tuple(clip.group for clip in clips),
            categories=tuple(clip.category for clip in clips),
            sources=tuple(clip.source for clip in clips),
            native_rates=tuple(clip.native_rate for clip in clips),
            private=any(clip.private for clip in clips),
            undeclared=sum(not clip.declared for clip in clips),
        )

    def __len__(self) -> int:
        return len(self.ids)
