import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from crydistill.corpora.captures import Tier, hold_out, read_captures
from crydistill.errors import ConfigError, CorpusError
from crydistill.synthesis.home import (
    FIRST_DAY,
    Activity,
    Home,
    compose_captures,
    write_captures,
)

CRYING = (Activity.CRYING, Activity.DISTANT_CRYING)
SHORT = 4.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of short captures."""
    folder = tmp_path_factory.mktemp("home") / "captures"
    write_captures(folder, days=1, seed=2, seconds=SHORT)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_written_is_read_back(folder: Path) -> None:
    captures = read_captures(folder, tiers=folder / "tiers.csv")
    composed = compose_captures(days=1, seed=2)
    assert [clip.id for clip in captures.clips] == [capture.name for capture in composed]
    assert [captures.recorded_at[capture.name] for capture in composed] == [
        capture.at for capture in composed
    ]
    assert captures.tier == {capture.name: capture.tier for capture in composed if capture.tier}
    assert not captures.unreadable
    kept, held = hold_out(captures)
    assert kept
    assert held


def test_captures_are_sixteen_kilohertz_mono(folder: Path) -> None:
    info = soundfile.info(next(folder.glob("cry-*.wav")))
    assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
    assert info.duration == SHORT


def test_some_are_dated_by_their_modification_time_only(folder: Path) -> None:
    undated = list(folder.glob("manual-*.wav"))
    assert 0 < len(undated) < 20


def test_truth_knows_the_crying(folder: Path) -> None:
    for row in rows_of(folder / "truth.csv"):
        cries = float(row["crying_s"])
        assert (cries > 0.5) == (row["activity"] in CRYING)
        assert cries < SHORT


def test_the_days_have_a_rhythm() -> None:
    captures = compose_captures(days=10, seed=0)
    assert 60 * 10 < len(captures) < 130 * 10
    assert len({capture.name for capture in captures}) == len(captures)
    assert {capture.at.hour for capture in captures} == set(range(24))
    cries = Counter(capture.at.hour for capture in captures if capture.activity in CRYING)
    assert sum(cries[hour] for hour in (3, 4, 5, 17, 18, 19)) > 0.4 * cries.total()
    assert sum(cries[hour] for hour in (6, 7, 8)) < 0.05 * cries.total()
    babbles = Counter(
        capture.at.hour for capture in captures if capture.activity is Activity.BABBLE
    )
    assert sum(babbles[hour] for hour in (6, 7)) > 3 * sum(babbles[hour] for hour in (22, 23, 0, 1))


def test_tiers_follow_the_truth_but_not_always() -> None:
    captures = compose_captures(days=10, seed=0)
    of_tier = {
        tier: [capture.activity for capture in captures if capture.tier is tier] for tier in Tier
    }
    share = {
        tier: sum(activity in CRYING for activity in found) / len(found)
        for tier, found in of_tier.items()
    }
    assert share[Tier.HIGH_POS] > 0.95
    assert share[Tier.HIGH_NEG] < 0.02
    assert share[Tier.HIGH_POS] > share[Tier.MEDIUM_POS] > share[Tier.LOW] > share[Tier.MEDIUM_NEG]
    assert any(capture.tier is None for capture in captures)


def test_crying_is_louder_than_nothing() -> None:
    home = Home(0)
    captures = compose_captures(days=2, seed=0)

    def level(activity: Activity) -> float:
        capture = next(capture for capture in captures if capture.activity is activity)
        return float(np.std(home.record(capture, 10.0)))

    assert level(Activity.CRYING) > 3 * level(Activity.DISTANT_CRYING)
    assert level(Activity.DISTANT_CRYING) > level(Activity.NOTHING) > 0


def test_cries_lie_where_it_is_loud() -> None:
    home = Home(1)
    captures = compose_captures(days=2, seed=1)
    capture = next(capture for capture in captures if capture.activity is Activity.CRYING)
    samples = home.record(capture, 20.0).astype(np.float64)
    inside = np.zeros(len(samples), dtype=bool)
    for start, stop in home.cries(capture, 20.0):
        inside[int(16_000 * start) : int(16_000 * stop)] = True
    assert np.std(samples[inside]) > 2 * np.std(samples[~inside])


def test_every_day_and_seed_differs_and_repeats() -> None:
    one = compose_captures(days=2, seed=0)
    assert one == compose_captures(days=2, seed=0)
    assert one[: len(one) // 3] == compose_captures(days=3, seed=0)[: len(one) // 3]
    assert [capture.at for capture in one] != [
        capture.at for capture in compose_captures(days=2, seed=1)
    ]
    assert np.array_equal(Home(0).record(one[0], SHORT), Home(0).record(one[0], SHORT))
    assert not np.array_equal(Home(0).record(one[0], SHORT), Home(1).record(one[0], SHORT))


def test_writing_again_only_adds_what_is_missing(folder: Path) -> None:
    names = sorted(folder.glob("cry-*.wav"))
    before = names[0].stat().st_ino
    missing = names[1].read_bytes()
    names[1].unlink()
    names[2].write_bytes(b"cut off")
    write_captures(folder, days=1, seed=2, seconds=SHORT)
    assert names[0].stat().st_ino == before
    assert names[1].read_bytes() == missing
    assert len(names[2].read_bytes()) == len(missing)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_another_home_does_not_move_in(folder: Path) -> None:
    with pytest.raises(CorpusError, match="contains other files"):
        write_captures(folder, days=1, seed=3, seconds=SHORT)


def test_bad_requests(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose at least a day"):
        write_captures(tmp_path / "a", days=0)
    with pytest.raises(ConfigError, match="4 s"):
        write_captures(tmp_path / "a", days=1, seconds=1.0)
    (tmp_path / ".git").mkdir()
    with pytest.raises(CorpusError, match="git work tree"):
        write_captures(tmp_path / "a", days=1)
    assert FIRST_DAY.utcoffset()
