from functools import cache

import numpy as np
import pytest
from tests.feedback.toys import cries, replay, student, toy

from crydistill.detector.clip_folder import ClipLabel
from crydistill.detector.settings import reachable_score, vote_settings
from crydistill.feedback.cry_head import CryHead
from crydistill.feedback.learn import MOST_LOST, Learned, Means, learn
from crydistill.feedback.lessons import Ear, Lesson, lesson
from crydistill.feedback.replay import Replay

HIGHEST = reachable_score(student().manifest)
VOTE = vote_settings(student().manifest, "balanced")


@cache
def of_toys(count: int = 3) -> tuple[Lesson, ...]:
    return tuple(
        lesson(f"toy {seed}", ClipLabel.NOT_A_CRY, toy(seed), student()) for seed in range(count)
    )


@cache
def of_cries() -> tuple[Lesson, ...]:
    return tuple(
        lesson(f"cry {number}", ClipLabel.CRY, samples, student())
        for number, samples in enumerate(cries())
    )


def ear() -> Ear:
    return Ear(CryHead.of(student().tflite), student().manifest)


def learned(*lessons: Lesson, with_replay: Replay | None) -> Learned:
    return learn(ear(), VOTE, lessons, with_replay, highest=HIGHEST)


@cache
def after_toys() -> Learned:
    return learned(*of_toys(), *of_cries(), with_replay=replay())


def test_the_toy_raises_alerts_as_cries_do() -> None:
    """What the other tests take for granted."""
    assert all(ear().alarms(one, VOTE) for one in (*of_toys(), *of_cries()))


def test_what_was_no_cry_raises_no_alert_any_more() -> None:
    assert after_toys().means is Means.REFIT
    assert (after_toys().before.alarms, after_toys().after.alarms) == (3, 0)


def test_the_same_sound_on_another_night_raises_none_either() -> None:
    changed = Ear(after_toys().head, student().manifest)
    for seed in (100, 101):
        another = lesson("another", ClipLabel.NOT_A_CRY, toy(seed, gain=0.7), student())
        assert ear().alarms(another, VOTE)
        assert not changed.alarms(another, VOTE)


def test_cries_and_replayed_sounds_are_as_before() -> None:
    before, after = after_toys().before, after_toys().after
    assert after.cries == before.cries == len(of_cries())
    assert before.replay is not None
    assert after.replay is not None
    lost = before.replay.caught - after.replay.caught
    assert lost <= MOST_LOST * len(replay().episodes)
    assert after.replay.false_alarms <= before.replay.false_alarms


@pytest.mark.parametrize("lessons", [(), "cries"])
def test_without_a_false_alarm_nothing_changes(lessons: tuple[Lesson, ...] | str) -> None:
    found = learned(*(of_cries() if lessons == "cries" else ()), with_replay=replay())
    assert found.means is Means.NOTHING
    assert found.vote == VOTE
    assert found.head is not None
    assert found.head.written_into(student().tflite) == student().tflite
    assert "not a cry" in found.why


def test_without_replayed_features_threshold_and_votes_change() -> None:
    found = learned(*of_toys(), with_replay=None)
    assert found.means is Means.VOTE
    assert found.head is not None
    assert found.head.written_into(student().tflite) == student().tflite
    assert found.vote.threshold > VOTE.threshold
    assert (found.before.alarms, found.after.alarms) == (3, 0)
    assert "replayed features" in found.why


def test_a_threshold_that_would_cost_a_reviewed_cry_is_not_taken() -> None:
    """The toy, said to be a cry as well: nothing can tell the two apart."""
    same = [Lesson(one.name, ClipLabel.CRY, one.variants) for one in of_toys()]
    found = learned(*of_toys(), *same, with_replay=None)
    assert found.means is Means.NOTHING
    assert "nor did threshold and votes" in found.why


def test_cries_called_false_alarms_do_not_unlearn_crying() -> None:
    """A mistaken review of what the replay knows to be crying is stopped by the replay."""
    known = replay()
    crying = [known.embeddings[first:last] for first, last in known.episodes.tolist()]
    mistaken = [Lesson("mistaken", ClipLabel.NOT_A_CRY, tuple(crying[:40]))]
    found = learned(*mistaken, with_replay=known)
    before, after = found.before.replay, found.after.replay
    assert before is not None
    assert after is not None
    assert before.caught - after.caught <= 0.1 * len(known.episodes)


def test_figures_come_from_the_head_that_runs() -> None:
    """Scores after the refit are those of the student that would be written."""
    head = after_toys().head
    assert head is not None
    tflite = head.written_into(student().tflite)
    again = CryHead.of(tflite)
    rows = again.rows(replay().embeddings[:500])
    np.testing.assert_array_equal(again.logits(rows), head.logits(rows))
