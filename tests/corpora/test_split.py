from pathlib import Path

import pytest

from crydistill.corpora.clip import Clip, Label
from crydistill.corpora.split import hold_out_groups
from crydistill.errors import CorpusError


def clips(groups: int, label: Label, per_group: int = 3) -> list[Clip]:
    return [
        Clip(f"{label}-{group}-{n}", Path("x"), label, f"{label}-{group}")
        for group in range(groups)
        for n in range(per_group)
    ]


def test_sides_share_no_group_and_both_have_both_kinds() -> None:
    everything = clips(40, Label.CRY) + clips(100, Label.NONCRY)
    kept, held = hold_out_groups(everything, share=0.2, seed=1)
    assert {c.group for c in kept}.isdisjoint({c.group for c in held})
    assert len(kept) + len(held) == len(everything)
    assert len({c.group for c in held if c.is_cry}) == 8
    assert len({c.group for c in held if not c.is_cry}) == 20


def test_the_seed_decides() -> None:
    everything = clips(40, Label.CRY) + clips(100, Label.NONCRY)
    first = hold_out_groups(everything, share=0.2, seed=1)
    assert first == hold_out_groups(everything, share=0.2, seed=1)
    assert first != hold_out_groups(everything, share=0.2, seed=2)


def test_at_least_one_group_stays_on_each_side() -> None:
    everything = clips(2, Label.CRY) + clips(2, Label.NONCRY)
    for share in (0.01, 0.99):
        kept, held = hold_out_groups(everything, share=share, seed=0)
        assert {c.label for c in kept} == {c.label for c in held} == {Label.CRY, Label.NONCRY}


def test_too_few_groups() -> None:
    with pytest.raises(CorpusError, match="the training clips have 1 group with cries"):
        hold_out_groups(clips(1, Label.CRY) + clips(9, Label.NONCRY), share=0.2, seed=0)
