from dataclasses import replace

import keras
import numpy as np
import pytest
from tests.student_fixtures import stirred

from crydistill.student.memory import Memory, on_streams, stream_logits, with_state
from crydistill.student.zoo import build

MEMORY = Memory(windows=3, embedding=5, hidden=4)
SMALL = {"stem": 8, "stem_stride": 4, "stages": [[16, 1]]}


def network(windows: int = 8, *, joint: bool = True, memory: Memory = MEMORY) -> keras.Model:
    keras.utils.set_random_seed(3)
    window_network = build("crynet", outputs=7, **SMALL)
    return on_streams(window_network, memory, windows, joint=joint)


def sound(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, (*shape, 96, 64)).astype(np.float32)


def on_numpy(values: object) -> np.ndarray:
    return keras.ops.convert_to_numpy(values)


def stepped(model: keras.Model, patches: np.ndarray) -> np.ndarray:
    """Cry logits window by window, as a device runs it."""
    memory = np.zeros((1, MEMORY.windows, MEMORY.embedding), np.float32)
    logits = []
    for patch in patches:
        logit, memory = map(on_numpy, model.predict_on_batch([patch[None, ..., None], memory]))
        logits.append(logit[0, 0])
    return np.array(logits)


def test_window_by_window_is_what_was_trained() -> None:
    trained, streams = network(), sound(2, 8)
    whole = on_numpy(trained(streams))
    assert whole.shape == (2, 8, 1 + 7)
    device = with_state(trained, MEMORY)
    for stream, logits in zip(streams, whole[..., 0], strict=True):
        np.testing.assert_allclose(stepped(device, stream), logits, atol=1e-5)
        np.testing.assert_allclose(stream_logits(trained, MEMORY, [stream]), logits, atol=1e-5)


def test_a_memory_of_three_windows_forgets_the_fourth() -> None:
    device, patches = with_state(network(), MEMORY), sound(12)
    other = patches.copy()
    other[0] += 1
    first, second = stepped(device, patches), stepped(device, other)
    assert (first[:4] != second[:4]).all()
    np.testing.assert_array_equal(first[4:], second[4:])


def test_streams_begin_with_an_empty_memory() -> None:
    trained, patches = network(), sound(10)
    together = stream_logits(trained, MEMORY, [patches[:7], patches[7:]], starts=[0, 4])
    apart = [stream_logits(trained, MEMORY, [part]) for part in (patches[:4], patches[4:])]
    np.testing.assert_allclose(together, np.concatenate(apart), atol=1e-5)


def test_scale_and_offset_go_into_the_logit() -> None:
    trained, patches = network(), sound(5)
    plain, scaled = (
        stepped(with_state(trained, MEMORY), patches),
        with_state(trained, MEMORY, 2.0, -0.5),
    )
    np.testing.assert_allclose(stepped(scaled, patches), 2 * plain - 0.5, atol=1e-5)


def test_a_blend_adds_what_the_window_network_says() -> None:
    blended = replace(MEMORY, blend=0.7)
    trained, patches = network(memory=blended), sound(8)
    own = trained.get_layer("logits")
    kernel, bias = own.get_weights()
    # Some below the lowest logit that counts, some above.
    said = on_numpy(trained(patches[None]))[0, :, 1]
    own.set_weights([20 * kernel, bias - 8 - 20 * np.median(said - bias[0])])
    whole = on_numpy(trained(patches[None]))[0]
    counted = np.maximum(np.append(-8, whole[:, 1]), -8)
    assert 0 < (counted[1:] > -8).sum() < len(patches)
    expected = whole[:, 0] + 0.7 * (counted[1:] + counted[:-1]) / 2
    device = with_state(trained, blended)
    np.testing.assert_allclose(stepped(device, patches), expected, atol=1e-4)
    np.testing.assert_allclose(stream_logits(trained, blended, [patches]), expected, atol=1e-4)


def test_a_blend_lets_the_largest_weight_of_each_kernel_grow_alike() -> None:
    blended = replace(MEMORY, blend=200.0)
    trained = network(memory=blended)
    device = with_state(trained, blended)
    pairs = (
        ("embedding", "embedding"),
        ("memory_hidden", "memory_hidden"),
        ("memory_logit", "logits"),
    )
    ratios = [
        np.abs(device.get_layer(here).get_weights()[0]).max()
        / np.abs(trained.get_layer(there).get_weights()[0]).max()
        for there, here in pairs
    ]
    assert ratios[0] > 1
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)


def test_stock_layers_that_plain_keras_loads(tmp_path) -> None:
    device, patches = with_state(network(), MEMORY), sound(5)
    device.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras", compile=False)
    np.testing.assert_allclose(stepped(loaded, patches), stepped(device, patches), atol=1e-6)


@pytest.mark.parametrize("joint", [True, False])
def test_what_learns(joint: bool) -> None:
    model = network(joint=joint)
    found = {
        variable.path.split("/")[0].startswith(("embedding", "memory"))
        for variable in model.trainable_variables
    }
    assert found == ({True, False} if joint else {True})


def test_the_window_network_says_what_it_said() -> None:
    keras.utils.set_random_seed(3)
    window_network = stirred(build("crynet", outputs=7, **SMALL))
    patches = sound(2, 8)
    whole = on_numpy(on_streams(window_network, MEMORY, 8, joint=True)(patches))
    alone = on_numpy(window_network(patches.reshape(16, 96, 64, 1)))
    np.testing.assert_allclose(whole[..., 1:].reshape(16, 7), alone, rtol=1e-4, atol=1e-4)


def test_its_weights_are_counted_before_it_is_built() -> None:
    device = with_state(network(), MEMORY)
    behind = device.get_layer("embedding").weights + [
        weight for name in ("memory_hidden", "logits") for weight in device.get_layer(name).weights
    ]
    kernels = sum(int(np.prod(weight.shape)) for weight in behind if len(weight.shape) > 1)
    assert MEMORY.kernel_weights(features=16) == kernels
