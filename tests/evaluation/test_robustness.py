import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.audio.mel import SAMPLE_RATE, log_mel
from crydistill.corpora.clip import Clip, Label
from crydistill.detector.vote import Scores, VoteSettings, vote_statistic
from crydistill.errors import CorpusError, StoreError
from crydistill.evaluation import robustness
from crydistill.evaluation.conditions import CLEAN, Condition, Family, Noises
from crydistill.evaluation.robustness import (
    ScoredClips,
    choose_clips,
    evaluate_conditions,
    robustness_record,
    score_clips,
)
from crydistill.evaluation.scorers import Scorer
from crydistill.reports.robustness_page import markdown_tables, picture, terminal_table
from crydistill.roles import Role
from crydistill.teacher.base import Recording

VOTE = VoteSettings(threshold=0.0, n=2, m=3)
HALVED = Condition(
    Family.GAIN, "gain", -6.0, "dB", lambda samples, clip, noises: samples * np.float32(0.5)
)
SWAPPED = Condition(Family.ELECTRONICS, "swapped", None, "", lambda samples, clip, noises: samples)


class Ear:
    """Scores a window by its loudest band, and records what it scored."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def scorer(self, name: str = "ear", fingerprint: str = "f") -> Scorer:
        return Scorer(name, Role.INT8, fingerprint, lambda: self.score, None, {})

    def score(self, recording: Recording) -> Scores:
        self.heard.append(recording.clip_id)
        count = (len(recording.frames) - 96) // 48 + 1
        loudest = [recording.frames[48 * n : 48 * n + 96].max() for n in range(count)]
        return np.asarray(1 / (1 + np.exp(-np.array(loudest))), dtype=np.float32)


@pytest.fixture(autouse=True)
def two_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "conditions", lambda: (CLEAN, HALVED))


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    found = []
    for number in range(6):
        path = tmp_path / f"{number}.wav"
        amplitude = 0.05 * (number + 1)
        noise = np.random.default_rng(number).normal(0, amplitude, 3 * SAMPLE_RATE)
        soundfile.write(path, np.clip(noise, -1, 1), SAMPLE_RATE, subtype="FLOAT")
        label = Label.CRY if number >= 3 else Label.NONCRY
        found.append(Clip(f"{number}", path, label, f"g{number}"))
    return found


def heard_by(scorers: list[Scorer], clips: list[Clip], journal: Path) -> ScoredClips:
    return score_clips(clips, scorers, journal, noises=Noises(clips, 0), vote=VOTE)


def made_up(votes: list[list[float]], labels: list[bool], hours: float) -> ScoredClips:
    """Each clip its own group; one row of votes per condition, which are also the means."""
    clips = tuple(
        Clip(f"{n}", Path(f"{n}"), Label.CRY if cry else Label.NONCRY, f"g{n}")
        for n, cry in enumerate(labels)
    )
    table = np.array([votes], dtype=np.float64)
    seconds = np.full(len(labels), hours * 3600 / labels.count(False))
    every = (CLEAN, HALVED, SWAPPED)[: len(votes)]
    return ScoredClips(("ear",), every, clips, seconds, table, table, {})


def test_each_student_hears_each_clip_under_each_condition(
    clips: list[Clip], tmp_path: Path
) -> None:
    ear, other = Ear(), Ear()
    scorers = [ear.scorer(), other.scorer("other", "g")]
    heard = heard_by(scorers, clips, tmp_path / "journal")
    assert heard.means.shape == heard.votes.shape == (2, 2, 6)
    np.testing.assert_array_equal(heard.means[0], heard.means[1])
    assert (heard.means[0, 1] < heard.means[0, 0]).all()
    samples, _ = soundfile.read(clips[4].path, dtype="float32")
    scores = Ear().score(Recording("", samples, log_mel(samples)))
    assert heard.means[0, 0, 4] == pytest.approx(scores.mean())
    assert heard.votes[0, 0, 4] == pytest.approx(vote_statistic(scores, 2, 3).max())
    assert heard.negative_hours == pytest.approx(9 / 3600)


def test_an_interrupted_run_goes_on(clips: list[Clip], tmp_path: Path) -> None:
    journal = tmp_path / "out" / "journal"
    whole = heard_by([Ear().scorer()], clips, journal)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:4]) + lines[4][: len(lines[4]) // 2])
    ear = Ear()
    again = heard_by([ear.scorer()], clips, journal)
    assert set(ear.heard) == {"3", "4", "5"}
    np.testing.assert_array_equal(again.votes, whole.votes)
    assert journal.read_text().splitlines(keepends=True) == lines


@pytest.mark.parametrize("change", ["student", "vote", "clips", "seed"])
def test_scores_of_another_run_are_not_taken(
    clips: list[Clip], tmp_path: Path, change: str
) -> None:
    heard_by([Ear().scorer()], clips, tmp_path / "journal")
    ear = Ear()
    score_clips(
        clips[1:] if change == "clips" else clips,
        [ear.scorer(fingerprint="other" if change == "student" else "f")],
        tmp_path / "journal",
        noises=Noises(clips, 1 if change == "seed" else 0),
        vote=VOTE.model_copy(update={"n": 3}) if change == "vote" else VOTE,
    )
    assert len(set(ear.heard)) == (5 if change == "clips" else 6)


def test_a_damaged_journal_is_named(clips: list[Clip], tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    heard_by([Ear().scorer()], clips, journal)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*lines[:2], "{}\n", *lines[3:]]))
    with pytest.raises(StoreError, match=r"journal, line 3: .* remove the file"):
        heard_by([Ear().scorer()], clips, journal)


def test_an_unreadable_clip_ends_nothing(clips: list[Clip], tmp_path: Path) -> None:
    clips[1].path.write_bytes(b"no audio")
    heard = heard_by([Ear().scorer()], clips, tmp_path / "journal")
    assert [clip.id for clip in heard.clips] == ["0", "2", "3", "4", "5"]
    assert "cannot be decoded" in heard.unreadable["1"]
    # Remembered too, so that the run that goes on counts the same.
    assert heard_by([Ear().scorer()], clips, tmp_path / "journal").unreadable == heard.unreadable
    for clip in clips:
        clip.path.write_bytes(b"no audio")
    with pytest.raises(CorpusError, match="nor can any other"):
        heard_by([Ear().scorer()], clips, tmp_path / "another")


def test_figures_by_hand() -> None:
    labels = [False] * 6 + [True] * 4
    clean = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.2, 0.55, 0.7, 0.8]
    worse = [0.1, 0.2, 0.3, 0.9, 0.75, 0.6, 0.2, 0.95, 0.7, 0.3]
    # In two hours two false alarms are allowed: above 0.4 on clean audio, above 0.6 on worse.
    heard = made_up([clean, worse], labels, hours=2.0)
    at_clean, at_worse = evaluate_conditions(heard, replicates=50)["ear"]
    assert at_clean.recalibrated.value == at_clean.unchanged.value == 0.75
    assert at_clean.false_alarms.value == pytest.approx(1)
    assert at_clean.auc_change.value == at_clean.false_alarms_change.value == 0
    assert at_worse.recalibrated.value == 0.5
    assert at_worse.recalibrated_change.value == -0.25
    assert at_worse.unchanged.value == 0.5
    assert at_worse.false_alarms.value == pytest.approx(1.5)
    pairs = [(c > n) + 0.5 * (c == n) for c in worse[6:] for n in worse[:6]]
    assert at_worse.auc.value == pytest.approx(np.mean(pairs))


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([0.5, 1.0, 2.5, 7.0]))
def test_statistics_are_those_of_repeated_clips(seed: int, hours: float) -> None:
    """Weighting a clip by k gives the same results as k copies of it."""
    rng = np.random.default_rng(seed)
    labels = [False] * 7 + [True] * 5
    votes = np.round(rng.random((2, 12)), 1)
    weights = rng.integers(0, 3, 12)
    weights[[0, 11]] = 1
    heard = made_up(votes.tolist(), labels, hours)
    copies = np.repeat(np.arange(12), weights)
    repeated = replace(
        heard,
        clips=tuple(heard.clips[n] for n in copies),
        seconds=heard.seconds[copies],
        means=heard.means[..., copies],
        votes=heard.votes[..., copies],
    )
    weighted = robustness._Rankings(heard, 0, clean=0, per_hour=1.0).statistics(weights[None])
    once = np.ones((1, len(copies)), np.int64)
    plain = robustness._Rankings(repeated, 0, clean=0, per_hour=1.0).statistics(once)
    np.testing.assert_allclose(weighted, plain)
    false_alarms = weighted[0, 3]
    assert false_alarms <= 1 + 1e-9


def test_an_unchanged_condition_differs_by_nothing() -> None:
    rng = np.random.default_rng(0)
    votes = rng.random(40).tolist()
    results = evaluate_conditions(
        made_up([votes, votes], [False] * 20 + [True] * 20, 3.0), replicates=100
    )
    _, same = results["ear"]
    assert same.auc_change.value == 0 and np.isnan(same.auc_change.low)
    assert same.auc.low < same.auc.value < same.auc.high


def test_choosing_takes_all_groups_by_turns() -> None:
    clips = [
        Clip(f"{kind} {n}", Path(f"{n}"), label, f"{kind} {min(n, groups - 1)}")
        for kind, label, count, groups in (("c", Label.CRY, 20, 4), ("n", Label.NONCRY, 80, 10))
        for n in range(count)
    ]
    unlabelled = Clip("u", Path("u"), Label.UNLABELLED, "u")
    chosen = choose_clips([*clips, unlabelled], 20, seed=0)
    assert sum(clip.is_cry for clip in chosen) == 4
    assert len({clip.group for clip in chosen}) == 14
    assert chosen == [clip for clip in clips if clip in chosen]
    assert chosen == choose_clips([*clips, unlabelled], 20, seed=0)
    assert chosen != choose_clips([*clips, unlabelled], 20, seed=1)
    assert choose_clips([*clips, unlabelled], None, seed=0) == clips
    with pytest.raises(CorpusError, match="labelled noncry"):
        choose_clips(clips[:20], 5, seed=0)


@pytest.fixture
def record(clips: list[Clip], tmp_path: Path) -> dict[str, Any]:
    scorers, noises = [Ear().scorer(), Ear().scorer("other [x]", "g")], Noises(clips, 0)
    heard = score_clips(clips, scorers, tmp_path / "journal", noises=noises, vote=VOTE)
    provenance = {"kernels": "reference", "git_commit": "0123456789abc-dirty"}
    return robustness_record(
        heard, evaluate_conditions(heard, replicates=20), scorers=scorers, noises=noises, vote=VOTE,
        replicates=20, provenance=provenance,
    )  # fmt: skip


def test_the_report_is_plain_json_and_its_pages_show_it(
    record: dict[str, Any], tmp_path: Path
) -> None:
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["clips"] == {
        "clips": 6, "cries": 3, "groups": 6, "cry_groups": 3, "unreadable": 0, "private": False,
        "negative_hours": 0.0025,
    }  # fmt: skip
    text = markdown_tables(record)
    assert "| ear | AUC |" in text and "| other [x] | AUC |" in text
    assert text.count("| as recorded | 1.000 | +0.000 | 1.000 | 1.000 | 0.0 |") == 2
    assert text.count("| gain, -6 dB |") == 2
    assert "6 clips, 3 cries" in text and "commit 0123456789-dirty" in text
    table = terminal_table(record, "other [x]")
    assert table.row_count == 2
    picture(record, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
