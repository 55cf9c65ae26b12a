import keras
import numpy as np
import pytest

from crydistill.audio.mel import LogMel
from crydistill.errors import ConfigError
from crydistill.student.crynet import crynet
from crydistill.student.heads import Heads, cut
from crydistill.student.layers import BatchNorm
from crydistill.taxonomy import class_mids, cry_indices

SPEECH = class_mids()[0]
CRIES = [class_mids()[index] for index in cry_indices()]


def test_without_outputs_of_its_own_it_tells_the_teachers_classes() -> None:
    heads = Heads.from_mids({})
    assert not heads
    assert heads.cry_outputs == cry_indices()


def test_an_output_adds_its_classes_up_to_one() -> None:
    heads = Heads.from_mids({"cry": CRIES, "speech": [SPEECH]})
    assert heads.names == ("cry", "speech")
    assert heads.cry_outputs == (0,)
    logits = np.full((2, 521), -20, dtype=np.float32)
    logits[0, list(cry_indices())] = 0.0
    logits[1, list(cry_indices())] = -np.log(3)
    logits[1, 0] = np.log(3)
    np.testing.assert_allclose(heads.targets(logits), [[1, 0], [0.5, 0.75]], atol=1e-6)


@pytest.mark.parametrize(
    ("outputs", "fault"),
    [
        ({"cry": []}, "student.outputs.cry: name at least one class"),
        ({"cry": CRIES, "owl": ["/m/none"]}, "student.outputs.owl: YAMNet has no class /m/none"),
    ],
)
def test_faults_are_named(outputs: dict[str, list[str]], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        Heads.from_mids(outputs)


def test_cut_keeps_the_first_logits_and_calibrates_the_first(patches: LogMel) -> None:
    model = crynet(outputs=5, stem=16, stages=((16, 1), (32, 2)), dropout=0.5)
    for layer in model.layers:
        if isinstance(layer, BatchNorm):  # fresh statistics would hide a swapped order
            rng = np.random.default_rng(len(layer.name))
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    before = model.predict(patches[:8, :, :, None], verbose=0)
    short = cut(model, 2, scale=2.0, offset=-1.0)
    after = short.predict(patches[:8, :, :, None], verbose=0)
    expected = np.stack([2 * before[:, 0] - 1, before[:, 1]], axis=1)
    np.testing.assert_allclose(after, expected, rtol=1e-4, atol=1e-4)
    assert not any(isinstance(layer, BatchNorm) for layer in short.layers)
    np.testing.assert_array_equal(model.predict(patches[:8, :, :, None], verbose=0), before)


def test_a_cut_model_can_be_loaded_without_this_package(tmp_path, patches: LogMel) -> None:  # type: ignore[no-untyped-def]
    short = cut(crynet(outputs=3), 1)
    short.save(tmp_path / "s.keras")
    loaded = keras.saving.load_model(tmp_path / "s.keras", compile=False)
    np.testing.assert_allclose(
        loaded.predict(patches[:2, :, :, None], verbose=0),
        short.predict(patches[:2, :, :, None], verbose=0),
        rtol=1e-5,
    )
