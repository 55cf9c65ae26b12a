import numpy as np
import pytest
from keras import ops

from crydistill.distill.losses import kl_softmax, mine_hard_examples, sigmoid_bce

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
