import numpy as np
import pytest
from keras import ops

from crydistill.distill.losses import (
    headed_bce,
    kl_softmax,
    mine_hard_examples,
    sigmoid_bce,
    stream_loss,
)

GENERATOR = np.random.default_rng(0)
TEACHER = GENERATOR.normal(-4, 3, (7, 521)).astype(np.float32)
STUDENT = GENERATOR.normal(-1, 2, (7, 521)).astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def test_kl_is_its_definition() -> None:
    p = sigmoid(TEACHER)
    q = np.exp(STUDENT.astype(np.float64))
    q /= q.sum(axis=1, keepdims=True)
    expected = (p * (np.log(p + 1e-8) - np.log(q + 1e-8))).sum(axis=1)
    found = ops.convert_to_numpy(kl_softmax(TEACHER, STUDENT))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_bce_is_its_definition(temperature: float) -> None:
    p, q = sigmoid(TEACHER / temperature), sigmoid(STUDENT / temperature)
    bce = -(p * np.log(q) + (1 - p) * np.log(1 - q))
    found = ops.convert_to_numpy(sigmoid_bce(temperature)(TEACHER, STUDENT))
    np.testing.assert_allclose(found, temperature**2 * bce.mean(axis=1), rtol=1e-4)


def test_weights_are_relative() -> None:
    weights = np.ones(521, dtype=np.float32)
    plain = ops.convert_to_numpy(sigmoid_bce()(TEACHER, STUDENT))
    same = ops.convert_to_numpy(sigmoid_bce(1.0, 5 * weights)(TEACHER, STUDENT))
    np.testing.assert_allclose(same, plain, rtol=1e-5)
    weights[:] = 0
    weights[20] = 3
    only = ops.convert_to_numpy(sigmoid_bce(1.0, weights)(TEACHER, STUDENT))
    p, q = sigmoid(TEACHER[:, 20]), sigmoid(STUDENT[:, 20])
    np.testing.assert_allclose(only, -(p * np.log(q) + (1 - p) * np.log(1 - q)), rtol=1e-4)


def test_extreme_logits_stay_finite() -> None:
    far = np.array([[-200.0, 200.0, 0.0]], dtype=np.float32)
    for loss in (kl_softmax, sigmoid_bce()):
        assert np.isfinite(ops.convert_to_numpy(loss(far, -far))).all()


def test_the_teacher_itself_is_the_best_student() -> None:
    loss = sigmoid_bce()
    best = ops.convert_to_numpy(loss(TEACHER, TEACHER))
    for shift in (-0.5, 0.5):
        assert (ops.convert_to_numpy(loss(TEACHER, TEACHER + shift)) > best).all()


def test_only_the_hardest_windows_count() -> None:
    plain = ops.convert_to_numpy(sigmoid_bce()(TEACHER, STUDENT))
    hard = ops.convert_to_numpy(mine_hard_examples(sigmoid_bce(), 3 / 7)(TEACHER, STUDENT))
    counted = np.sort(plain)[-3:]
    assert sorted(np.flatnonzero(hard)) == sorted(np.argsort(plain)[-3:])
    assert hard.mean() == pytest.approx(counted.mean(), rel=1e-5)


def test_all_count_unless_told_otherwise() -> None:
    loss = sigmoid_bce()
    assert mine_hard_examples(loss, 1.0) is loss


def test_windows_that_are_equally_hard_all_count() -> None:
    same = np.repeat(STUDENT[:1], 4, axis=0)
    loss = mine_hard_examples(sigmoid_bce(), 0.25)(np.repeat(TEACHER[:1], 4, axis=0), same)
    assert (ops.convert_to_numpy(loss) > 0).all()


def stream_batch() -> tuple[np.ndarray, np.ndarray]:
    """Targets and logits of 2 streams of 5 windows: weight, memory's target, 1 head, 3 classes."""
    rng = np.random.default_rng(8)
    weights = rng.integers(0, 2, (2, 5, 1)).astype(np.float32)
    taught = rng.normal(0, 3, (2, 5, 1))
    of_windows = rng.uniform(0, 1, (2, 5, 4))
    targets = np.concatenate([weights, taught, of_windows], axis=-1, dtype=np.float32)
    return targets, rng.normal(0, 3, (2, 5, 5)).astype(np.float32)


def test_a_streams_loss_is_the_memorys_and_the_windows() -> None:
    targets, logits = stream_batch()
    of_windows = headed_bce(1, 2.0, 4.0)
    found = ops.convert_to_numpy(stream_loss(of_windows, 0.3, 2.0)(targets, logits))
    p, q = sigmoid(targets[..., 1] / 2), sigmoid(logits[..., 0] / 2)
    memory = -4 * (p * np.log(q) + (1 - p) * np.log(1 - q))
    windows = ops.convert_to_numpy(of_windows(targets[..., 2:], logits[..., 1:]))
    assert found.shape == (2, 5)
    np.testing.assert_allclose(found, targets[..., 0] * memory + 0.3 * windows, rtol=1e-4)


def test_where_the_memory_does_not_count_its_logit_does_not_matter() -> None:
    targets, logits = stream_batch()
    targets[..., 0] = 0
    loss = stream_loss(headed_bce(1, 2.0), 1.0, 2.0)
    before = ops.convert_to_numpy(loss(targets, logits))
    logits[..., 0] += 5
    np.testing.assert_array_equal(ops.convert_to_numpy(loss(targets, logits)), before)
