import numpy as np
import pytest

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.vote import VoteSettings
from crydistill.nights.alarms import Episode, ScoredStream, det_curve
from crydistill.nights.night import Origin
from crydistill.nights.paired import Listener, compare_pairs

VOTE = VoteSettings(threshold=0.0, n=2, m=3, hold_seconds=2.0)
RATES = (1.0, 4.0)
BOUTS = 400


def night(seed: int) -> tuple[list[Origin], tuple[Episode, ...], int]:
    """Bouts of ten seconds every 24, one in five of a crying child."""
    rng = np.random.default_rng(seed)
    origins, episodes = [], []
    for number in range(BOUTS):
        start, cry = 24.0 * number + 1, rng.random() < 0.2
        group = f"{'child' if cry else 'thing'} {rng.integers(20)}"
        origins.append(Origin(start, "somewhere", group))
        if cry:
            episodes.append(Episode(start, start + 10, group))
    return origins, tuple(episodes), int(BOUTS * 24 / WINDOW_HOP_SECONDS)


def scores(origins: list[Origin], windows: int, skill: float, seed: int) -> np.ndarray:
    """Noise, higher in crying bouts by `skill`, and with something of its own in each bout."""
    rng = np.random.default_rng(seed)
    found = rng.normal(0, 0.05, windows)
    for origin in origins:
        first = int(origin.start / WINDOW_HOP_SECONDS)
        level = rng.normal(skill if origin.group.startswith("child") else 0, 0.4)
        found[first : first + 20] += level
    return np.clip(found + 1, 0, None).astype(np.float32)


def listeners(*skills: float, nights: int = 2) -> tuple[list[Listener], list[list[Origin]]]:
    made = [night(seed) for seed in range(nights)]
    found = []
    for number, skill in enumerate(skills):
        streams = [
            ScoredStream(scores(origins, windows, skill, 100 * number + at), episodes)
            for at, (origins, episodes, windows) in enumerate(made)
        ]
        found.append(Listener(f"ear {number}", streams, VOTE))
    return found, [origins for origins, _, _ in made]


def test_shares_are_those_of_the_det_curve() -> None:
    ears, origins = listeners(0.5, 1.2)
    pairs = compare_pairs(ears, origins, rates=RATES, replicates=50)
    assert [(pair.ours, pair.theirs, pair.per_hour) for pair in pairs] == [
        ("ear 1", "ear 0", rate) for rate in RATES
    ]
    for pair in pairs:
        ours, theirs = (1 - det_curve(ears[n].streams, VOTE).at(pair.per_hour)[1] for n in (1, 0))
        assert pair.our_share.value == pytest.approx(ours)
        assert pair.their_share.value == pytest.approx(theirs)
        assert pair.difference.value == pytest.approx(ours - theirs)


def test_a_better_network_is_better_and_the_same_is_the_same() -> None:
    ears, origins = listeners(0.5, 1.5)
    (pair, *_) = compare_pairs(ears, origins, rates=(4.0,), replicates=200)
    assert 0 < pair.difference.low < pair.difference.value < pair.difference.high
    twin = Listener("twin", ears[0].streams, VOTE)
    (same,) = compare_pairs([ears[0], twin], origins, rates=(4.0,), replicates=200)
    assert same.difference.value == 0


def test_nights_of_the_same_clips_narrow_nothing() -> None:
    ears, origins = listeners(0.5, 1.2, nights=1)
    (once,) = compare_pairs(ears, origins, rates=(4.0,), replicates=200)
    thrice = [Listener(ear.name, [*ear.streams] * 3, VOTE) for ear in ears]
    (again,) = compare_pairs(thrice, origins * 3, rates=(4.0,), replicates=200)
    assert again == once


def test_allowed_more_alarms_than_there_are_everything_is_caught() -> None:
    ears, origins = listeners(0.5, 1.2, nights=1)
    (pair,) = compare_pairs(ears, origins, rates=(1e6,), replicates=20)
    assert pair.our_share.value == pair.their_share.value == 1


def test_what_cannot_be_compared_is_left_out() -> None:
    ears, origins = listeners(0.5, 1.2, nights=1)
    assert compare_pairs(ears[:1], origins, rates=RATES) == []
    assert compare_pairs(ears, [[]], rates=RATES) == []
    quiet = [Listener(ear.name, [ScoredStream(ear.streams[0].scores)], VOTE) for ear in ears]
    assert compare_pairs(quiet, origins, rates=RATES) == []
