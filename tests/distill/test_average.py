import keras
import numpy as np
import pytest

from crydistill.distill.average import EVERY, WeightAverage


@pytest.fixture
def model() -> keras.Model:
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def train(model: keras.Model, average: WeightAverage, steps: int, rng: np.random.Generator) -> None:
    for _ in range(steps):
        model.set_weights([rng.normal(1, 1, weight.shape) for weight in model.get_weights()])
        average.after_step()


def test_settles_on_the_mean_of_wobbling_weights(model: keras.Model) -> None:
    average = WeightAverage(model, 0.999)
    train(model, average, 2000 * EVERY, np.random.default_rng(0))
    for weight in average.weights:
        np.testing.assert_allclose(weight, 1, atol=0.25)


def test_forgets_where_training_began(model: keras.Model) -> None:
    model.set_weights([np.full(weight.shape, 1e6) for weight in model.get_weights()])
    average = WeightAverage(model, 0.9999)
    train(model, average, 100 * EVERY, np.random.default_rng(0))
    assert max(np.abs(weight).max() for weight in average.weights) < 1e3


def test_lends_the_model_its_weights_for_a_while(model: keras.Model) -> None:
    average = WeightAverage(model, 0.9)
    train(model, average, 3 * EVERY, np.random.default_rng(0))
    own = [np.array(weight) for weight in model.get_weights()]
    with pytest.raises(RuntimeError), average.in_place():
        for weight, mean in zip(model.get_weights(), average.weights, strict=True):
            np.testing.assert_allclose(weight, mean, rtol=1e-6)
        raise RuntimeError
    for weight, before in zip(model.get_weights(), own, strict=True):
        np.testing.assert_array_equal(weight, before)
