from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from tests.nights.lengths import composed, invented

from crydistill.audio.augment import STRETCH_SAMPLES
from crydistill.audio.mel import SAMPLE_RATE
from crydistill.experiment.streams import StreamOptions
from crydistill.nights.bouts import Measured
from crydistill.nights.streams import Kind, Placed, StreamPlan

CLIPS, LENGTHS = invented()


@pytest.fixture(scope="module")
def plan() -> StreamPlan:
    return composed(CLIPS, LENGTHS, StreamOptions(episodes=90))


def bouts_of(plan: StreamPlan) -> list[list[Placed]]:
    heard = [item for item in plan.placed if item.kind is not Kind.BED]
    return [list(items) for _, items in groupby(heard, key=lambda item: item.bout)]


def test_every_sound_plays_once_and_long_ones_in_pieces(plan: StreamPlan) -> None:
    sounds = [item for item in plan.placed if item.kind is Kind.SOUND]
    assert all(item.use == 0 for item in sounds)
    counts = Counter(item.clip for item in sounds)
    assert counts.pop("rain") >= 60 / 7
    assert counts == {clip.id: 1 for clip in CLIPS if not clip.is_cry and clip.id != "rain"}
    rain = sorted((item.offset, item.stop - item.start) for item in sounds if item.clip == "rain")
    assert all(start + length <= after for (start, length), (after, _) in pairwise(rain))


def test_all_children_cry_before_any_cries_again(plan: StreamPlan) -> None:
    crying = [bout for bout in bouts_of(plan) if bout[0].kind is Kind.CRY]
    assert set(Counter(bout[0].group for bout in crying).values()) == {3}  # 90 episodes of 30
    assert all(len({item.group for item in bout}) == 1 for bout in crying)


def test_a_bout_is_of_one_group_or_kind_at_one_level_in_one_room(plan: StreamPlan) -> None:
    for bout in bouts_of(plan):
        assert 1 <= len(bout) <= 5
        assert len({(item.kind, item.snr_db, item.room) for item in bout}) == 1
        assert len({item.category for item in bout}) == 1
        assert len({item.group for item in bout}) == 1 or bout[0].category.startswith("kind")


def test_brief_clips_follow_each_other_soon(plan: StreamPlan) -> None:
    soon = []
    for bout in bouts_of(plan):
        for one, other in pairwise(bout):
            pause = (other.start - one.stop) / SAMPLE_RATE
            brief = max(one.stop - one.start, other.stop - other.start) <= 1.5 * SAMPLE_RATE
            assert 0.1 - 1e-4 <= pause <= 0.7 if brief else 0.5 - 1e-4 <= pause <= 5.0
            soon += [one.kind] if brief else []
    assert set(soon) == {Kind.CRY, Kind.SOUND}


def test_durations_are_distributed_alike() -> None:
    plans = [composed(CLIPS, LENGTHS, StreamOptions(episodes=90), seed) for seed in range(4)]

    def seconds(kind: Kind) -> list[float]:
        bouts = [bout for plan in plans for bout in bouts_of(plan) if bout[0].kind is kind]
        return [sum(item.stop - item.start for item in bout) / SAMPLE_RATE for bout in bouts]

    assert ks_2samp(seconds(Kind.CRY), seconds(Kind.SOUND)).pvalue > 0.05


def test_without_cries_sounds_play_whole() -> None:
    sounds = [clip for clip in CLIPS if not clip.is_cry]
    plan = composed(sounds, LENGTHS, StreamOptions(episodes=0))
    heard = {item.clip: item.stop - item.start for item in plan.placed if item.kind is Kind.SOUND}
    assert heard == {clip.id: LENGTHS[clip.id].samples for clip in sounds}


def test_without_sounds_there_are_bouts_of_whole_cries() -> None:
    cries = [clip for clip in CLIPS if clip.is_cry]
    plan = composed(cries, LENGTHS, StreamOptions(episodes=40))
    assert len(plan.episodes) == len(bouts_of(plan)) == 40
    assert {len(bout) for bout in bouts_of(plan)} == {1, 2, 3, 4, 5}
    for bout in bouts_of(plan):
        assert all(item.stop - item.start == LENGTHS[item.clip].samples for item in bout)


def test_a_longer_stream_repeats_sounds_and_says_so() -> None:
    plan = composed(CLIPS, LENGTHS, StreamOptions(episodes=5, hours=3.0))
    assert 3.0 <= plan.hours < 3.1
    found = {(item.clip, item.use) for item in plan.placed if item.kind is Kind.SOUND}
    uses = Counter(use for _, use in found)
    assert uses[0] >= uses[1] > 0 and plan.reused == sum(uses.values()) - uses[0]
    assert plan.sounds == sum(uses.values())


@given(
    powers=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30),
    data=st.data(),
)
def test_the_loudest_stretch_is_inside_and_no_other_has_more(
    powers: list[float], data: st.DataObject
) -> None:
    total = len(powers) * STRETCH_SAMPLES
    measured = Measured(total, -20.0, np.array(powers, dtype=np.float32))
    count = data.draw(st.integers(1, len(powers)))
    start = measured.loudest(0, total, count * STRETCH_SAMPLES)
    assert 0 <= start <= total - count * STRETCH_SAMPLES
    first = start // STRETCH_SAMPLES
    best = max(sum(powers[at : at + count]) for at in range(len(powers) - count + 1))
    assert sum(powers[first : first + count]) == pytest.approx(best, abs=1e-6)


def test_the_level_is_of_the_part_that_plays() -> None:
    powers = np.array([1e-2, 1e-2, 1e-4, 1e-4, 0.0], dtype=np.float32)
    measured = Measured(5 * STRETCH_SAMPLES, -20.0, powers)
    assert measured.level(0, 2 * STRETCH_SAMPLES) == pytest.approx(-20)
    assert measured.level(2 * STRETCH_SAMPLES, 4 * STRETCH_SAMPLES) == pytest.approx(-40)
    # Of a silent part it is the clip's.
    assert measured.level(4 * STRETCH_SAMPLES, 5 * STRETCH_SAMPLES) == -20
    assert replace(measured, powers=np.empty(0, np.float32)).level(0, 800) == -20
