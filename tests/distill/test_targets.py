from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from crydistill.corpora.clip import Clip, Label
from crydistill.distill.targets import (
    MemoryTarget,
    against_rivals,
    best_windows,
    head_targets,
    memory_target,
    teacher_logits,
)
from crydistill.student.heads import Heads
from crydistill.taxonomy import (
    BABY_CRY,
    CLASSES,
    class_mids,
    class_names,
    cry_indices,
    index_of,
    rival_indices,
)

CRY = Heads.from_mids({"cry": [class_mids()[index] for index in cry_indices()]})


def pool(*tracks: tuple[Label, list[float]]) -> Any:
    """A pool whose clips have these labels and logits of the first cry class, all others low."""
    clips = [Clip(f"c{n}", Path("x"), label, f"g{n}") for n, (label, _) in enumerate(tracks)]
    clip_of = np.repeat(np.arange(len(tracks)), [len(track) for _, track in tracks])
    rows = np.full((len(clip_of), CLASSES), -9, dtype=np.float32)
    rows[:, cry_indices()[0]] = np.concatenate([track for _, track in tracks])
    return SimpleNamespace(
        clips=clips,
        clip_of=clip_of,
        cry_scores=expit(rows[:, list(cry_indices())]).sum(axis=1),
        logits=lambda indices: rows[indices],
    )


def cry_targets(windows: Any, **options: Any) -> np.ndarray:
    plain = {"trust_negatives": False, "cry_floor": 0.0, "rival_floor": None}
    found = head_targets(windows, CRY, **plain | options)
    return found(np.arange(len(windows.clip_of)))[:, 0]


def test_without_heads_the_teachers_logits_are_the_targets() -> None:
    windows = pool((Label.CRY, [1.0, 2.0]))
    np.testing.assert_array_equal(teacher_logits(windows)(np.array([1])), windows.logits([1]))


def test_heads_come_first_and_the_teachers_scores_after() -> None:
    windows = pool((Label.UNLABELLED, [-1.0, 3.0]))
    options = {"trust_negatives": True, "cry_floor": 0.9, "rival_floor": None}
    targets = head_targets(windows, CRY, **options)(np.array([1, 0]))
    assert targets.shape == (2, 1 + CLASSES)
    np.testing.assert_allclose(targets[:, 0], windows.cry_scores[[1, 0]], rtol=1e-6)
    np.testing.assert_allclose(targets[:, 1:], expit(windows.logits([1, 0])), rtol=1e-6)


def test_trusted_negatives_overrule_the_teacher_in_their_own_clips_only() -> None:
    windows = pool((Label.NONCRY, [4.0]), (Label.CRY, [4.0]), (Label.UNLABELLED, [4.0]))
    assert cry_targets(windows, trust_negatives=True) == pytest.approx([0, 0.982, 0.982], abs=2e-3)
    assert cry_targets(windows) == pytest.approx([0.982] * 3, abs=2e-3)


def test_floor_lifts_the_best_windows_of_cry_clips() -> None:
    windows = pool((Label.CRY, [-2.0, -4.0, -2.1]), (Label.NONCRY, [-2.0]))
    lifted = cry_targets(windows, cry_floor=0.6)
    assert lifted[[0, 2]] == pytest.approx(0.6)
    assert lifted[1] == pytest.approx(expit(-4.0), abs=1e-3)
    assert lifted[3] == pytest.approx(expit(-2.0), abs=1e-3)


def heard(**scores: float) -> np.ndarray:
    """Logits of one window with these class scores, all other classes low."""
    row = np.full((1, CLASSES), -20, dtype=np.float32)
    for name, score in scores.items():
        row[0, class_names().index(name)] = np.log(score / (1 - score))
    return row


def test_a_rival_takes_from_a_cry_and_a_noise_does_not() -> None:
    cry = np.array([0.8], dtype=np.float32)
    alone = against_rivals(cry, heard(), 0.1)
    assert alone == pytest.approx([0.8 / 0.9])
    for other in ("Music", "Speech", "White noise", "Whimper"):
        assert against_rivals(cry, heard(**{other: 0.9}), 0.1) == pytest.approx(alone), other
    for rival in ("Baby laughter", "Meow", "Children playing", "Goat"):
        assert against_rivals(cry, heard(**{rival: 0.9}), 0.1) == pytest.approx([0.8 / 1.8]), rival


def test_only_the_strongest_rival_counts() -> None:
    cry = np.array([0.5], dtype=np.float32)
    both = against_rivals(cry, heard(Cat=0.6, Meow=0.3, Laughter=0.2), 0.05)
    assert both == pytest.approx([0.5 / 1.15])


def test_the_cry_head_learns_the_odds_where_asked_to() -> None:
    windows = pool((Label.UNLABELLED, [2.0, -3.0]))
    expected = against_rivals(windows.cry_scores, windows.logits(np.arange(2)), 0.1)
    np.testing.assert_allclose(cry_targets(windows, rival_floor=0.1), expected, rtol=1e-6)


def test_crying_has_no_rival_in_itself() -> None:
    rivals = {class_names()[index] for index in rival_indices()}
    assert not rivals & {"Crying, sobbing", "Baby cry, infant cry", "Whimper", "Speech", "Music"}
    assert {"Babbling", "Baby laughter", "Screaming", "Cat", "Whale vocalization"} <= rivals


def crying(scores: list[float]) -> np.ndarray:
    """Logits of windows in which the teacher hears a baby with these scores."""
    logits = np.full((len(scores), CLASSES), -9.0, dtype=np.float32)
    p = np.clip(np.array(scores), 1e-6, 1 - 1e-6)
    logits[:, index_of(BABY_CRY)] = np.log(p / (1 - p))
    return logits


def test_the_best_three_of_the_last_ten_windows() -> None:
    logits = crying([0.9, 0.6, 0.3, *[0.0] * 9, 0.9])
    found = expit(best_windows(logits, np.zeros(13, dtype=np.int64)))
    expected = [0.3, 0.5, *[0.6] * 8, 0.3, 0.1, 0.3]
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_streams_do_not_hear_each_other() -> None:
    logits = crying([0.9, 0.9, 0.9, 0.0])
    found = expit(best_windows(logits, np.array([0, 0, 0, 1])))
    np.testing.assert_allclose(found, [0.3, 0.6, 0.9, 0.0], atol=2e-3)


def test_what_a_memory_can_learn() -> None:
    logits, streams = crying([0.9] * 5), np.zeros(5, dtype=np.int64)
    context = np.array([-1.0, 0.0, 1.0, 2.0, 3.0], dtype=np.float32)
    sure = np.array([True, False, False, True, True])
    best = best_windows(logits, streams)

    def target(kind: MemoryTarget) -> npt.NDArray[np.float32]:
        return memory_target(kind, context, logits, streams, sure)

    assert target("context") is context
    np.testing.assert_array_equal(target("best_windows"), best)
    np.testing.assert_allclose(target("both"), (2 * context + best) / 3, rtol=1e-6)
    labels = target("labels")
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels > 0, ~sure)
