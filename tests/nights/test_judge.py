import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.nights.nightly import OPTIONS, VOTE, home, scorer, tones

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.corpora.folder import read_corpus
from crydistill.detector.vote import alerts
from crydistill.errors import ConfigError
from crydistill.nights.alarms import ScoredStream
from crydistill.nights.hearing import ScoredNight, score_night
from crydistill.nights.judge import THRESHOLDS, evaluate_nights
from crydistill.nights.night import ClipNight, RecordedNight, clip_nights
from crydistill.nights.spans import Span


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> ClipNight:
    return tones(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def scored(night: ClipNight) -> ScoredNight:
    (one,) = score_night(night, [scorer(presets={"balanced": VOTE})])
    return one


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return home(tmp_path / "home.wav")


def test_alerts_are_where_cries_were_placed(night: ClipNight, scored: ScoredNight) -> None:
    (model,) = evaluate_nights(
        [night], [[scored]], votes=[(2, 3)], hold_seconds=1.0, replicates=50
    ).models
    # Every cry is a tone over the bed and every whistle is one too: all caught, two false alarms.
    assert model.shown == VOTE and model.shown_because == "preset balanced"
    assert [alarm.what for alarm in model.false_alarms] == ["whistle", "whistle"]
    whistles = sorted(item.start / SAMPLE_RATE for item in night.plan.placed
                      if item.category == "whistle")  # fmt: skip
    assert [a.alert.onset for a in model.false_alarms] == pytest.approx(whistles, abs=0.975)
    assert model.nights[0].missed == [] and len(model.nights[0].true_alerts) >= 6
    assert model.presets["balanced"].false_alarms == 2
    assert model.presets["balanced"].caught.value == 1
    assert max(model.presets["balanced"].delays) < 2.5
    assert sum(band.episodes for band in model.by_snr) == 6
    assert {band.name for band in model.by_snr} <= {"10 to 20 dB", "20 to 30 dB"}
    assert all(band.caught == band.episodes for band in model.by_snr)


def test_hindsight_keeps_its_word(night: ClipNight, scored: ScoredNight) -> None:
    (model,) = evaluate_nights([night], [[scored]], votes=[(1, 1), (5, 9)], replicates=50).models
    for vote in model.votes:
        for wanted, figures in vote.at_rates.items():
            assert figures.per_hour.value <= wanted
            assert (figures.settings.n, figures.settings.m) == (vote.n, vote.m)
        assert [f.settings.threshold for f in vote.at_thresholds] == list(THRESHOLDS)
    # The audio cannot do with fewer false alarms than the whistles and catch the cries.
    assert model.vote(1, 1) is not None and model.vote(3, 3) is None


def test_without_presets_hindsight_is_shown(night: ClipNight, scored: ScoredNight) -> None:
    outside = ScoredStream(scored.scores, night.episodes).outside
    scores = np.where(outside, 0.5 * scored.scores, scored.scores)
    (model,) = evaluate_nights(
        [night], [[ScoredNight(scorer(), scores)]], votes=[(2, 3), (5, 9)]
    ).models
    assert model.presets == {} and model.shown_because == "1 false alarm an hour, in hindsight"
    assert (model.shown.n, model.shown.m) == (5, 9)
    assert model.false_alarms == [] and model.nights[0].missed == []


def test_where_any_threshold_is_wrong_too_often_the_highest_is_shown(
    night: ClipNight, scored: ScoredNight
) -> None:
    (model,) = evaluate_nights(
        [night], [[ScoredNight(scorer(), scored.scores)]], votes=[(2, 3)]
    ).models
    assert model.shown_because == "highest score"
    assert model.shown.threshold == scored.scores.max()


def test_the_result_is_plain_json(night: ClipNight, scored: ScoredNight) -> None:
    result = evaluate_nights([night], [[scored]], votes=[(2, 3)], replicates=50)
    record = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert record["night"]["sounds"] == 8 and record["night"]["sounds_heard_again"] == 0
    assert record["night"]["episodes"] == 6 and record["night"]["crying_groups"] == 2
    assert record["night"]["private"] is False
    det = record["models"]["ear"]["votes"][0]["det"]
    assert det["missed"] == sorted(set(det["missed"]), reverse=True)
    assert record["models"]["ear"]["shown"]["false_alarms_by_sound"] == {"whistle": 2}


def test_the_same_night_twice_is_no_more_evidence(night: ClipNight, scored: ScoredNight) -> None:
    (once,) = evaluate_nights([night], [[scored]], votes=[(2, 3)], replicates=50).models
    (twice,) = evaluate_nights([night] * 2, [[scored]] * 2, votes=[(2, 3)], replicates=50).models
    one, both = once.presets["balanced"], twice.presets["balanced"]
    assert both.false_alarms == 2 * one.false_alarms and both.passes == 2
    assert (both.hours, both.per_hour) == (one.hours, one.per_hour)
    assert both.caught == one.caught and both.episodes == 2 * one.episodes
    assert len(twice.false_alarms) == 2 * len(once.false_alarms)


def test_parts_add_up_to_the_whole(night: ClipNight, scored: ScoredNight) -> None:
    (model,) = evaluate_nights([night] * 2, [[scored]] * 2, votes=[(2, 3)], replicates=50).models
    (part,) = model.by_corpus
    assert part.name == "tones" and part.episodes == 12 and part.caught == 12
    assert part.false_alarms == len(model.false_alarms) == 4
    assert part.hours == pytest.approx(model.presets["balanced"].hours, abs=1e-4)
    assert sum(band.episodes for band in model.by_snr) == 12


def test_networks_are_compared_on_the_same_nights(night: ClipNight, scored: ScoredNight) -> None:
    deaf = ScoredNight(scorer("deaf"), np.zeros_like(scored.scores))
    result = evaluate_nights([night], [[scored, deaf]], votes=[(2, 3)], replicates=50)
    assert [(pair.ours, pair.theirs) for pair in result.pairs] == [("deaf", "ear")] * 2
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["pairs"]


def test_a_recording_with_labels(recording: Path) -> None:
    night = RecordedNight(recording, [Span(10, 15, "cry"), Span(20, 24, "tv")])
    assert night.labelled and night.private and night.seconds == pytest.approx(30)
    (model,) = evaluate_nights(
        [night], [score_night(night, [scorer()])], votes=[(2, 3)], replicates=10
    ).models
    assert [episode.start for episode in night.episodes] == [10]
    assert model.nights[0].missed == [] and model.by_snr == []
    at_half = next(f for f in model.votes[0].at_thresholds if f.settings.threshold == 0.5)
    # The default hold of 10 s keeps the alert on from the cry into the television.
    assert at_half.false_alarms == 0 and at_half.caught.value == 1
    assert {s.what for s in night.sound_events} == {"cry", "tv"}


def test_a_recording_without_labels_counts_every_alert(recording: Path) -> None:
    night = RecordedNight(recording)
    assert not night.labelled and night.episodes == ()
    scored = score_night(night, [scorer()])
    (model,) = evaluate_nights(
        [night], [scored], votes=[(2, 3)], hold_seconds=1.0, replicates=10
    ).models
    at_half = next(f for f in model.votes[0].at_thresholds if f.settings.threshold == 0.5)
    assert at_half.false_alarms == 2 == len(alerts(scored[0].scores, VOTE))
    assert {alarm.what for alarm in model.false_alarms} == {"no labelled sound"}


def test_an_episode_at_the_very_end_that_no_window_hears_is_left_out(recording: Path) -> None:
    night = RecordedNight(recording, [Span(10, 15, "cry"), Span(29.9, 30, "cry")])
    (model,) = evaluate_nights(
        [night], [score_night(night, [scorer()])], votes=[(2, 3)], replicates=10
    ).models
    assert len(night.episodes) == 2
    assert model.votes[0].at_thresholds[0].episodes == 1


def test_impossible_votes_are_refused(night: ClipNight, scored: ScoredNight) -> None:
    with pytest.raises(ConfigError, match="9 of 5"):
        evaluate_nights([night], [[scored]], votes=[(9, 5)])


@pytest.mark.shared
def test_the_packaged_student_on_real_clips(shared: Path) -> None:
    from crydistill.evaluation.scorers import student_scorers
    from crydistill.student.packaged import packaged_student
    from crydistill.tflite.interpreters import Kernels

    dev = read_corpus(shared / "audio", where={"split": "dev", "source": "esc10"})
    cries = [clip for clip in dev if clip.is_cry][:6]
    others = [clip for clip in dev if not clip.is_cry][:10]
    options = replace(OPTIONS, episodes=2, clips=(2, 3))
    corpora = {"audio": [*cries, *others]}
    (night,) = clip_nights(corpora, options=options, seeds=[0])
    scorers = student_scorers(packaged_student(), kernels=Kernels.OPTIMIZED)
    result = evaluate_nights([night], [score_night(night, scorers)], votes=[(5, 9)], replicates=10)
    (model,) = result.models
    assert set(model.presets) >= {"sensitive", "balanced", "quiet"}
    inside = np.zeros(len(model.nights[0].scores), dtype=bool)
    for episode in night.episodes:
        inside[int(episode.start / 0.48) : int(episode.end / 0.48)] = True
    assert model.nights[0].scores[inside].mean() > 3 * model.nights[0].scores[~inside].mean()
