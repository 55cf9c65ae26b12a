from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crydistill.corpora.clip import Clip, Label
from crydistill.errors import CorpusError
from crydistill.selection.casting import Casting, Heard


def clip(name: str, label: Label = Label.UNLABELLED, group: str = "", source: str = "a") -> Clip:
    return Clip(name, Path(name), label, group=group or name, source=source)


CRY = Heard(clip("cry", Label.CRY), 0.9, 7.0)
SOUND = Heard(clip("dog", Label.NONCRY), 0.01, 5.0)


def drawn(casting: Casting, role: str, casts: int = 50) -> set[str]:
    found = [casting.cast(np.random.default_rng(seed)) for seed in range(casts)]
    return {one.id for cast in found for one in getattr(cast, role)}


def test_what_the_teacher_hears_decides_not_the_label() -> None:
    heard = [
        CRY,
        SOUND,
        Heard(clip("faint cry", Label.CRY), 0.2, 5.0),
        Heard(clip("breathing", Label.CRY), 0.05, 5.0),
        Heard(clip("cries after all", Label.NONCRY), 0.8, 5.0),
        Heard(clip("voice like a cry"), 0.7, 6.0),
        Heard(clip("voice between"), 0.2, 6.0),
        Heard(clip("voice unlike a cry"), 0.05, 6.0),
    ]
    casting = Casting(heard)
    assert drawn(casting, "cries") == {"cry", "faint cry", "voice like a cry"}
    assert drawn(casting, "sounds") == {"dog", "voice unlike a cry"}
    assert (casting.cries, casting.sounds) == (3, 2)


def test_only_long_quiet_labelled_sounds_lie_under_a_stream() -> None:
    rain = Heard(clip("rain", Label.NONCRY), 0.001, 20.0)
    short = Heard(clip("drop", Label.NONCRY), 0.001, 2.0)
    unlabelled = Heard(clip("formula"), 0.001, 20.0)
    casting = Casting([CRY, SOUND, rain, short, unlabelled])
    assert drawn(casting, "bed") == {"rain"}
    beds = [len(casting.cast(np.random.default_rng(seed)).bed) for seed in range(50)]
    assert 0 < sum(beds) < 50


def test_a_large_source_does_not_drown_a_small_one() -> None:
    many = [Heard(clip(f"voice {n}", source="voices"), 0.9, 6.0, weight=0.5) for n in range(3000)]
    few = [Heard(replace(CRY.clip, id=f"cry {n}", group=f"{n}"), 0.9, 7.0) for n in range(30)]
    casting = Casting([*many, *few, SOUND])
    casts = [casting.cast(np.random.default_rng(seed)) for seed in range(40)]
    sources = [one.source for cast in casts for one in cast.cries]
    # By the square root and the weights: 0.3 x 0.5 x 55 against 5.5.
    assert 0.3 < sources.count("a") / len(sources) < 0.5


def test_nothing_to_cast() -> None:
    with pytest.raises(CorpusError, match="no clip of crying"):
        Casting([SOUND]).cast(np.random.default_rng(0))
    with pytest.raises(CorpusError, match="no clip of other sounds"):
        Casting([CRY]).cast(np.random.default_rng(0))
