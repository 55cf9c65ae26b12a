from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.feedback.toys import cries, put, replay, student, toy
from tests.nights.nightly import tone

from crydistill.corpora.clip import Clip, Label
from crydistill.detector.settings import vote_settings
from crydistill.detector.vote import VoteSettings
from crydistill.errors import CorpusError
from crydistill.nights import adapting
from crydistill.nights.adapting import (
    AdaptedHome,
    AdaptingOptions,
    Half,
    Homes,
    adapting_record,
    half_of,
    seen,
)
from crydistill.reports.adapting_tables import markdown_tables, terminal_table

OPTIONS = AdaptingOptions(homes=2, screened=20, hard=2, easy=3, hours=0.15, episodes=1)
VOTE = vote_settings(student().manifest, "balanced")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Toys that raise alerts, tones that do not, and cries."""
    folder = tmp_path_factory.mktemp("sounds")
    sounds = [(f"toy{n}", Label.NONCRY, "toy", toy(n)) for n in range(4)]
    sounds += [(f"tone{n}", Label.NONCRY, "tone", tone(200.0 + 50 * n, 3.0)) for n in range(5)]
    sounds += [(f"cry{n}", Label.CRY, "cry", samples) for n, samples in enumerate(cries())]
    return [
        Clip(name, put(folder, f"{name}.wav", samples), label, name, category=category)
        for name, label, category, samples in sounds
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


def homes(clips: list[Clip], folder: Path, options: AdaptingOptions = OPTIONS) -> Homes:
    return Homes(clips, student(), replay(), VOTE, folder, options, seed=0)


@pytest.fixture(scope="module")
def lived(clips: list[Clip], folder: Path) -> list[AdaptedHome]:
    return homes(clips, folder).adapt()


def test_a_home_has_sounds_that_set_the_student_off(clips: list[Clip], folder: Path) -> None:
    made = homes(clips, folder)
    assert {clip.category for clip in made._hard} == {"toy"}
    drawn = made._drawn(np.random.default_rng(0))
    assert [clip in made._hard for clip in drawn] == [True] * 2 + [False] * 3


def test_reviewed_false_alarms_are_fewer_on_another_night(
    clips: list[Clip], folder: Path, lived: list[AdaptedHome]
) -> None:
    made = homes(clips, folder)
    assert sum(home.reviewed["not a cry"] for home in lived) > 0
    before = sum(sum(made.before(home).false_alarms.values()) for home in lived)
    after = sum(sum(made.after(home, home).false_alarms.values()) for home in lived)
    assert before > 0
    assert after < before / 2


def test_a_run_that_was_killed_goes_on(
    clips: list[Clip], folder: Path, lived: list[AdaptedHome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is not heard again."""
    monkeypatch.setattr(adapting, "render", None)
    again = homes(clips, folder).adapt()
    for one, other in zip(lived, again, strict=True):
        np.testing.assert_array_equal(one.night, other.night)
        np.testing.assert_array_equal(one.head.hidden.weights, other.head.hidden.weights)
        assert (one.vote, one.means, one.reviewed) == (other.vote, other.means, other.reviewed)


def test_the_record_makes_tables(clips: list[Clip], folder: Path, lived: list[AdaptedHome]) -> None:
    record = adapting_record(
        homes(clips, folder), lived, preset="balanced", options=OPTIONS, seed=0,
        provenance={"git_commit": None, "versions": {}, "kernels": "optimized"},
    )  # fmt: skip
    text = markdown_tables(record)
    assert "| same home | false alarms an hour |" in text
    assert "| other homes | episodes caught |" in text
    assert "toy" in text
    assert terminal_table(record).row_count == 4
    same = record["nights"]["same home"]["false_alarms_per_hour"]
    assert same["difference"]["value"] == pytest.approx(
        same["after"]["value"] - same["before"]["value"], abs=2e-4
    )


def test_false_alarms_and_episodes_are_counted_apart(lived: list[AdaptedHome]) -> None:
    home = lived[0]
    count = len(home.night)
    vote = VoteSettings(threshold=0.5, n=1, m=1, hold_seconds=0.0)
    quiet = seen(home.plan, np.zeros(count, dtype=np.float32), vote)
    assert (quiet.caught, sum(quiet.false_alarms.values())) == (0, 0)
    crying = np.zeros(count, dtype=np.float32)
    for episode in home.plan.episodes:
        crying[int(episode.start / 0.48) + 1 : int(episode.end / 0.48) - 1] = 1
    caught = seen(home.plan, crying, vote)
    assert (caught.caught, sum(caught.false_alarms.values())) == (OPTIONS.episodes, 0)


def test_a_home_in_which_nothing_was_reviewed_is_read_back() -> None:
    assert adapting._lessons(adapting._plain([])) == []


def test_halves_share_no_group(clips: list[Clip]) -> None:
    many = [replace(clips[0], id=str(n), group=f"group {n // 2}") for n in range(200)]
    first, second = (half_of(many, half) for half in Half)
    assert len(first) + len(second) == len(many)
    assert not {clip.group for clip in first} & {clip.group for clip in second}
    assert min(len(first), len(second)) > 60
    assert half_of(many[:50], Half.FIRST) == [clip for clip in first if clip in many[:50]]


def test_too_few_sounds_that_set_it_off_are_named(clips: list[Clip], folder: Path) -> None:
    with pytest.raises(CorpusError, match="sounds raise an alert at this operating point"):
        homes(clips, folder, replace(OPTIONS, hard=9))
