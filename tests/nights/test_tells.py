from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.nights.lengths import composed, invented

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.corpora.clip import Clip
from crydistill.corpora.folder import read_corpus
from crydistill.experiment.streams import StreamOptions
from crydistill.metrics.intervals import Estimate
from crydistill.nights.streams import Kind, Placed, StreamPlan, measure_clips
from crydistill.nights.tells import FEATURES, bout_table, tells

OPTIONS = StreamOptions(episodes=60)


def tell(found: dict[str, Estimate]) -> bool:
    """Whether any classifier is above chance."""
    return any(auc.low > 0.5 or auc.value > 0.55 for auc in found.values())


@pytest.fixture(scope="module")
def plans() -> list[StreamPlan]:
    clips, lengths = invented()
    return [composed(clips, lengths, OPTIONS, seed) for seed in range(3)]


def found_in(plans: list[StreamPlan]) -> dict[str, Estimate]:
    return tells(plans, replicates=200)


def test_composition_does_not_tell(plans: list[StreamPlan]) -> None:
    found = found_in(plans)
    assert len(found) == 4 and not tell(found), {name: str(auc) for name, auc in found.items()}


def cries_changed(plan: StreamPlan, **change: object) -> StreamPlan:
    """The same stream, with cries that differ in one respect."""

    def changed(item: Placed) -> Placed:
        return replace(item, **change) if item.kind is Kind.CRY else item  # type: ignore[arg-type]

    return replace(plan, placed=tuple(map(changed, plan.placed)))


def former(plan: StreamPlan) -> StreamPlan:
    """As nights used to be: other sounds single and half a second apart, cries in bouts."""
    placed, now = [], 0
    heard = [item for item in plan.placed if item.kind is not Kind.BED]
    for number, item in enumerate(heard):
        start = now + SAMPLE_RATE // 2
        now = start + item.stop - item.start
        bout = item.bout if item.kind is Kind.CRY else 10_000 + number
        placed.append(replace(item, start=start, stop=now, bout=bout))
    return replace(plan, placed=tuple(placed))


def longer(plan: StreamPlan) -> StreamPlan:
    """Cries play a second longer than other sounds."""

    def extended(item: Placed) -> Placed:
        more = SAMPLE_RATE if item.kind is Kind.CRY else 0
        return replace(item, stop=item.stop + more)

    return replace(plan, placed=tuple(map(extended, plan.placed)))


def test_the_former_composition_told(plans: list[StreamPlan]) -> None:
    found = found_in([former(plan) for plan in plans])
    assert min(auc.low for auc in found.values()) > 0.7


@pytest.mark.parametrize("respect", ["length", "level", "room"])
def test_any_single_difference_is_found(plans: list[StreamPlan], respect: str) -> None:
    change = {
        "length": longer,
        "level": lambda plan: cries_changed(plan, snr_db=25.0),
        "room": lambda plan: cries_changed(plan, room=None),
    }[respect]
    assert tell(found_in([change(plan) for plan in plans]))


def test_every_bout_is_a_row(plans: list[StreamPlan]) -> None:
    table = bout_table(plans)
    assert table.features.shape == (len(table.cry), len(FEATURES))
    assert np.isfinite(table.features).all()
    assert int(table.cry.sum()) == 3 * 60
    assert len(table.groups) == len(table.streams) == len(table.cry)
    clips = table.features[:, FEATURES.index("clips")]
    assert clips.min() == 1 and clips.max() == 5


def test_too_little_to_hold_out_is_named(plans: list[StreamPlan]) -> None:
    with pytest.raises(ValueError, match="one stream"):
        tells(plans[:1])
    few: list[Clip] = [clip for clip in invented()[0] if not clip.is_cry or clip.group == "child 1"]
    with pytest.raises(ValueError, match="1 groups of bouts with cry True"):
        tells([composed(few, invented()[1], OPTIONS, seed) for seed in range(2)])


@pytest.mark.shared
@pytest.mark.slow
def test_composition_of_real_clips_does_not_tell(shared: Path) -> None:
    clips = list(read_corpus(shared / "audio", where={"split": "dev"}))
    measured, _ = measure_clips(clips)
    plans = [composed(clips, measured, StreamOptions(), seed) for seed in range(6)]
    found = found_in(plans)
    assert not tell(found), {name: str(auc) for name, auc in found.items()}
    assert min(auc.low for auc in found_in([former(plan) for plan in plans]).values()) > 0.7
