import keras
import numpy as np
import pytest

from crydistill.distill.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(2, 16, 16), (1, 24, 8), (3, 8, 24)])
def test_singular_values_become_nearly_equal_and_directions_stay(shape: tuple[int, ...]) -> None:
    matrices = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    matrices[:, 0] *= 4  # one direction that outweighs the others
    found = keras.ops.convert_to_numpy(orthogonalised(matrices))
    assert found.shape == shape
    for before, after in zip(matrices, found, strict=True):
        u, _, vt = np.linalg.svd(before, full_matrices=False)
        inside = u.T @ after @ vt.T
        assert np.abs(inside - np.diag(np.diag(inside))).max() < 1e-3
        assert 0.6 < np.diag(inside).min() <= np.diag(inside).max() < 1.3


def variables() -> list[keras.Variable]:
    draw = np.random.default_rng(1)
    shapes = {"pointwise": (1, 1, 4, 6), "depthwise": (3, 3, 4, 1), "bias": (6,)}
    return [
        keras.Variable(draw.standard_normal(shape).astype(np.float32), name=name)
        for name, shape in shapes.items()
    ]


def gradients(number: int) -> list[np.ndarray]:
    draw = np.random.default_rng([2, number])
    return [draw.standard_normal(tuple(v.shape)).astype(np.float32) for v in variables()]


def moved(optimizer: keras.optimizers.Optimizer, steps: int) -> list[np.ndarray]:
    ours = variables()
    optimizer.build(ours)
    for number in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients(number)], ours)
    return [keras.ops.convert_to_numpy(variable) for variable in ours]


def test_all_but_pointwise_kernels_move_as_adamw_moves_them() -> None:
    pointwise, *rest = moved(Muon(1e-2, weight_decay=0.1), 3)
    by_adamw, *expected = moved(keras.optimizers.AdamW(1e-2, weight_decay=0.1), 3)
    for found, wanted in zip(rest, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert np.abs(pointwise - by_adamw).max() > 1e-4


def test_a_step_is_as_large_as_adamws() -> None:
    before = keras.ops.convert_to_numpy(variables()[0])
    step = moved(Muon(1e-2), 1)[0] - before
    assert np.sqrt(np.mean(step**2)) == pytest.approx(0.2 * 1e-2, rel=0.3)


def test_the_learning_rate_may_change_between_steps() -> None:
    optimizer = Muon(1e-2)
    ours = variables()
    optimizer.build(ours)
    optimizer.learning_rate = 0.0
    before = [keras.ops.convert_to_numpy(v).copy() for v in ours]
    optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients(0)], ours)
    for variable, was in zip(ours, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), was)


def test_its_variables_are_all_that_a_resumed_training_needs() -> None:
    whole = moved(Muon(1e-2), 4)
    first, ours = Muon(1e-2), variables()
    first.build(ours)
    for number in range(2):
        first.apply([keras.ops.convert_to_tensor(g) for g in gradients(number)], ours)
    second = Muon(1e-2)
    second.build(ours)
    for new, old in zip(second.variables, first.variables, strict=True):
        new.assign(old)
    for number in range(2, 4):
        second.apply([keras.ops.convert_to_tensor(g) for g in gradients(number)], ours)
    for found, wanted in zip(ours, whole, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(found), wanted, rtol=1e-5)
