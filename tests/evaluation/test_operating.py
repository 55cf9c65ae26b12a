import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crydistill.detector.vote import VoteSettings, alerts
from crydistill.evaluation.operating import choose_presets, highest_vote, measure

tracks = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30).map(
    lambda scores: np.array(scores, dtype=np.float32)
)


@given(track=tracks, n=st.integers(1, 5), extra=st.integers(0, 4))
def test_the_highest_vote_is_where_the_detector_stops_alerting(
    track: np.ndarray, n: int, extra: int
) -> None:
    m = n + extra
    highest = highest_vote(track, n=n, m=m)
    above = float(np.nextafter(np.float32(highest), np.float32(2)))
    assert alerts(track, VoteSettings(threshold=above, n=n, m=m)) == []
    if len(track) >= n:
        assert alerts(track, VoteSettings(threshold=highest, n=n, m=m))


@given(noncries=st.lists(tracks, min_size=1, max_size=200))
def test_presets_keep_their_word_where_they_were_chosen(noncries: list[np.ndarray]) -> None:
    presets = choose_presets(noncries, n=3, m=5)
    allowed = {"sensitive": 0.01 * len(noncries), "balanced": 0, "quiet": 0}
    for name, threshold in presets.items():
        found = measure([], noncries, VoteSettings(threshold=threshold, n=3, m=5))
        assert found.false_alarms <= allowed[name]
    assert presets["sensitive"] <= presets["balanced"] < presets["quiet"]


def test_what_is_measured() -> None:
    loud = np.full(10, 0.9, dtype=np.float32)
    calm = np.full(20, 0.1, dtype=np.float32)
    found = measure([loud, calm], [calm, calm, loud], VoteSettings(threshold=0.5))
    assert found.recall == 0.5
    assert found.false_alarms == 1
    assert found.hours == pytest.approx(50 * 0.48 / 3600)


def test_no_clips() -> None:
    with pytest.raises(ValueError, match="clips without a cry"):
        choose_presets([], n=5, m=9)
